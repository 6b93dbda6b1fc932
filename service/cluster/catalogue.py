"""The collections of a store whose keys are on nodes, and the status of all nodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from threading import Event, Lock

from attention.lookup import of_bytes, to_bytes
from service.cluster.collection import ShardedCollection
from service.cluster.node.messages import STATUS_CALL, NodeReport
from service.cluster.placement import shard_starts
from service.cluster.router import Router, Transport
from service.encoding import LoadingEncoder
from service.retrieval.collections import ClusterStatus, NodeStatus, SharedCatalogue, start_background
from service.storage import CollectionRecord, Extent, NodeRecord, SharedStore, StorageError

SUMMARY_SECONDS = 5.0
"""Interval between two updates of the summaries that replace lost shards."""
STATUS_CACHE_SECONDS = 1.0
"""Lifetime of a cached cluster status."""


class ShardedCatalogue(SharedCatalogue):
    """The collections of the store by name; this process holds none of their keys.

    Args:
        router: sends messages to the nodes.
        leave: called when the catalogue closes, after its last message.
    """

    def __init__(
        self,
        store: SharedStore,
        encoder: LoadingEncoder | None,
        router: Router,
        leave: Callable[[], object] | None = None,
    ) -> None:
        self.router = router
        self._leave = leave
        self._closed = Event()
        self._status: tuple[float, ClusterStatus] | None = None  # expiry, status
        self._asking = Lock()
        super().__init__(store, encoder)

    def close(self) -> None:
        """Close the catalogue: stop its background work, and leave the cluster."""
        self._closed.set()
        super().close()
        if self._leave is not None:
            self._leave()

    def rebuild(self) -> None:
        """Wait in background threads until nodes hold all shards, and add collections that other services create."""
        for collection in self.collections():
            if isinstance(collection, ShardedCollection):
                collection.read_in_background()
        start_background(self._follow, "follow the store")
        start_background(self._summarise, "keep sums of ranges")

    def shards(self) -> ClusterStatus:
        """Return the status of all nodes. Blocks while it reads the store, and while nodes do not answer."""
        with self._asking:
            if self._status is None or self._status[0] <= time.monotonic():
                try:
                    status = read_cluster_status(self._shared, self.router.copies, self.router.transport)
                except StorageError:
                    status = ClusterStatus(self.router.copies, None, None, None, ())
                self._status = time.monotonic() + STATUS_CACHE_SECONDS, status
            return self._status[1]

    def _summarise(self) -> None:
        """Update the collections' key summaries, which answers use for lost shards, until the catalogue is closed."""
        while not self._closed.wait(SUMMARY_SECONDS):
            for collection in self.collections():
                if isinstance(collection, ShardedCollection):
                    collection.summarise()

    def _of(self, record: CollectionRecord, *, ready: bool) -> ShardedCollection:
        return ShardedCollection(record, self._shared, self.encoder, ready=ready, router=self.router)


REPORT_TIMEOUT_SECONDS = 1.0
"""Time limit for the nodes' reports."""


def read_cluster_status(store: SharedStore, copies: int, transport: Transport | None = None) -> ClusterStatus:
    """Return the status of all nodes, from the store and from the reports of reachable nodes.

    Raises StorageError.
    """
    extents, nodes, holders = store.extents(), store.nodes.live(), store.nodes.holders()
    reports = {} if transport is None else _fetch_reports(transport, nodes)
    ready = Counter((replica.collection, replica.first_row) for replica in holders)
    replica_counts = Counter(replica.node.name for replica in holders)
    counts = [
        ready[number, first_row] for number, extent in extents.items() for first_row in shard_starts(extent.next_row)
    ]
    return ClusterStatus(
        copies,
        ranges=len(counts),
        whole=sum(count >= copies for count in counts),
        unheld=counts.count(0),
        slots=tuple(_node_status(node, replica_counts[node.name], reports.get(node.name), extents) for node in nodes),
    )


def _fetch_reports(transport: Transport, nodes: Sequence[NodeRecord]) -> dict[str, NodeReport]:
    """Ask all nodes at once for their reports; return those that arrive in time."""
    message = to_bytes({"call": STATUS_CALL}, {})
    names = {transport.send(node.name, message): node.name for node in nodes}
    done, _ = wait(names, REPORT_TIMEOUT_SECONDS)
    return {names[future]: NodeReport.of(of_bytes(future.result())[0]) for future in done if future.exception() is None}


def _node_status(node: NodeRecord, ranges: int, report: NodeReport | None, extents: Mapping[int, Extent]) -> NodeStatus:
    if report is None:
        return NodeStatus(*node, ranges, None, None, None, None)
    # The lag at the time when the store was read; the node reported later, so it may be smaller now.
    lags = [extents[number].version - version for number, version in report.versions.items() if number in extents]
    return NodeStatus(*node, ranges, report.rows, report.coming, max([0, *lags]), report.trouble)
