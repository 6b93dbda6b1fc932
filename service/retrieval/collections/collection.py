"""One collection: its record in storage and its keys in memory, always of one version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
import structlog

from attention.lookup import Rows
from service.encoding import LoadingEncoder
from service.request_trace import time_stage
from service.retrieval.collections.lookup_queue import LookupQueue
from service.retrieval.collections.machine_code import warm_up
from service.retrieval.collections.maintenance import Compaction, Damage, retry_forever, start_background
from service.retrieval.collections.null import KeySample
from service.retrieval.collections.rows import KeyStorage, build_rows, load_memory
from service.retrieval.collections.sealed import SealedBlocks
from service.retrieval.collections.snapshot import Masks, Snapshot
from service.retrieval.errors import CollectionLoading, CollectionNotFound, DocumentChanged
from service.storage import (
    Change,
    CollectionRecord,
    Condition,
    DocumentRecord,
    IdempotentWrite,
    Mode,
    Reader,
    StorageError,
    Store,
    StoreUnavailable,
    Writer,
)

log = structlog.get_logger("softkv")
BATCH = 1000  # documents of an update that are held with their texts


class Collection:
    """The documents of one name; SQLite is the truth, the memory can be rebuilt from it.

    Attributes:
        record: its settings and counts, as of the last write.
        encoder: the service's, which need not be the one that its vectors are of.
        lookups: where the questions to it wait.
        sample: what its own background is measured on.
        damage: what of it is damaged on disk, as far as it was read.
        trouble: why its keys could not be read back; None where they could, or are being read.
    """

    def __init__(
        self,
        record: CollectionRecord,
        store: Store,
        encoder: LoadingEncoder | None = None,
        *,
        ready: bool,
        originals: Path | None = None,
        sealed: Path | None = None,
    ) -> None:
        self.record = record
        self.encoder = encoder
        self.damage = Damage(record.name, self._read_anew_without)
        self.lookups = LookupQueue(self.snapshot, self.damage.note, record.name)
        self.sample = KeySample()
        self.trouble: str | None = None
        self._ready, self._gone = ready, False
        self._store = store
        self._kept = KeyStorage(originals)
        self._sealed = SealedBlocks(sealed, store, record.id)
        self._memory = self._kept.memory(record)
        self._masks = Masks(lambda: self._memory.view)
        self._version, self._finding = 0, Lock()
        self._compaction = Compaction(record.name, self._compact)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.record.name

    @property
    def ready(self) -> bool:
        """Whether its keys are in memory."""
        return self._ready

    @property
    def size(self) -> int:
        """How many documents can be attended to now."""
        return self._memory.view.documents

    @property
    def keys(self) -> int:
        """How many keys they have."""
        return self._memory.view.n

    def rebuild(self) -> None:
        """Read the keys and values back from storage; until then the collection can't be asked.

        Raises:
            StorageError: they can't be read.
            MemoryError: there is no room for them.
        """
        with self.reading() as (record, reader):
            memory = load_memory(record, reader, self.damage.note, self._sealed, self._kept)
        self._memory = memory
        self._version += 1
        self._masks.forget()
        self.trouble, self._ready = None, True
        memory.code()
        self._masks.forget()
        self._tidy()

    def warm(self) -> None:
        """Ask a question of each kind, so that the first caller does not wait for what is made on the way."""
        if self._ready:
            with suppress(CollectionLoading), self.damage.noting():
                warm_up(self._memory.view, self.record)

    def mark_deleted(self) -> None:
        """It was deleted: who still holds it is told so."""
        self._gone = True
        start_background(self._sealed.remove, f"remove the files of {self.name}")

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """The record and the stored documents of one instant; needs no keys in memory."""
        with (
            time_stage("storage"),
            self.damage.noting(),
            self._store.reading(gather=lambda: (self._gone, self.record)) as reader,
        ):
            gone, record = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield record, reader

    def ids(self) -> set[str]:
        """The ids of every stored document."""
        with self.reading() as (record, reader):
            return set(reader.ids(record.id, reader.rows_where(record.id)))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A consistent view for one reader, for as long as it reads."""
        self._require_ready()
        self.damage.require_sound_keys()
        with (
            self.damage.noting(),
            self._store.reading(gather=lambda: (self._gone, self.record, self._memory.view, self._version)) as reader,
        ):
            gone, record, view, version = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield Snapshot(record, view, reader, version, self._masks, self.sample)

    def write(
        self,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
        replacing: DocumentRecord | None = None,
        existing: frozenset[str] = frozenset(),
        once: IdempotentWrite[Change] | None = None,
    ) -> Change:
        """Store documents, all or none; readers see them when this returns.

        Raises DocumentChanged where `replacing` is not what is stored any more, or an id of `existing` not there.
        """
        with self.damage.noting(), self._store.writing(once, collection=self.record.id) as writer:
            self._require_ready()
            if replacing is not None:
                stored = writer.document(self.record.id, replacing.id)
                if stored is None or stored.row != replacing.row:
                    raise DocumentChanged(replacing.id)
            if gone := existing.difference(writer.existing(self.record.id, list(existing))):
                raise DocumentChanged(min(gone))
            change = writer.upsert(self.record.id, documents, mode=mode)
            writer.keep_answer(once, change)
            skipped = set(change.skipped)
            documents = [document for document in documents if document.id not in skipped]
            if not documents:
                return change
            self._publish_after(writer, add=build_rows(change.added, documents), removed=change.removed)
        self._tidy()
        return change

    def update(
        self,
        changed: Callable[[DocumentRecord], DocumentRecord],
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Replace documents, by id or all that pass, by what `changed` makes of each, in one transaction; how many."""
        written, added = list[DocumentRecord](), list[np.ndarray]()
        with self.damage.noting(), self._store.writing(once, collection=self.record.id) as writer:
            self._require_ready()
            number = self.record.id
            rows = writer.rows_among(number, ids or ()) if condition is None else writer.rows_where(number, condition)
            for start in range(0, len(rows), BATCH):
                documents = [changed(each) for each in writer.documents(number, rows[start : start + BATCH])]
                added.append(writer.upsert(number, documents).added)
                # The vectors go to memory all at once; texts that are written need not wait for that.
                written += [replace(each, key=None, value=None, metadata={}) for each in documents]
            writer.keep_answer(once, len(rows))
            if not added:
                return 0
            self._publish_after(writer, add=build_rows(np.concatenate(added), written), removed=rows)
        self._tidy()
        return len(rows)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Remove documents by id, or all that pass a condition; unknown ids are silent."""
        with self.damage.noting(), self._store.writing(once, deletes=True, collection=self.record.id) as writer:
            self._require_ready()
            if condition is not None:
                removed = writer.delete_where(self.record.id, condition)
            else:
                removed = writer.delete_ids(self.record.id, ids or ())
            writer.keep_answer(once, len(removed))
            self._publish_after(writer, add=None, removed=removed)
        self._tidy()
        return len(removed)

    def _publish_after(self, writer: Writer, *, add: Rows | None, removed: np.ndarray) -> None:
        record = writer.collection(self.record.name)
        # Now, while the write can still be refused: room that is not there must not be missed after the commit.
        staged = self._memory.stage(add=add, remove=removed)

        def publish() -> None:
            try:
                self._memory.show(staged)
                self.record = record
                self._version += 1
                self.damage.forget(removed.tolist())
                self._masks.forget()
            except BaseException as error:
                self.read_anew(f"{type(error).__name__} when a write was to be shown")
                raise

        writer.after_commit(publish)

    def read_anew(self, reason: str) -> None:
        """Answer no more, and begin to read the keys back: what is in memory may not be what is stored."""
        log.error("a collection is read anew", collection=self.name, reason=reason)
        self.trouble, self._ready = reason, False
        start_background(self._rebuild_until_done, f"read anew {self.name}")

    def _rebuild_until_done(self) -> None:
        for _ in retry_forever():
            try:
                self._let_writes_end()
                self.rebuild()
                return
            except MemoryError:
                self.trouble = "there was no memory for its keys"
            except StorageError as error:
                self.trouble = str(error)
                if not isinstance(error, StoreUnavailable):
                    return

    def _let_writes_end(self) -> None:
        """Wait for one that began before the keys were to be read anew, so that it is in what is read."""
        with self._store.writing(collection=self.record.id):
            pass

    def _tidy(self) -> None:
        self._compaction.begin()

    def _compact(self) -> bool:
        """A step of the compaction, some originals checked, or a file of a block: whether there was anything to do."""
        with suppress(CollectionLoading), self.damage.noting():
            if self._ready and self._memory.compact():
                self._masks.forget()
                return True
            return self._ready and any(step(self._memory.view) for step in (self._sealed.check_some, self._sealed.step))
        return False

    def _read_anew_without(self, path: Path) -> CollectionLoading:
        """A sealed file is not what was written: what to tell who came to it, in an older view, too."""
        with self._finding:  # of all who come to it one begins
            if self._sealed.discard(path, self._memory.view) and self._ready:
                self.read_anew(f"{path.name} is not what was written")
        return CollectionLoading(self.name, self.trouble)

    def _require_ready(self) -> None:
        if self._gone:
            raise CollectionNotFound(self.name)
        if not self._ready:
            raise CollectionLoading(self.name, self.trouble)
