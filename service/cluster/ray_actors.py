"""Nodes as Ray actors, and a transport of messages to them. Only this file imports ray, so that Ray can be replaced.

`service.cluster.ray_node.prepare` has to be called before this is imported: Ray reads the environment once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.cluster.errors import ClusterUnreachable, NodeLost, NodeNameTaken
from service.cluster.ray_node import RayNode, check_head, find_or_start_head

NAMESPACE = "softkv"
MAX_CONCURRENT_CALLS = 16
RETRY_SECONDS = 0.2
"""Interval between two searches for a lost node."""
LOOK_SECONDS = 5.0
START_SECONDS = 600.0


class _NodeActor:
    """The Ray actor of a node. When Ray restarts the actor's process, it creates this object again."""

    def __init__(self, factory: str, arguments: Mapping[str, Any]) -> None:
        module, _, name = factory.partition(":")
        self._node = getattr(import_module(module), name)(**arguments)

    def answer(self, message: bytes) -> bytes:
        response: bytes = self._node.answer(message)
        return response

    def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(self._node, method)(**arguments)

    def where(self) -> str:
        return str(ray.get_runtime_context().get_node_id())


# Control calls do not wait for queries.
_ACTOR = ray.remote(concurrency_groups={"control": 2}, max_concurrency=MAX_CONCURRENT_CALLS)(_NodeActor)


def _stop_error_listener() -> None:
    """Stop the Ray thread that prints the head's errors: without a head it uses a whole core."""
    stop = getattr(ray._private.worker.global_worker, "threads_stopped", None)
    if stop is not None:
        stop.set()


