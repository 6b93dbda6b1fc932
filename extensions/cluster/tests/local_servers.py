"""Shard servers in this process, over a real PostgreSQL; messages are bytes, as between machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np

from softkv_cluster.lookup import of_bytes, respond, to_bytes
from softkv_cluster.messages import ShardId
from softkv_cluster.service import (
    ServerLost,
    ServerReport,
    ShardServer,
    choose_servers,
    fetch_reports,
    place_shard,
    shard_starts,
)
from softkv_service.storage import SharedStore, open_shared
from softkv_service.storage.records import ClusterPlan
from tests.waiting import until

PASSING = "passing rows"


def respond_rows(views: Any, mask: Any, view: Any, fields: Any, arrays: Any, bias: Any = None) -> Any:
    """Answer the message PASSING with the passing row numbers of all keys, and others as a server does."""
    if fields.get("call") != PASSING:
        return respond(views, mask, view, fields, arrays, bias)
    rows = [segment.numbers if passing is None else segment.numbers[passing] for segment, passing in view.passing(mask)]
    return {}, {"rows": np.sort(np.concatenate([np.empty(0, np.int64), *rows]))}


class LocalServers:
    """The transport to these servers.

    Args:
        servers, copies: the plan; 0 servers for none.
        clock: seconds of a clock that the test moves. Then nothing happens by itself: `step` syncs, and messages are
            answered in the caller's thread. None runs each server in threads.
        connect: opens a server's store.
        options: of each `ShardServer`.

    Attributes:
        lost: servers that answer nothing.
        slow: the delay of each slow server, in seconds.
        calls: the server and the size of every message.
    """

    def __init__(
        self,
        address: str,
        servers: int = 0,
        copies: int = 2,
        *,
        clock: Callable[[], float] | None = None,
        connect: Callable[[str], SharedStore] = open_shared,
        **options: Any,
    ) -> None:
        self.servers: dict[str, ShardServer] = {}
        self.lost, self.slow = set[str](), dict[str, float]()
        self.calls = list[tuple[str, int]]()
        self.store = open_shared(address)
        self._address, self._connect, self._manual = address, connect, clock is not None
        # Longer than a coordinator takes to read all reports again.
        self._options = {"respond": respond_rows, "grace": 1.5 if clock is None else 0.0, **options}
        if clock is not None:
            self._options |= {"clock": clock, "submit": lambda work: work()}
        self._stores: dict[str, SharedStore] = {}
        self._threads = ThreadPoolExecutor(16)
        if servers:
            self.deploy(servers, copies)

    def deploy(self, servers: int, copies: int) -> ClusterPlan:
        """Start the missing servers of a plan, and set it. Servers beyond the plan stay."""
        names = choose_servers(None, (), servers)
        for name in names:
            if name not in self.servers:
                self.start(name)
        plan = self.store.set_cluster_plan(names, copies)
        assert plan is not None
        return plan

    def start(self, name: str) -> ShardServer:
        """Start a server, which holds nothing yet."""
        self._stores[name] = self._connect(self._address)

        def peers(names: Collection[str]) -> dict[str, ServerReport]:
            return fetch_reports(self, names)

        server = ShardServer(name, f"machine of {name}", self._stores[name], peers, **self._options)
        self.servers[name] = server
        if not self._manual:
            server.start()
        return server

    def kill(self, name: str) -> None:
        """Stop a server without notice to others."""
        self.servers.pop(name).close()
        self._stores.pop(name).close()

    def step(self, *names: str) -> None:
        """Sync and tidy these servers, or all, once each."""
        for name in names or list(self.servers):
            self.servers[name].step()
            self.servers[name].tidy()

    def send(self, server: str, message: bytes) -> Future[bytes]:
        self.calls.append((server, len(message)))
        return self._call(server, lambda: self.servers[server].answer(message))

    def report(self, server: str) -> Future[bytes]:
        return self._call(server, lambda: self.servers[server].report.to_bytes())

    def _call(self, server: str, work: Callable[[], bytes]) -> Future[bytes]:
        def run() -> bytes:
            time.sleep(self.slow.get(server, 0.0))
            if server in self.lost or server not in self.servers:
                raise ServerLost(f"{server} is lost")
            return work()

        if not self._manual:
            return self._threads.submit(run)
        reply: Future[bytes] = Future()
        try:
            reply.set_result(run())
        except ServerLost as error:
            reply.set_exception(error)
        return reply

    def ask(
        self,
        server: str,
        collection: int,
        version: int,
        first_rows: Sequence[int] = (0,),
        *,
        condition: Any = None,
        call: str = PASSING,
        seconds: float = 0.0,
        expired_until: int | None = None,
    ) -> Any:
        """Send one message to one server; return the rows of its answer, or the fields of its refusal."""
        fields = {"collection": collection, "version": version, "ranges": list(first_rows), "seconds": seconds}
        fields |= {"expired_until": expired_until}
        fields |= {"call": call, "condition": None if condition is None else json.dumps(condition)}
        reply, arrays = of_bytes(self.servers[server].answer(to_bytes(fields, {})))
        return arrays["rows"].tolist() if "rows" in arrays else reply

    def held(self) -> dict[str, frozenset[ShardId]]:
        """Return the shards that each server reports."""
        return {name: server.report.ready for name, server in self.servers.items()}

    def placed(self) -> dict[str, frozenset[ShardId]]:
        """Return the shards that each server should hold, by the plan."""
        plan = self.store.cluster_plan()
        shards = [
            (number, row) for number, extent in self.store.extents().items() for row in shard_starts(extent.next_row)
        ]
        holders = {shard: () if plan is None else place_shard(*shard, plan.names, plan.copies) for shard in shards}
        return {name: frozenset(shard for shard in shards if name in holders[shard]) for name in self.servers}

    def settle(self) -> None:
        """Wait until each server holds exactly the shards that it should."""
        until(lambda: self.held() == self.placed(), told=lambda: (self.held(), self.placed()))

    def close(self) -> None:
        for name in list(self.servers):
            with suppress(Exception):
                self.kill(name)
        self._threads.shutdown()
        self.store.close()
