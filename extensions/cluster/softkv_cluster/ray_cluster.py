"""Shard servers as Ray actors in a cluster of the operator's, and a transport of messages to them.

Only this file imports Ray. The servers are detached actors in placement groups: Ray places each on a machine of its own
if there are enough, restarts it when its process ends, and moves it to another machine when its machine is lost.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from softkv_cluster.errors import RayUnreachable, ServerLost, describe_version_mismatch
from softkv_cluster.roster import fetch_reports
from softkv_cluster.server.server import ShardServer
from softkv_service.logs import log
from softkv_service.storage import SharedStore, open_shared
from softkv_service.storage.errors import StoreUnavailable

ENVIRONMENT = {
    # The default is 60 s, after which a process that has joined ends if Ray's head is away.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
    # Messages are sent directly instead of through Ray's object store: 5 ms a MB instead of 17.
    "RAY_max_direct_call_object_size": "16777216",
    # A call to a dead process fails without waiting for the reason from the head: 0.3 s instead of 1.9.
    "RAY_timeout_ms_task_wait_for_death_info": "10",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Settings of Ray for the processes of softkv; those that are in the environment already stay."""
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402  # reads the environment
from ray._private.services import canonicalize_bootstrap_address  # noqa: E402
from ray.exceptions import ActorDiedError, RayError, RayTaskError  # noqa: E402
from ray.util import placement_group, placement_group_table, remove_placement_group  # noqa: E402
from ray.util.placement_group import PlacementGroup  # noqa: E402
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy  # noqa: E402

NAMESPACE = "softkv"
MAX_CONCURRENT_CALLS = 16
CONNECT_RETRY_SECONDS = 1.0
CONNECT_SECONDS = 10.0
"""Time for which a head that does not listen yet is waited for."""
CALL_SECONDS = 5.0
HEALTH_SECONDS = 20.0
JOIN_SECONDS = 10.0
"""Time for which machines that join are waited for, before servers share one."""


class _ServerActor:
    """The actor of a shard server. When Ray restarts its process, it creates this object again.

    Args:
        name: the server's name.
        store: the address of the database.
        options: `data_dir`, a directory of the machine for files, or None; `vectors_in_files`, whether float32 vectors
            lie in `data_dir`; `kernels` and `threads` to scan; `log_format`.
    """

    def __init__(self, name: str, store: str, options: Mapping[str, Any]) -> None:
        from softkv_attention.lookup import limit_workers
        from softkv_service import logs
        from softkv_service.kernels import choose_kernels

        logs.configure(options["log_format"])
        choose_kernels(options["kernels"])
        limit_workers(options["threads"])
        folder = None if options["data_dir"] is None else Path(options["data_dir"]).expanduser()
        context = ray.get_runtime_context()
        machine = f"{ray.util.get_node_ip_address()} ({context.get_node_id()[:6]})"
        transport = RayTransport()
        self._server = ShardServer(
            name,
            machine,
            _open_store(store),
            lambda servers: fetch_reports(transport, servers),
            originals=folder if options["vectors_in_files"] else None,
            sealed=folder,
        )
        self._server.start()

    def answer(self, message: bytes) -> bytes:
        return self._server.answer(message)

    def report(self) -> bytes:
        return self._server.report.to_bytes()


# Reports do not wait for queries.
_ACTOR = ray.remote(concurrency_groups={"control": 2}, max_concurrency=MAX_CONCURRENT_CALLS)(_ServerActor)


def _open_store(address: str) -> SharedStore:
    """Open the store, and retry until its database is reachable."""
    while True:
        try:
            return open_shared(address)
        except StoreUnavailable as error:
            log.warning("shard server waits for its database", reason=str(error))
            time.sleep(CONNECT_RETRY_SECONDS)


