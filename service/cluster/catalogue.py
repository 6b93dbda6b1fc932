"""The collections of a store whose keys lie with slots, and what is told of these."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from threading import Lock

from attention.lookup import of_bytes, to_bytes
from service.cluster.calling import Calling, Transport
from service.cluster.collection import ShardedCollection
from service.cluster.placement import ranges_of
from service.cluster.question import STANDING, ShardStanding
from service.encoding import LoadingEncoder
from service.retrieval import Shards, SlotStanding
from service.retrieval.collections import SharedCatalogue, in_background
from service.storage import CollectionRecord, Extent, SharedStore, Slot, StorageError

STANDING_SECONDS = 1.0
"""How long slots have to say what they have, and how long that is told to whoever asks then."""


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
        calling: Calling,
        leave: Callable[[], object] | None = None,
    ) -> None:
        self.calling = calling
        self._leave = leave
        self._shards: tuple[float, Shards] | None = None  # until when they are told, and what
        self._asking = Lock()
        super().__init__(store, encoder)

    def close(self) -> None:
        """Leave the cluster."""
        super().close()
        if self._leave is not None:
            self._leave()

    def rebuild(self) -> None:
        """Wait for slots to hold what there is, in threads of their own, and see from now on what others create."""
        for collection in self.collections():
            if isinstance(collection, ShardedCollection):
                collection.read_in_background()
        in_background(self._follow, "follow the store")

    def _of(self, record: CollectionRecord, *, ready: bool) -> ShardedCollection:
        return ShardedCollection(record, self._shared, self.encoder, ready=ready, calling=self.calling)

    def shards(self) -> Shards:
        """What slots there are and what they hold; blocks, for the store and for slots that do not answer."""
        with self._asking:
            if self._shards is None or self._shards[0] <= time.monotonic():
                try:
                    found = shards_of(self._shared, self.calling.copies, self.calling.transport)
                except StorageError:
                    found = Shards(self.calling.copies, None, None, None, ())
                self._shards = time.monotonic() + STANDING_SECONDS, found
            return self._shards[1]


def shards_of(store: SharedStore, copies: int, transport: Transport | None = None) -> Shards:
    """What slots there are and what they hold, as the store knows it; the rest as they say, where they can be asked.

    Raises StorageError.
    """
    extents, slots, holders = store.extents(), store.slots.present(), store.slots.holders()
    told = {} if transport is None else _told(transport, slots)
    ready = Counter((each.collection, each.first_row) for each in holders)
    held = Counter(each.slot.name for each in holders)
    counts = [
        ready[number, first_row] for number, extent in extents.items() for first_row in ranges_of(extent.next_row)
    ]
    return Shards(
        copies,
        ranges=len(counts),
        whole=sum(each >= copies for each in counts),
        unheld=counts.count(0),
        slots=tuple(_standing(each, held[each.name], told.get(each.name), extents) for each in slots),
    )


def _told(transport: Transport, slots: Sequence[Slot]) -> dict[str, ShardStanding]:
    """What the slots say that answer in time; all are asked at once."""
    message = to_bytes({"call": STANDING}, {})
    asked = {transport.ask(each.name, message): each.name for each in slots}
    answered, _ = wait(asked, STANDING_SECONDS)
    return {asked[each]: ShardStanding.of(of_bytes(each.result())[0]) for each in answered if each.exception() is None}


def _standing(slot: Slot, ranges: int, told: ShardStanding | None, extents: Mapping[int, Extent]) -> SlotStanding:
    if told is None:
        return SlotStanding(*slot, ranges, None, None, None, None)
    # What it has not followed yet of what the store had before it was asked.
    lags = [extents[number].version - version for number, version in told.versions.items() if number in extents]
    return SlotStanding(*slot, ranges, told.rows, told.coming, max([0, *lags]), told.trouble)
