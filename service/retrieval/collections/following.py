"""A collection of a store that other processes write, too: its memory follows the store's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from attention.lookup import Rows, View
from service.encoding import LoadingEncoder
from service.request_trace import time_stage
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.compaction import start_background
from service.retrieval.collections.rows import concatenate_rows, load_memory
from service.retrieval.collections.snapshot import Snapshot
from service.retrieval.errors import CollectionLoading, CollectionNotFound, RetrievalError
from service.storage import (
    ChangeSummary,
    CollectionMissing,
    CollectionRecord,
    Reader,
    SharedStore,
    StorageError,
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