class RayCluster:
    """A Ray cluster that this process joins as a driver.

    Args:
        address: `auto` for the cluster of this machine, or what `ray.init` takes: `HOST:PORT` of the head on a machine
            of the cluster, or `ray://HOST:PORT` of its client server from any other.

    Raises:
        RayUnreachable: there is no such cluster, or it refuses this process.
    """

    def __init__(self, address: str) -> None:
        try:
            head = canonicalize_bootstrap_address(address) if address == "auto" else address
            if head is None:
                raise ConnectionError("none runs on this machine")
            _require_listener(head.removeprefix("ray://"))
            if not head.startswith("ray://"):
                _require_head(head)
            ray.init(address=head, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            mismatch = describe_version_mismatch(address, str(error))
            raise RayUnreachable(
                mismatch
                or f"no Ray cluster could be joined at {address}: {_reason(error)}: start one with `ray start`, or "
                "name another with --shards"
            ) from None
        # This thread of Ray prints the head's errors, and without a head it uses a whole core.
        if (stop := getattr(ray._private.worker.global_worker, "threads_stopped", None)) is not None:
            stop.set()

    def servers(self) -> list[str]:
        """Return the names of the servers that are deployed, whether they run or are being restarted."""
        return sorted(ray.util.list_named_actors())

    def deploy(self, names: Sequence[str], store: str, options: Mapping[str, Any], seconds: float) -> None:
        """Start the servers with these names that do not exist, each on a machine of its own if there are enough.

        Args:
            store: the address of the database.
            options: of `_ServerActor`; `threads` is None for all processors of the smallest machine.
            seconds: how long machines are waited for, which an autoscaler may have to start first.

        Raises:
            RayUnreachable: no machine has room for them, or a server could not be started.
        """
        existing = self.servers()
        missing = [name for name in names if name not in existing]
        if not missing:
            return
        self.remove([])  # the placement groups that an interrupted deployment has left
        bundles = _free_bundles(missing)
        unplaced = [name for name in missing if name not in bundles]
        if unplaced:
            group, cores = self._place(unplaced, options["threads"], seconds)
            bundles |= {name: (group, index, cores) for index, name in enumerate(unplaced)}
        actors = []
        for name, (group, index, cores) in bundles.items():
            actor = _ACTOR.options(
                name=name,
                lifetime="detached",
                max_restarts=-1,
                max_task_retries=0,
                num_cpus=cores,
                runtime_env={"env_vars": ENVIRONMENT},
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, index),
            )
            actors.append(actor.remote(name, store, {**options, "threads": cores}))
        try:
            ray.get([actor.report.remote() for actor in actors], timeout=seconds)
        except RayError as error:
            self.remove(missing)
            raise RayUnreachable(f"the servers could not be started: {_reason(error)}") from None

    def _place(self, names: Sequence[str], threads: int | None, seconds: float) -> tuple[PlacementGroup, int]:
        """Reserve processors for servers. Return the placement group, and the number of processors of each server."""
        deadline, join_deadline = (time.monotonic() + limit for limit in (seconds, min(seconds, JOIN_SECONDS)))
        occupied = {machine for group in _groups().values() for machine in group["bundles_to_node_id"].values()}
        while True:
            machines = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
            cores = threads or min((count for count in machines.values() if count), default=1)
            large = [machine for machine, count in machines.items() if count >= cores]
            free = [machine for machine in large if machine not in occupied]
            if len(free) >= len(names) or time.monotonic() >= join_deadline:
                break
            time.sleep(CONNECT_RETRY_SECONDS)
        if not large:
            raise RayUnreachable(f"no machine of the Ray cluster has {cores} processors: add some, or lower --threads")
        bundles, strategy, selectors = [{"CPU": cores}] * len(names), "SPREAD", None
        if len(free) >= len(names):
            strategy = "STRICT_SPREAD"
            selectors = [{"ray.io/node-id": f"!in({','.join(occupied)})"}] * len(names) if occupied else None
        else:
            log.warning("fewer machines than servers: some share one", machines=len(free), servers=len(names))
        placed = False
        try:
            group = placement_group(
                bundles, strategy, ",".join(names), lifetime="detached", bundle_label_selector=selectors
            )
            # In short turns, between which Ctrl-C is handled.
            while not (placed := group.wait(CONNECT_RETRY_SECONDS)) and time.monotonic() < deadline:
                pass
        finally:
            if not placed:
                self.remove([])  # by its name: Ctrl-C may come before Ray has returned the group
        if not placed:
            raise RayUnreachable(f"Ray found no place for {len(names)} servers of {cores} processors each")
        return group, cores

    def restart(self, name: str) -> None:
        """End a server's process; Ray starts it again, from the code that is installed on its machine now."""
        ray.kill(ray.get_actor(name), no_restart=False)

    def remove(self, names: Collection[str]) -> None:
        """End servers for good. A placement group is removed with the last of its servers."""
        for name in names:
            with suppress(ValueError):
                ray.kill(ray.get_actor(name))
        left = set(self.servers()) - set(names)
        for identifier, group in _groups().items():
            if not left.intersection(_names_of(group)):
                remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(identifier))))

    def close(self) -> None:
        """Leave the cluster. Do not wait for a head that is lost."""
        leaving = Thread(target=ray.shutdown, daemon=True)
        leaving.start()
        leaving.join(CALL_SECONDS)


