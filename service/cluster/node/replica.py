"""A replica: one shard of a collection in the memory of a node, at each of the last versions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import structlog

from attention.lookup import Mask, Memory, Rows, SealedError, View
from service.cluster.node.source import SourceReader, SourceStore, require_kept
from service.cluster.placement import SHARD_ROWS
from service.retrieval.collections import Masks, SealedBlocks, Source, concatenate_rows, fill_memory
from service.storage import CollectionRecord, Column, Condition, DocumentDamaged, KeyRows, RowNumbers, VersionChange

KEPT = 64
"""Versions that are kept, and those of the last KEPT_SECONDS, if they are more."""
KEPT_SECONDS = 2.0
LONGEST_SECONDS = 240.0
"""How long ago a version may have been followed by the next one: a filter reads it from the store, which clears after
ten minutes what is gone."""


class _Kept(NamedTuple):
    """A view, and since when its version is not the newest; inf for the newest."""

    view: View
    superseded: float


class Versions:
    """Views of versions that follow one another without a gap; for one writer and many readers.

    Args:
        version, view: of the first one.
    """

    def __init__(self, version: int, view: View) -> None:
        self._kept = deque([_Kept(view, float("inf"))])
        self._newest = version
        self._lock = Lock()

    @property
    def newest(self) -> int:
        """The last version."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The first version that is kept."""
        with self._lock:
            return self._newest - len(self._kept) + 1

    @property
    def view(self) -> View:
        """That of the newest version."""
        return self._kept[-1].view

    def at(self, version: int) -> View | None:
        """That of a version; None where it is not kept any more, or not there yet."""
        with self._lock:
            behind = self._newest - version
            return self._kept[-1 - behind].view if 0 <= behind < len(self._kept) else None

    def follow(self, view: View, since: float) -> None:
        """The next version, and since when it is the newest."""
        with self._lock:
            self._kept[-1] = _Kept(self._kept[-1].view, since)
            self._kept.append(_Kept(view, float("inf")))
            self._newest += 1

    def begin(self, version: int, view: View) -> None:
        """A version that does not follow the last one, or of which the ones before are not to be had."""
        with self._lock:
            self._kept.clear()
            self._kept.append(_Kept(view, float("inf")))
            self._newest = version

    def replace(self, view: View) -> None:
        """Another view of the newest version, with the same rows."""
        with self._lock:
            self._kept[-1] = _Kept(view, float("inf"))

    def forget(self, now: float) -> None:
        """Let go of those that nobody asks for any more."""
        with self._lock:
            while len(self._kept) > 1 and self._outdated(now - self._kept[0].superseded):
                self._kept.popleft()

    def _outdated(self, seconds: float) -> bool:
        return seconds > LONGEST_SECONDS or (len(self._kept) > KEPT and seconds > KEPT_SECONDS)


SKIPPED_SECONDS = 10.0
"""How long ago a version was followed by another, from which on it gets no view: no question waits so long."""


@dataclass(frozen=True, eq=False)
class LogStep:
    """From one version of a collection to a later one.

    Attributes:
        version: the one that it leads to.
        first, stop: the row numbers that were given, from `first` on and before `stop`.
        removed: int64[n], the documents that are gone, ascending; of a step over several versions perhaps some that
            were written in it.
        since: when it was written, in seconds of the clock.
        one: whether it is the next version, or there are some between that get no views.
    """

    version: int
    first: int
    stop: int
    removed: RowNumbers
    since: float
    one: bool

    def removed_from(self, first_row: int) -> RowNumbers:
        """Those documents of a range that are gone."""
        begin, end = np.searchsorted(self.removed, (first_row, first_row + SHARD_ROWS))
        return self.removed[begin:end]


def steps(log: Sequence[VersionChange], now: float) -> list[LogStep]:
    """What a log says, at least one version of it, as steps: the first leads over all versions that nobody asks for."""
    skipped = 0
    while skipped < len(log) - 1 and _skipped(len(log) - 1 - skipped, log[skipped + 1].seconds):
        skipped += 1
    last = log[skipped]
    removed = np.sort(np.concatenate([each.removed for each in log[: skipped + 1]]))
    first = LogStep(last.version, log[0].first, last.first + last.count, removed, now - last.seconds, skipped == 0)
    return [
        first,
        *(
            LogStep(each.version, each.first, each.first + each.count, np.sort(each.removed), now - each.seconds, True)
            for each in log[skipped + 1 :]
        ),
    ]


