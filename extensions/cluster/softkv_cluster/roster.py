"""The servers of a cluster, and the shards that each of them holds, as last reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Protocol

from softkv_cluster.messages import ServerReport, ShardId
from softkv_cluster.placement import place_shard
from softkv_service.retrieval.collections import start_background
from softkv_service.storage import SharedStore
from softkv_service.storage.errors import StorageError
from softkv_service.storage.records import ClusterPlan

REFRESH_SECONDS = 0.5
"""Interval between two rounds of reports."""
REPORT_TIMEOUT_SECONDS = 1.0


class Transport(Protocol):
    """A transport that carries messages to servers and brings back their answers; calls never wait."""

    def send(self, server: str, message: bytes) -> Future[bytes]:
        """Send a message to a server and return its answer; the future fails with ServerLost if the server is gone."""

    def report(self, server: str) -> Future[bytes]:
        """Ask a server for its report, which does not wait for other messages."""


def fetch_reports(transport: Transport, servers: Collection[str]) -> dict[str, ServerReport]:
    """Ask servers for their reports at once; return those that arrive within a second, by the servers' names."""
    names = {transport.report(name): name for name in servers}
    done, _ = wait(names, REPORT_TIMEOUT_SECONDS)
    return {names[future]: ServerReport.of_bytes(future.result()) for future in done if future.exception() is None}


@dataclass(frozen=True)
class _Round:
    """One round of reports.

    Attributes:
        number: how many rounds there were before.
        ready: for each shard, the servers that hold it.
        holders: cached results of `Roster.holders`.
    """

    number: int = 0
    plan: ClusterPlan | None = None
    reports: Mapping[str, ServerReport] = field(default_factory=dict)
    ready: Mapping[ShardId, Sequence[str]] = field(default_factory=dict)
    holders: dict[ShardId, tuple[str, ...]] = field(default_factory=dict)


class Roster:
    """The servers of the store's plan, with their last reports; used by many threads.

    Args:
        store: has the plan.
        servers: the names of servers that run now. Those beyond the plan may still hold shards that others are loading.
    """

    def __init__(self, store: SharedStore, transport: Transport, servers: Collection[str] = ()) -> None:
        self._store, self._transport = store, transport
        self._names = set(servers)
        self._round = _Round()
        self._refreshing = Lock()
        self._closed = Event()

    def start(self) -> None:
        """Refresh the reports in a background thread until `close`."""
        start_background(self._run, "watch servers")

    def close(self) -> None:
        """Stop the background thread."""
        self._closed.set()

    def refresh(self) -> None:
        """Read the cluster's plan from the store, and ask all shard servers for their reports.

        The plan says which servers should hold which shards; a report says which shards a server has ready. While the
        store is unavailable, the last plan is kept.
        """
        number = self._round.number
        with self._refreshing:
            if self._round.number > number + 1:  # another thread has done the same since
                return
            plan = self._round.plan
            with suppress(StorageError):
                plan = self._store.cluster_plan()
            self._names.update(plan.names if plan is not None else ())
            reports = fetch_reports(self._transport, self._names)
            ready = defaultdict[ShardId, list[str]](list)
            for name in sorted(reports):
                for shard in reports[name].ready:
                    ready[shard].append(name)
            self._round = _Round(self._round.number + 1, plan, reports, ready)

    @property
    def plan(self) -> ClusterPlan | None:
        """The plan as last read; None if no servers are deployed."""
        return self._latest().plan

    @property
    def reports(self) -> Mapping[str, ServerReport]:
        """The last reports of the servers that answered, by name."""
        return self._latest().reports

    @property
    def number(self) -> int:
        """The number of rounds of reports so far."""
        return self._latest().number

    def is_held(self, shard: ShardId) -> bool:
        """Return whether a server reported that it holds a shard."""
        return shard in self._latest().ready

    def holders(self, shard: ShardId) -> tuple[str, ...]:
        """Return the servers to ask about a shard: those that hold it, then those that should load it."""
        latest = self._latest()
        if (names := latest.holders.get(shard)) is None:
            ready, plan = latest.ready.get(shard, ()), latest.plan
            placed = () if plan is None else place_shard(*shard, plan.names, plan.copies)
            ordered = [name for name in placed if name in ready] + [name for name in ready if name not in placed]
            names = latest.holders[shard] = (*ordered, *(name for name in placed if name not in ready))
        return names

    def _latest(self) -> _Round:
        if not self._round.number:
            self.refresh()
        return self._round

    def _run(self) -> None:
        while not self._closed.wait(REFRESH_SECONDS):
            self.refresh()