def _require_listener(address: str) -> None:
    """Raise RayUnreachable if nothing listens at HOST:PORT; Ray itself would try for more than a minute."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_SECONDS).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                raise RayUnreachable(
                    f"no Ray cluster answers at {address} ({error.strerror or error}): start one, or name another with "
                    "--shards"
                ) from None
            time.sleep(CONNECT_RETRY_SECONDS)
        else:
            return


def _require_head(address: str) -> None:
    """Raise ConnectionError unless a Ray head answers at HOST:PORT and accepts the token; `ray.init` may hang."""
    command = (sys.executable, "-m", "ray.scripts.scripts", "health-check", f"--address={address}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HEALTH_SECONDS)
    except subprocess.TimeoutExpired:
        raise ConnectionError("the process there does not answer as a Ray head does") from None
    if "AuthToken" in done.stderr or "uthentication" in done.stderr:
        raise ConnectionError("its token is wrong or missing, which RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH names")
    if done.returncode:
        raise ConnectionError("the process there is not a Ray head")


def _groups() -> dict[str, Any]:
    """Return the placement groups of the servers, by their identifiers."""
    return {
        identifier: group
        for identifier, group in placement_group_table().items()
        if group["state"] != "REMOVED" and group["name"].startswith("softkv-")
    }


def _names_of(group: Mapping[str, Any]) -> list[str]:
    """Return the names of the servers of a placement group, which is named after them."""
    names: str = group["name"]
    return names.split(",")


def _free_bundles(names: Collection[str]) -> dict[str, tuple[PlacementGroup, int, int]]:
    """Return the bundles that existing placement groups reserve for servers with these names.

    For each name, these are the group, the bundle's index in it, and its number of processors.
    """
    bundles = {}
    for identifier, group in _groups().items():
        handle = PlacementGroup(ray.PlacementGroupID(bytes.fromhex(identifier)))
        for index, name in enumerate(_names_of(group)):
            if name in names:
                bundles[name] = handle, index, int(group["bundles"][index]["CPU"])
    return bundles


class RayTransport:
    """A transport of messages to servers. A handle stays valid when Ray restarts the actor."""

    def __init__(self) -> None:
        self._actors: dict[str, Any] = {}
        self._searched = set[str]()
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="find servers")

    def send(self, server: str, message: bytes) -> Future[bytes]:
        """Send a message to a server; the future fails with ServerLost if the server is gone or missing."""
        return self._call(server, lambda actor: actor.answer.remote(message))

    def report(self, server: str) -> Future[bytes]:
        """Ask a server for its report, which does not wait for other messages."""
        return self._call(server, lambda actor: actor.report.options(concurrency_group="control").remote())

    def _call(self, server: str, call: Callable[[Any], Any]) -> Future[bytes]:
        reply: Future[bytes] = Future()
        reply.set_running_or_notify_cancel()  # a caller that takes another answer cannot cancel this one
        with self._lock:
            actor, searched = self._actors.get(server), server in self._searched
            if actor is None:
                self._searched.add(server)
        if actor is not None:
            self._begin(server, actor, call, reply)
        elif searched:
            reply.set_exception(ServerLost(f"{server} is not found"))
        else:
            self._threads.submit(self._find, server, call, reply)
        return reply

    def _find(self, server: str, call: Callable[[Any], Any], reply: Future[bytes]) -> None:
        """Find the actor that has this name now, which may wait for Ray's head."""
        try:
            actor = ray.get_actor(server)
        except (ValueError, RayError) as error:
            reply.set_exception(ServerLost(f"{server}: {_reason(error)}"))
        else:
            with self._lock:
                self._actors[server] = actor
            self._begin(server, actor, call, reply)
        finally:
            with self._lock:
                self._searched.discard(server)

    def _begin(self, server: str, actor: Any, call: Callable[[Any], Any], reply: Future[bytes]) -> None:
        try:
            future = call(actor).future()
        except RayError as error:
            self._fail(server, error, reply)
        else:
            future.add_done_callback(lambda done: self._receive(server, done, reply))

    def _receive(self, server: str, done: Future[bytes], reply: Future[bytes]) -> None:
        if (error := done.exception()) is None:
            reply.set_result(done.result())
        else:
            self._fail(server, error, reply)

    def _fail(self, server: str, error: BaseException, reply: Future[bytes]) -> None:
        if isinstance(error, RayError) and not isinstance(error, RayTaskError):
            if isinstance(error, ActorDiedError):  # for good; another may be deployed under this name
                with self._lock:
                    self._actors.pop(server, None)
            error = ServerLost(f"{server}: {_reason(error)}")
        reply.set_exception(error)


def _reason(error: BaseException) -> str:
    """Return an error's message in one line. Of a traceback from another process, this is the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1 if "Traceback" in str(error) or "ray::" in str(error) else 0]
