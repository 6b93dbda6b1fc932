"""The collections of a store that other processes write, too: looked at again before each call that is about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from service.encoding import LoadingEncoder
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.compaction import start_background
from service.retrieval.collections.following import ReplicatedCollection
from service.retrieval.errors import RetrievalError
from service.scheduling import READS
from service.storage import CollectionRecord, SharedStore, StorageError, StoreClosed, StoreUnavailable, Writer

POLL_SECONDS = 0.2
"""Between two looks at what others wrote, so that a question finds little left to follow."""
RETRY_SECONDS = 1.0
UNKNOWN_VERSION = -1
"""A number of catalogue changes that no store can have."""
MAX_REPLAYED_DOCUMENTS = 10_000
"""Documents of a collection that is new here, up to which a question may wait for them."""


class SharedCatalogue(Catalogue):
    """Collections by name, as the store has them; what others create, change and delete is seen."""

    def __init__(
        self,
        store: SharedStore,
        encoder: LoadingEncoder | None,
        originals: Path | None = None,
    ) -> None:
        self._shared = store
        self._seen = store.catalogue()  # before they are read: what happens between is looked at again
        self._looking = Lock()
        super().__init__(store, encoder, originals)

    def rebuild(self) -> None:
        """Read every collection's keys into memory, the smallest first; from then on they follow the store."""
        while True:
            try:
                super().rebuild()
                break
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
        start_background(self._follow, "follow the store")

    async def refresh(self) -> None:
        """Have what there is be what the store has now.

        Raises:
            StorageError: the store cannot be asked.
        """
        await READS.run(self.look)

    def look(self) -> None:
        """The same; blocks."""
        if self._shared.catalogue() == self._seen:
            return
        with self._looking:
            before = dict(self._collections)
            seen = self._shared.catalogue()
            with self.store.reading() as reader:
                there = {record.name: record for record in reader.collections()}
            for name, collection in before.items():
                if name not in there or there[name].id != collection.record.id:
                    self._deleted(name)
            for name, record in there.items():
                if (known := self._collections.get(name)) is None:
                    self._discovered(record)
                else:
                    known.record = record
            self._seen = seen

    def _publish_after(self, writer: Writer, publish: Callable[[], object]) -> None:
        """Publish after the commit, and make the next refresh read everything again.

        Two writers may publish in another order than they committed, so a publication may be older than memory.
        """

        def publish_and_look_again() -> None:
            with self._looking:
                publish()
                self._seen = UNKNOWN_VERSION

        writer.after_commit(publish_and_look_again)

    def _discovered(self, record: CollectionRecord) -> None:
        """One that is new here: a small one follows from its beginning, a large one is read."""
        collection = self._of(record, ready=record.documents <= MAX_REPLAYED_DOCUMENTS)
        self._collections[record.name] = collection
        if not collection.ready:
            collection.read_in_background()

    def _of(self, record: CollectionRecord, *, ready: bool) -> ReplicatedCollection:
        return ReplicatedCollection(record, self._shared, self.encoder, ready=ready, **self._directories)

    def _follow(self) -> None:
        """Until the store is closed."""
        while True:
            time.sleep(POLL_SECONDS)
            try:
                self.look()
                versions = self._shared.versions()
                for each in self.collections():
                    if isinstance(each, ReplicatedCollection) and each.behind(versions.get(each.record.id, 0)):
                        each.follow()
            except StoreClosed:
                return
            except (RetrievalError, StorageError, MemoryError):  # who asks is told
                continue
