"""A range of a collection in the memory of a slot: its keys at each of the last versions, and what filters find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import structlog

from attention.lookup import Mask, Memory, Rows, SealedError, View
from service.cluster.placement import RANGE_ROWS
from service.cluster.slot.followed import FollowedReader, FollowedStore, require_kept
from service.cluster.slot.steps import Step
from service.cluster.slot.versions import Versions
from service.retrieval.collections import Masks, SealedBlocks, Source, fill_memory
from service.storage import CollectionRecord, Column, Condition, DocumentDamaged, RowNumbers

log = structlog.get_logger("softkv")


class HeldRange:
    """One range; followed by one thread, compacted by another, read by many.

    Args:
        record: of the collection.
        first_row: the range's name.
        memory: its keys, as of a version.
        damaged: documents that are not in it, since they are not what was written.
        sealed: its files.

    Attributes:
        complete: whether all of its row numbers were given, and the documents followed that have them.
    """

    def __init__(
        self,
        record: CollectionRecord,
        first_row: int,
        memory: Memory,
        version: int,
        damaged: list[DocumentDamaged],
        sealed: SealedBlocks,
    ) -> None:
        self.first_row = first_row
        self.versions = Versions(version, memory.view)
        self.masks = Masks(lambda: memory.view)
        self._collection = record.id
        self._memory = memory
        self._sealed = sealed
        self.complete = False
        self._damaged = {each.row: each for each in damaged}
        self._turn = Lock()  # who changes the memory shows its view before the next one does

    @classmethod
    def read(
        cls,
        store: FollowedStore,
        record: CollectionRecord,
        first_row: int,
        originals: Path | None,
        sealed: SealedBlocks,
    ) -> HeldRange:
        """Read it as the store has it now: what its files have from them, and the rest from the store.

        Args:
            originals: a directory for the float32 vectors; None keeps them in memory.

        Raises:
            StorageError: it cannot be read; CollectionMissing where the collection was deleted.
            MemoryError: there is no room for it.
        """
        with store.reading() as reader:  # in one transaction: it may take longer than what is gone is kept
            version = reader.version(record.id)
            while True:
                try:
                    memory, damaged = _filled(reader, record, first_row, originals, sealed)
                    return cls(record, first_row, memory, version, damaged, sealed)
                except SealedError as error:  # a row was to stand behind those of a file, which are copied then
                    log.warning("a sealed block is made anew", file=error.path.name, reason=str(error))
                    sealed.discard(error.path)

    @property
    def rows(self) -> int:
        """How many live in its newest version."""
        return self.versions.view.n

    @property
    def trouble(self) -> DocumentDamaged | None:
        """A document of it whose vectors are damaged, so that all weights would be wrong; None where there is none."""
        return next(iter(self._damaged.values()), None)

    def note(self, damaged: DocumentDamaged) -> None:
        """A document of it is not what was written."""
        self._damaged[damaged.row] = damaged

    def follow(self, taken: Sequence[Step], written: Sequence[Rows | None]) -> bool:
        """Go on to the version that the steps lead to, each of which adds what was written → whether rows changed.

        Raises:
            MemoryError: there is no room for them; it is not to be asked any more, and has to be read anew.
            AttentionError: they do not belong into its memory; the same.
        """
        changed = False
        for step, add in zip(taken, written, strict=True):
            removed = step.removed_from(self.first_row)
            with self._turn:
                view = self._memory.view
                if add is not None or len(removed):
                    view = self._memory.publish(add=add, remove=removed)
                    changed = True
                whole = not self._sound_again(removed)
                if step.one and whole:
                    self.versions.follow(view, step.since)
                else:
                    self.versions.begin(step.version, view)
        if changed:
            self.masks.forget()
        return changed

    def compact(self) -> bool:
        """Write small blocks together; for a thread of its own → whether there was anything to do."""
        if not self._memory.compact():
            return False
        with self._turn:
            self.versions.replace(self._memory.view)
        self.masks.forget()
        return True

    def seal(self) -> bool:
        """Check some of the originals that lie in its files, or write a file → whether there was anything to do.

        Raises:
            SealedError: an original is not what was written, see `discard`.
        """
        view = self._memory.view
        return self._sealed.check_some(view) or self._sealed.step(view, complete=self.complete)

    def discard(self, path: Path) -> bool:
        """A file is not what was written, and is removed → whether it has rows of this range, which is to be read anew.

        A version before the newest may have rows in it when the newest has none.
        """
        return self._sealed.discard(path, self._memory.view)

    def let_go(self) -> None:
        """It is held no more; its files stay."""
        self._sealed.let_go()

    def mask(self, store: FollowedStore, version: int, view: View, condition: Condition, name: bytes) -> Mask:
        """Which rows of its view at a version pass a condition of that canonical name; raises StorageError."""
        reader = _FieldsOfRange(store, version, self.first_row)
        return self.masks.of(Source(self._collection, version, view, reader), condition, name)

    def _sound_again(self, removed: RowNumbers) -> bool:
        """Whether a damaged document is gone: versions that had it are not to be answered from."""
        gone = [row for row in removed.tolist() if self._damaged.pop(row, None) is not None] if self._damaged else []
        return bool(gone)


def _filled(
    reader: FollowedReader, record: CollectionRecord, first_row: int, originals: Path | None, sealed: SealedBlocks
) -> tuple[Memory, list[DocumentDamaged]]:
    """Its keys, and the documents that are damaged; raises SealedError."""
    damaged, gone = list[DocumentDamaged](), list[int]()
    last = first_row + RANGE_ROWS - 1
    found = sealed.read(record, reader)
    among = None if found is None else found.documents
    expected = len(reader.rows_where(record.id, first=first_row, last=last))
    memory = Memory(record.settings.similarity, originals, expected=expected)

    def note(error: DocumentDamaged) -> None:
        damaged.append(error)
        gone.append(error.row or 0)

    def batches() -> Iterator[Rows]:
        for each in reader.vectors(record.id, among=among, first=first_row, last=last, damaged=note):
            yield Rows(each.numbers, each.keys, each.values, each.owners)

    fill_memory(memory, found, batches(), gone)
    return memory, damaged


class _FieldsOfRange:
    """What filters ask of a version of the store, of the documents of one range only; asked as seldom as can be.

    Raises VersionCleared or CollectionMissing where what was found may be less than all.
    """

    def __init__(self, store: FollowedStore, version: int, first_row: int) -> None:
        self._store, self._version = store, version
        self._first, self._last = first_row, first_row + RANGE_ROWS - 1

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """See `FieldReader`."""
        behind = max(after, self._first - 1)
        with self._store.reading_at(self._version) as reader:
            found = reader.column(collection, field, after=behind, last=self._last, most_bytes=most_bytes)
            require_kept(reader, collection, self._version)
        return found

    def rows_where(self, collection: int, condition: Condition | None = None) -> RowNumbers:
        """See `FieldReader`."""
        with self._store.reading_at(self._version) as reader:
            found = reader.rows_where(collection, condition, first=self._first, last=self._last)
            require_kept(reader, collection, self._version)
        return found
