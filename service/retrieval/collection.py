"""One collection: its record in storage and its keys in memory, always of one version."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Literal

import numpy as np

from attention.lookup import Mask, Memory, Rows, View, prepare
from service.retrieval.columns import Source
from service.retrieval.errors import CollectionLoading, DocumentChanged
from service.retrieval.masks import Masks
from service.storage import Change, CollectionRecord, Condition, DocumentRecord, Reader, Store, Writer, canonical

SCANNED = 20_000  # documents from which on a question may be answered by a compiled scan


@cache
def compile_scan() -> None:
    """Compile what scans, once; the compiler stays in memory, out of the garbage collector's sight."""
    prepare()
    gc.collect()
    # Else everyone waits for a tenth of a second, again and again, while its objects are walked through.
    gc.freeze()


@dataclass(frozen=True)
class Snapshot:
    """What one reader sees: the settings, the keys and the rows of the same instant."""

    record: CollectionRecord
    view: View
    reader: Reader
    version: int
    masks: Masks
    _given: dict[bytes, Mask] = field(default_factory=dict, init=False, repr=False)

    def mask(self, condition: Condition) -> Mask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = canonical(condition)
        if name not in self._given:
            source = Source(self.record.id, self.version, self.view, self.reader)
            self._given[name] = self.masks.of(source, condition, name)
        return self._given[name]


class Collection:
    """The documents of one name; SQLite is the truth, the memory can be rebuilt from it."""

    def __init__(self, record: CollectionRecord, store: Store, *, ready: bool, originals: Path | None = None) -> None:
        self.record = record
        self.ready = ready
        self._store = store
        self._memory = Memory(record.settings.similarity, originals)
        self._masks = Masks(lambda: self._memory.view)
        self._version = 0
        self._tidying = Lock()

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.record.name

    @property
    def size(self) -> int:
        """How many documents can be attended to now."""
        return self._memory.view.n

    def rebuild(self) -> None:
        """Read the keys and values back from storage; until then the collection can't be asked."""
        with self._store.reading() as reader:
            for numbers, keys, values in reader.vectors(self.record.id):
                self._memory.publish(add=Rows(numbers, keys, values))
        self.ready = True
        self._tidy()

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """The record and the stored documents of one instant; needs no keys in memory."""
        with self._store.reading(gather=lambda: self.record) as reader:
            yield reader.gathered, reader

    def ids(self) -> set[str]:
        """The ids of every stored document."""
        with self.reading() as (record, reader):
            return set(reader.ids(record.id, reader.rows_where(record.id)))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A consistent view for one reader, for as long as it reads."""
        self._require_ready()
        with self._store.reading(gather=lambda: (self.record, self._memory.view, self._version)) as reader:
            record, view, version = reader.gathered
            yield Snapshot(record, view, reader, version, self._masks)

    def write(
        self,
        documents: Sequence[DocumentRecord],
        *,
        mode: Literal["upsert", "create"] = "upsert",
        replacing: DocumentRecord | None = None,
    ) -> Change:
        """Store documents, all or none; readers see them when this returns.

        Raises DocumentChanged where `replacing` is given and no longer what is stored.
        """
        self._require_ready()
        with self._store.writing() as writer:
            if replacing is not None:
                stored = writer.document(self.record.id, replacing.id)
                if stored is None or stored.row != replacing.row:
                    raise DocumentChanged(replacing.id)
            change = writer.upsert(self.record.id, documents, mode=mode)
            keys = np.stack([document.key_vector for document in documents])
            values = None
            if any(document.value_vector is not None for document in documents):
                values = np.stack([d.key_vector if d.value_vector is None else d.value_vector for d in documents])
            self._publish_after(writer, add=Rows(change.added, keys, values), removed=change.removed)
        self._tidy()
        return change

    def delete(self, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """Remove documents by id, or all that pass a condition; unknown ids are silent."""
        self._require_ready()
        with self._store.writing() as writer:
            if condition is not None:
                removed = writer.delete_where(self.record.id, condition)
            else:
                removed = writer.delete_ids(self.record.id, ids or ())
            self._publish_after(writer, add=None, removed=removed)
        self._tidy()
        return len(removed)

    def _publish_after(self, writer: Writer, *, add: Rows | None, removed: np.ndarray) -> None:
        record = writer.collection(self.record.name)

        def publish() -> None:
            self.record = record
            self._version += 1
            self._memory.publish(add=add, remove=removed)
            self._masks.forget()

        writer.after_commit(publish)

    def _tidy(self) -> None:
        """Make the keys fast to read, in a thread of its own; readers and writers do not wait for it."""
        if self._tidying.acquire(blocking=False):
            Thread(target=self._compact, name=f"compact {self.name}", daemon=True).start()

    def _compact(self) -> None:
        try:
            if self.size > SCANNED:
                compile_scan()
            while self._memory.compact():
                self._masks.forget()
        finally:
            self._tidying.release()

    def _require_ready(self) -> None:
        if not self.ready:
            raise CollectionLoading(self.name)
