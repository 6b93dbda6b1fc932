"""The collections of a store whose keys lie on nodes, and what all nodes hold."""

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

SUMMARISED_SECONDS = 5.0
"""Between two looks at what is kept of ranges in case that they go missing."""
TOLD_SECONDS = 1.0
"""How long what slots said of themselves is told to others who ask."""


class ShardedCatalogue(SharedCatalogue):
    """Collections by name, as the store has them; none of their keys is in this process.

    Args:
        calling: asks the slots.
        leave: is called when the catalogue is closed, and nobody is asked any more.
    """

    def __init__(
        self,
        store: SharedStore,
        encoder: LoadingEncoder | None,
        calling: Router,
        leave: Callable[[], object] | None = None,
    ) -> None:
        self.calling = calling
        self._leave = leave
        self._closed = Event()
        self._told: tuple[float, ClusterStatus] | None = None  # until when, and what
        self._asking = Lock()
        super().__init__(store, encoder)

    def close(self) -> None:
        """Leave the cluster."""
        self._closed.set()
        super().close()
        if self._leave is not None:
            self._leave()

    def rebuild(self) -> None:
        """Wait for slots to hold what there is, in threads of their own, and see from now on what others create."""
        for collection in self.collections():
            if isinstance(collection, ShardedCollection):
                collection.read_in_background()
        start_background(self._follow, "follow the store")
        start_background(self._summarise, "keep sums of ranges")

    def shards(self) -> ClusterStatus:
        """What slots there are and what they hold; blocks, for the store and for slots that do not answer."""
        with self._asking:
            if self._told is None or self._told[0] <= time.monotonic():
                try:
                    found = read_cluster_status(self._shared, self.calling.copies, self.calling.transport)
                except StorageError:
                    found = ClusterStatus(self.calling.copies, None, None, None, ())
                self._told = time.monotonic() + TOLD_SECONDS, found
            return self._told[1]

    def _summarise(self) -> None:
        """Until the catalogue is closed."""
        while not self._closed.wait(SUMMARISED_SECONDS):
            for collection in self.collections():
                if isinstance(collection, ShardedCollection):
                    collection.summarise()

    def _of(self, record: CollectionRecord, *, ready: bool) -> ShardedCollection:
        return ShardedCollection(record, self._shared, self.encoder, ready=ready, calling=self.calling)


STANDING_SECONDS = 1.0
"""How long slots have to say what they have."""


def read_cluster_status(store: SharedStore, copies: int, transport: Transport | None = None) -> ClusterStatus:
    """What slots there are and what they hold, as the store knows it; the rest as they say, where they can be asked.

    Raises StorageError.
    """
    extents, slots, holders = store.extents(), store.nodes.live(), store.nodes.holders()
    told = {} if transport is None else _told(transport, slots)
    ready = Counter((each.collection, each.first_row) for each in holders)
    held = Counter(each.node.name for each in holders)
    counts = [
        ready[number, first_row] for number, extent in extents.items() for first_row in shard_starts(extent.next_row)
    ]
    return ClusterStatus(
        copies,
        ranges=len(counts),
        whole=sum(each >= copies for each in counts),
        unheld=counts.count(0),
        slots=tuple(_standing(each, held[each.name], told.get(each.name), extents) for each in slots),
    )


def _told(transport: Transport, slots: Sequence[NodeRecord]) -> dict[str, NodeReport]:
    """What the slots say that answer in time; all are asked at once."""
    message = to_bytes({"call": STATUS_CALL}, {})
    asked = {transport.send(each.name, message): each.name for each in slots}
    answered, _ = wait(asked, STANDING_SECONDS)
    return {asked[each]: NodeReport.of(of_bytes(each.result())[0]) for each in answered if each.exception() is None}


def _standing(slot: NodeRecord, ranges: int, told: NodeReport | None, extents: Mapping[int, Extent]) -> NodeStatus:
    if told is None:
        return NodeStatus(*slot, ranges, None, None, None, None)
    # What it has not followed yet of what the store had before it was asked.
    lags = [extents[number].version - version for number, version in told.versions.items() if number in extents]
    return NodeStatus(*slot, ranges, told.rows, told.coming, max([0, *lags]), told.trouble)
