"""The collections of a store whose keys lie with slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock

from service.cluster.calling import Calling
from service.cluster.collection import ShardedCollection
from service.cluster.standing import shards_of
from service.encoding import LoadingEncoder
from service.retrieval.collections import ClusterStatus, SharedCatalogue, start_background
from service.storage import CollectionRecord, SharedStore, StorageError

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
        calling: Calling,
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
                    found = shards_of(self._shared, self.calling.copies, self.calling.transport)
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