class Membership:
    """This process as a Ray driver in a cluster, through a Ray node of its own.

    Args:
        address: `ray://HOST:PORT` of the head; `auto` for this machine's cluster, which is started if necessary.
        folder: a folder of this user; with `auto` it stores the cluster's address and token.

    Attributes:
        address: `HOST:PORT` of the head.
        node: the id of this process's Ray node.

    Raises: ClusterUnreachable; TokenRefused.
    """

    def __init__(self, address: str, folder: Path) -> None:
        head: RayNode | None = None
        if address == "auto":
            self.address, head = find_or_start_head(folder)
        else:
            self.address = address.removeprefix("ray://")
            check_head(self.address)
        self._ray_node = head or RayNode(self.address)
        try:
            ray.init(
                address=self.address,
                namespace=NAMESPACE,
                _temp_dir=str(self._ray_node.folder),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (RayError, ConnectionError, RuntimeError) as error:
            self._ray_node.close()
            raise ClusterUnreachable(f"the cluster at {self.address} could not be joined: {error}") from None
        _stop_error_listener()
        self.node = str(ray.get_runtime_context().get_node_id())
        self._nodes = set[str]()

    def ended(self, seconds: float) -> bool:
        """Wait up to `seconds`, and return whether this process's Ray node has ended."""
        return self._ray_node.ended.wait(seconds)

    def start(self, name: str, factory: str, arguments: Mapping[str, Any], seconds: float = START_SECONDS) -> None:
        """Start a node of softkv as a Ray actor on this machine, and wait until it answers.

        If the actor's process ends, Ray restarts it on this machine. The actor may outlive this process, but not this
        process's Ray node.

        Args:
            factory: creates the object with `answer(message)`, as `package.module:name`.
            arguments: plain arguments of the factory.

        Raises:
            NodeNameTaken: another live machine has a node of this name.
            NodeLost: the node could not be created, for the reason in the text.
        """
        deadline = time.monotonic() + seconds
        self._clear(name)
        while True:
            try:
                actor = _ACTOR.options(
                    name=name,
                    lifetime="detached",
                    max_restarts=-1,
                    max_task_retries=0,
                    num_cpus=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(self.node, soft=False),
                ).remote(factory, dict(arguments))
                break
            except ValueError:  # the name is taken until Ray has noticed that its actor is gone
                if time.monotonic() > deadline:
                    raise NodeNameTaken(f"the name {name} is still taken: choose other names with --name") from None
                time.sleep(RETRY_SECONDS)
        try:
            ray.get(actor.where.options(concurrency_group="control").remote(), timeout=deadline - time.monotonic())
        except RayError as error:
            ray.kill(actor)
            raise NodeLost(f"{name} could not be started: {_reason(error)}") from None
        self._nodes.add(name)

    def call(self, node: str, method: str, /, seconds: float = LOOK_SECONDS, **arguments: Any) -> Any:
        """Call a method of the object in a node's actor, and return the result. Raise NodeLost if the actor is gone."""
        try:
            actor = ray.get_actor(node, NAMESPACE)
            reply = actor.call.options(concurrency_group="control").remote(method, arguments)
            return ray.get(reply, timeout=seconds)
        except (ValueError, RayError) as error:
            raise NodeLost(f"{node}: {_reason(error)}") from None

    def end(self, node: str) -> None:
        """End a node's actor; do nothing if it is gone already."""
        with suppress(ValueError):
            ray.kill(ray.get_actor(node, NAMESPACE))

    def close(self) -> None:
        """Leave the cluster, and end the nodes on this machine. Do not wait for a head that is lost."""
        leaving = threading.Thread(target=self._leave, daemon=True)
        leaving.start()
        leaving.join(LOOK_SECONDS)
        self._ray_node.close()

    def _leave(self) -> None:
        for node in self._nodes:
            self.end(node)
        ray.shutdown()

    def _clear(self, name: str) -> None:
        """End a node of this name that an earlier process on this machine left behind.

        Raise NodeNameTaken if a node of another machine has the name and answers.
        """
        try:
            actor = ray.get_actor(name, NAMESPACE)
        except ValueError:
            return
        with suppress(RayError):
            owner = ray.get(actor.where.options(concurrency_group="control").remote(), timeout=LOOK_SECONDS)
            if owner != self.node:
                raise NodeNameTaken(f"another machine has a node {name}: choose other names with --name")
        ray.kill(actor)


class RayTransport:
    """A transport of messages to nodes; no call blocks a thread, and `send` never waits.

    The transport looks for a lost node in the background. Until the node is found, calls to it fail immediately.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actors: dict[str, Any] = {}
        self._searches: dict[str, Future[Any]] = {}
        self._lost: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="slots")

    def send(self, node: str, message: bytes) -> Future[bytes]:
        """Send a message to a node; the future fails with NodeLost if the node is gone or missing."""
        reply: Future[bytes] = Future()
        reply.set_running_or_notify_cancel()  # a caller that takes another answer cannot cancel this one
        with self._lock:
            actor = self._actors.get(node)
            lost = node in self._lost
            search = None if actor is not None else self._search(node)
        if actor is not None:
            self._call(node, actor, message, reply)
        elif lost or search is None:
            reply.set_exception(NodeLost(f"{node} does not answer"))
        else:
            search.add_done_callback(lambda actor_future: self._call(node, actor_future.result(), message, reply))
        return reply

    def close(self) -> None:
        """Stop the background search for lost nodes."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, node: str, actor: Any, message: bytes, reply: Future[bytes]) -> None:
        if actor is None:
            reply.set_exception(NodeLost(f"{node} does not answer"))
            return
        try:
            call = actor.answer.remote(message).future()
        except RayError as error:
            self._lose(node, actor)
            reply.set_exception(NodeLost(f"{node}: {_reason(error)}"))
        else:
            call.add_done_callback(lambda done: self._receive(node, actor, done, reply))

    def _receive(self, node: str, actor: Any, done: Future[bytes], reply: Future[bytes]) -> None:
        error = done.exception()
        if error is None:
            reply.set_result(done.result())
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            self._lose(node, actor)
            reply.set_exception(NodeLost(f"{node}: {_reason(error)}"))
        else:
            reply.set_exception(error)

    def _lose(self, node: str, actor: Any) -> None:
        with self._lock:
            if self._actors.get(node) is actor:
                del self._actors[node]
                self._lost.add(node)
            self._search(node)

    def _search(self, node: str) -> Future[Any] | None:
        """Start or continue the search for a node, and return it; None if a search failed a moment ago.

        The caller holds the lock.
        """
        if node in self._actors:
            return None
        if node not in self._searches:
            if time.monotonic() < self._retry_at.get(node, 0):
                return None
            self._searches[node] = self._threads.submit(self._find, node)
        return self._searches[node]

    def _find(self, node: str) -> Any:
        """Return the actor that has this node's name now, or None if no actor has the name or answers."""
        result: Any = None
        with suppress(ValueError, RayError):
            actor = ray.get_actor(node, NAMESPACE)
            ray.get(actor.where.options(concurrency_group="control").remote(), timeout=LOOK_SECONDS)
            result = actor
        with self._lock:
            del self._searches[node]
            if result is not None:
                self._actors[node] = result
                self._lost.discard(node)
            else:
                self._lost.add(node)
                self._retry_at[node] = time.monotonic() + RETRY_SECONDS
        return result


def _reason(error: BaseException) -> str:
    """Return an error's message in one line. Of a traceback from another process, this is the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1 if "Traceback" in str(error) or "ray::" in str(error) else 0]
