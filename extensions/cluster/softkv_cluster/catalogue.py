"""The collections of a store whose keys are on shard servers, and the status of these servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event

from softkv_cluster.collection import ShardedCollection
from softkv_cluster.messages import ServerReport
from softkv_cluster.placement import shard_starts
from softkv_cluster.router import Router
from softkv_service.encoding import Encoders
from softkv_service.retrieval.collections import (
    Clock,
    ClusterStatus,
    ServerStatus,
    SharedCatalogue,
    read_clock,
    start_background,
)
from softkv_service.storage import SharedStore
from softkv_service.storage.errors import StorageError
from softkv_service.storage.records import ClusterPlan, CollectionRecord, Extent

SUMMARY_SECONDS = 5.0
"""Interval between two updates of the summaries that replace lost shards."""


class ShardedCatalogue(SharedCatalogue):
    """The collections of the store by name; this process holds none of their keys.

    Args:
        router: sends messages to the servers.
        leave: called when the catalogue closes, after its last message.
        clock: the clock by which documents expire.
    """

    def __init__(
        self,
        store: SharedStore,
        encoders: Encoders | None,
        router: Router,
        leave: Callable[[], object] | None = None,
        clock: Clock = read_clock,
    ) -> None:
        self.router = router
        self._leave = leave
        self._closed = Event()
        super().__init__(store, encoders, clock=clock)

    def close(self) -> None:
        """Close the catalogue: stop its background work, and leave the Ray cluster."""
        self._closed.set()
        self.router.roster.close()
        super().close()
        if self._leave is not None:
            self._leave()

    def rebuild(self) -> None:
        """Wait in background threads until servers hold all shards, and add collections that other services create."""
        self.router.roster.start()
        for collection in [*self.collections(), *self._shadows.values()]:
            if isinstance(collection, ShardedCollection):
                collection.read_in_background()
        start_background(self._follow, "follow the store")
        start_background(self._summarise, "keep sums of ranges")

    def shards(self) -> ClusterStatus:
        """Return the status of all servers, as last reported. Blocks while it reads the store."""
        roster = self.router.roster
        try:
            extents = self._shared.extents()
        except StorageError:
            extents = None
        return cluster_status(extents, roster.plan, roster.reports)

    def _summarise(self) -> None:
        """Update the collections' key summaries, which answers use for lost shards, until the catalogue is closed."""
        while not self._closed.wait(SUMMARY_SECONDS):
            for collection in self.collections():
                if isinstance(collection, ShardedCollection):
                    collection.summarise()

    def _of(self, record: CollectionRecord, *, ready: bool) -> ShardedCollection:
        collection = ShardedCollection(
            record, self._shared, self.encoders, ready=ready, router=self.router, clock=self.clock
        )
        collection.look = self.look
        return collection


def cluster_status(
    extents: Mapping[int, Extent] | None, plan: ClusterPlan | None, reports: Mapping[str, ServerReport]
) -> ClusterStatus:
    """Return the status of all servers, and of the replicas of all shards.

    Args:
        extents: of every collection; None while the store is unavailable, so that shards cannot be counted.
        reports: of the servers that answered, by name.
    """
    planned, copies = ((), 0) if plan is None else (plan.names, plan.copies)
    servers = tuple(
        _server_status(name, reports.get(name), extents or {}, leaving=name not in planned)
        for name in sorted({*planned, *(name for name, report in reports.items() if report.ready)})
    )
    if extents is None:
        return ClusterStatus(copies, None, None, None, servers)
    ready = Counter(shard for report in reports.values() for shard in report.ready)
    counts = [ready[number, row] for number, extent in extents.items() for row in shard_starts(extent.next_row)]
    complete = sum(count >= max(1, min(copies, len(planned))) for count in counts)
    return ClusterStatus(copies, ranges=len(counts), whole=complete, unheld=counts.count(0), servers=servers)


def _server_status(
    name: str, report: ServerReport | None, extents: Mapping[int, Extent], *, leaving: bool
) -> ServerStatus:
    if report is None:
        return ServerStatus(name, None, leaving, 0, None, None, None, None)
    # The store may have been read after the report, so the lag may be smaller now.
    versions = (report.versions or {}).items()
    lag = max([0, *(extents[number].version - version for number, version in versions if number in extents)])
    return ServerStatus(
        name, report.machine, leaving, len(report.ready), report.rows, report.coming, lag, report.trouble
    )