def _skipped(newer: int, seconds: float) -> bool:
    return seconds > SKIPPED_SECONDS or (newer >= KEPT and seconds > KEPT_SECONDS)


def written(
    store: SourceStore,
    collection: int,
    first_row: int,
    taken: Sequence[LogStep],
    damaged: Callable[[DocumentDamaged], object],
) -> list[Rows | None]:
    """What each step adds to a range: the rows of documents that it wrote, and that live at the version it leads to.

    Raises StorageError; VersionCleared or CollectionMissing where what was read may be less than all.
    """
    first, stop = max(first_row, taken[0].first), min(first_row + SHARD_ROWS, taken[-1].stop)
    if first >= stop:
        return [None] * len(taken)
    found = [list[KeyRows]() for _ in taken]
    with store.reading_at(taken[-1].version) as reader:
        lasting = list(reader.vectors(collection, first=first, last=stop - 1, damaged=damaged))
    gone = np.empty(0, dtype=np.int64)
    for at in reversed(range(len(taken))):
        step = taken[at]
        lower, upper = max(first, step.first), min(stop, step.stop)
        short_lived = gone[(gone >= lower) & (gone < upper)]
        if len(short_lived):
            with store.reading_at(step.version) as reader:
                more = reader.vectors(collection, among=short_lived, first=lower, last=upper - 1, damaged=damaged)
                found[at] += list(more)
        found[at] += [some for rows in lasting if (some := _of(rows, lower, upper)) is not None]
        gone = np.union1d(gone, step.removed)
    with store.reading_at(taken[0].version) as reader:
        require_kept(reader, collection, taken[0].version)
    return [concatenate_rows(each) for each in found]


def _of(rows: KeyRows, lower: int, upper: int) -> KeyRows | None:
    """The keys of the documents from row number `lower` on and before `upper`; None where there are none."""
    begin, end = np.searchsorted(rows.owners, (lower, upper))
    if begin == end:
        return None
    values = None if rows.values is None else rows.values[begin:end]
    return KeyRows(rows.numbers[begin:end], rows.owners[begin:end], rows.keys[begin:end], values)


log = structlog.get_logger("softkv")


class Replica:
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
        store: SourceStore,
        record: CollectionRecord,
        first_row: int,
        originals: Path | None,
        sealed: SealedBlocks,
    ) -> Replica:
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

    def follow(self, taken: Sequence[LogStep], written: Sequence[Rows | None]) -> bool:
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
        return self._sealed.check_next_originals(view) or self._sealed.step(view, complete=self.complete)

    def discard(self, path: Path) -> bool:
        """A file is not what was written, and is removed → whether it has rows of this range, which is to be read anew.

        A version before the newest may have rows in it when the newest has none.
        """
        return self._sealed.discard(path, self._memory.view)

    def let_go(self) -> None:
        """It is held no more; its files stay."""
        self._sealed.let_go()

    def mask(self, store: SourceStore, version: int, view: View, condition: Condition, name: bytes) -> Mask:
        """Which rows of its view at a version pass a condition of that condition_digest name; raises StorageError."""
        reader = _FieldsOfRange(store, version, self.first_row)
        return self.masks.of(Source(self._collection, version, view, reader), condition, name)

    def _sound_again(self, removed: RowNumbers) -> bool:
        """Whether a damaged document is gone: versions that had it are not to be answered from."""
        gone = [row for row in removed.tolist() if self._damaged.pop(row, None) is not None] if self._damaged else []
        return bool(gone)


def _filled(
    reader: SourceReader, record: CollectionRecord, first_row: int, originals: Path | None, sealed: SealedBlocks
) -> tuple[Memory, list[DocumentDamaged]]:
    """Its keys, and the documents that are damaged; raises SealedError."""
    damaged, gone = list[DocumentDamaged](), list[int]()
    last = first_row + SHARD_ROWS - 1
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

    def __init__(self, store: SourceStore, version: int, first_row: int) -> None:
        self._store, self._version = store, version
        self._first, self._last = first_row, first_row + SHARD_ROWS - 1

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
