"""Collections of a store that other processes write, too: their memory follows the log of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from attention.lookup import Rows, View
from service.encoding import LoadingEncoder
from service.request_trace import time_stage
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.maintenance import start_background
from service.retrieval.collections.rows import concatenate_rows, load_memory
from service.retrieval.collections.snapshot import Snapshot
from service.retrieval.errors import CollectionLoading, CollectionNotFound, RetrievalError
from service.scheduling import READS
from service.storage import (
    ChangeSummary,
    CollectionMissing,
    CollectionRecord,
    Reader,
    SharedStore,
    StorageError,
    StoreClosed,
    StoreUnavailable,
    Writer,
)


class ReplicatedCollection(Collection):
    """Every question is answered from the version that the store has when it is asked, or a later one.

    So an answer has what any process acknowledged before. `record` may be older: what is said of documents is read.
    """

    def __init__(
        self,
        record: CollectionRecord,
        store: SharedStore,
        encoder: LoadingEncoder | None = None,
        *,
        ready: bool,
        originals: Path | None = None,
        sealed: Path | None = None,
    ) -> None:
        super().__init__(record, store, encoder, ready=ready, originals=originals, sealed=sealed)
        self._shared = store
        self._counts = (0, 0)  # documents and keyless ones, as of the version
        self._following = Lock()  # held by who brings the memory to a newer version
        self._instant = Lock()  # held while view, version and counts become others, all at once

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """The record and the stored documents of one instant; needs no keys in memory."""
        with time_stage("storage"), self.damage.noting(), self._store.reading() as reader:
            yield self._found_by(reader), reader

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A consistent view for one reader, for as long as it reads."""
        self._require_ready()
        with self.damage.noting():
            with time_stage("storage"):
                record, view, version = self._newest()
            self.damage.require_sound_keys()
            with self._shared.reading_at(version) as reader:
                yield Snapshot(record, view, reader, version, self._masks, self.sample)

    def behind(self, version: int) -> bool:
        """Whether its keys are there, and of an older version than this one of the store's."""
        return self._ready and self._version < version

    @property
    def keys(self) -> int:
        """How many keys its documents have now, where the store can be asked; blocks."""
        with suppress(RetrievalError, StorageError):
            self.follow()
        return self._memory.view.n

    def read_in_background(self) -> None:
        """Read the keys back, for a collection that is not ready."""
        start_background(self._rebuild_until_done, f"read {self.name}")

    def follow(self) -> None:
        """Bring the memory to the version that the store has now.

        Raises:
            CollectionNotFound: the collection was deleted.
            CollectionLoading: the log does not reach so far back; the keys are being read anew.
        """
        self._newest()

    def _newest(self) -> tuple[CollectionRecord, View, int]:
        record, wanted = self._now()
        if self._version < wanted:
            self._catch_up(wanted)
        with self._instant:
            view, version, (documents, keyless) = self._memory.view, self._version, self._counts
        if version > wanted:  # others followed meanwhile, perhaps past what set the widths
            record, _ = self._now()
        return replace(record, documents=documents, keyless=keyless), view, version

    def _now(self) -> tuple[CollectionRecord, int]:
        self._require_there()
        try:
            return self._shared.latest(self.record.id)
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None

    def _catch_up(self, wanted: int) -> None:
        with self._following:
            if self._version >= wanted:
                return
            self._require_ready()
            done = self._shared.changes_since(self.record.id, self._version)
            if done is None:
                self._now()
                self.read_anew("the log does not reach back to what it holds")
                raise CollectionLoading(self.name, self.trouble)
            with self._shared.reading_at(done.version) as reader:
                found = list(reader.vectors(self.record.id, first=done.first, damaged=self.damage.note))
            self._show(done, concatenate_rows(found))
        self._tidy()

    def _show(self, done: ChangeSummary, add: Rows | None) -> None:
        try:
            staged = self._memory.stage(add=add, remove=done.removed[done.removed < done.first])
            with self._instant:
                self._memory.show(staged)
                self._version, self._counts = done.version, (done.documents, done.keyless)
                self._masks.forget()
        except BaseException as error:
            self.read_anew(f"{type(error).__name__} when it was to follow the store")
            raise
        self.damage.forget(done.removed.tolist())

    def rebuild(self) -> None:
        """Read the keys and values back from storage; until then the collection can't be asked.

        Raises:
            StorageError: they can't be read.
            MemoryError: there is no room for them.
        """
        with self._following:
            # In one transaction: it may take longer than what is gone is kept.
            with self.damage.noting(), self._shared.reading() as reader:
                record = self._found_by(reader)
                version = reader.version(record.id)
                memory = load_memory(record, reader, self.damage.note, self._sealed, self._kept)
            with self._instant:
                self._memory, self._version = memory, version
                self._counts = (record.documents, record.keyless)
                self.record = record
                self._masks.forget()
            self.trouble, self._ready = None, True
        memory.code()
        self._masks.forget()
        self._tidy()

    def _let_writes_end(self) -> None:
        """What is written meanwhile is followed."""

    def _publish_after(self, writer: Writer, *, add: Rows | None, removed: np.ndarray) -> None:
        """What was written is followed as what others write is: by the next question, from the log."""

    def _found_by(self, reader: Reader) -> CollectionRecord:
        self._require_there()
        try:
            record = reader.collection(self.name)
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None
        if record.id != self.record.id:  # another one of that name, which the catalogue has not heard of yet
            raise CollectionNotFound(self.name)
        return record

    def _require_there(self) -> None:
        if self._gone:
            raise CollectionNotFound(self.name)


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
