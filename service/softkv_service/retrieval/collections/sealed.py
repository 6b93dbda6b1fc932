"""Sealed blocks: files that hold a collection's coded blocks, so that a start need not read and code all keys again.

The store is the truth. A row's number and its checksum in the store identify it; the checksum covers the number, the
document and the vectors. A file with any row that differs from the store is removed. That may happen if the store was
restored, copied or changed by other means. Rows that are in no file are read from the store.

A block that is not full is written to a file too, when its collection is idle, and again when it has grown by a
quarter. Rows that are added to it go to a copy of it in memory; the file does not change.

If the sums over a file match those of the store, its rows are not compared one by one. All other rows are compared,
including those that the store has between the files. The float32 originals in a file are checked when they are used,
and all of them soon after a start. A file with a damaged original is removed as well.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from time import sleep
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.lookup import SealedBlock, SealedError, Segment, View, seal, sealable_segments, unseal
from softkv_service.logs import log
from softkv_service.storage import KeySums
from softkv_service.storage.conditions import Condition
from softkv_service.storage.errors import StorageError
from softkv_service.storage.records import NO_ROWS, CollectionRecord, RowNumbers

_BATCH_ROWS = 2**17
_SHORT_BATCH_ROWS = 2**10
"""Rows read at a time after a document's first rows; most documents end within one batch."""
_LAST_ROW = 2**63 - 1

Array = np.ndarray


class ChecksumReader(Protocol):
    """The methods of `softkv_service.storage.Reader` that are needed to compare sealed files with the store."""

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the ascending row numbers int64[n] of the documents that pass, from `first` to `last`."""

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return keys from `first` to `last`: their numbers, their documents' row numbers, and their checksums."""

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """Return sums over the checksums of all keys from `first` to `last`, and over documents from `document` to
        `last`.

        The sums differ from those of a file if a row differs.
        """


class Span(NamedTuple):
    """Documents with row numbers from `first` to `last` (None: no upper limit), with all of their keys."""

    first: int = 0
    last: int | None = None


ALL = Span()


@dataclass(frozen=True, eq=False)
class SealedFile:
    """A file with a block of coded keys that was written earlier, and which of its rows the store still has.

    A start reads such sealed files, so that it need not read and code all keys again. The exact vectors in the file
    (float32) are not checked here.

    Attributes:
        live: bool[count], which rows the store still has. None unless the stored rows from the first to the last are
            exactly these rows, and this is known.
        first, last: the numbers of the first and the last row that were not removed when the file was written.
    """

    path: Path
    sealed: SealedBlock
    live: Array | None
    first: int = 0
    last: int = -1

    @classmethod
    def of(cls, path: Path, sealed: SealedBlock, reader: ChecksumReader, collection: int) -> SealedFile:
        """Compare an opened file with the store, and return it with the result.

        Only sums of checksums are compared: the file's, and the store's over the same range of rows.
        """
        live = sealed.ties != 0
        numbers, owners = sealed.numbers[live], sealed.owners[live]
        if not len(numbers):
            return cls(path, sealed, None)
        sums = KeySums.of(sealed.ties[live], owners[_find_starts(owners)])
        first, last = int(numbers[0]), int(numbers[-1])
        stored = reader.key_sums(collection, int(owners[0]), first, last)
        return cls(path, sealed, live if sums == stored else None, first, last)

    def apart(self, other: SealedFile) -> bool:
        """Return whether all rows of this file come before or after those of another."""
        return self.last < other.first or other.last < self.first


class MatchedRows(NamedTuple):
    """The rows of sealed files (files with coded keys) that are equal to the rows in the store.

    Attributes:
        files: each file with bool[count], which of its rows the store still has.
        numbers: int64[n], the ascending numbers of these rows.
        documents: int64[m], ascending; the documents of which some stored rows are in no file, so that they have to be
            read from the store.
    """

    files: Sequence[tuple[SealedFile, Array]]
    numbers: Array
    documents: Array


def match_files(reader: ChecksumReader, collection: int, files: Sequence[SealedFile], span: Span = ALL) -> MatchedRows:
    """Find out which rows of sealed files (files with coded keys) are still equal to those in the store.

    If several files have a row, only one of them counts for it. A file with a row that differs from the store's counts
    for none.

    Args:
        reader: reads the store's checksums.
        collection: the number of the collection.
        files: the files.
        span: the range of documents to compare; by default the whole collection.

    Returns:
        Files with their matching rows, and the documents that have to be read from the store.
    """
    # If two files have the same rows, as after an interrupted compaction, take the larger file.
    files = sorted(files, key=lambda other: -other.sealed.count)
    disjoint: list[SealedFile] = []
    for file in files:
        if file.live is not None and all(file.apart(other) for other in disjoint):
            disjoint.append(file)
    disjoint.sort(key=lambda other: other.first)
    documents, numbers, owners, checksums = _read_gaps(reader, collection, disjoint, span)
    taken = [(file, file.live) for file in disjoint if file.live is not None]
    matched = np.zeros(len(numbers), dtype=np.bool_)
    for file in files:
        if file in disjoint:
            continue
        sealed = file.sealed
        live = _is_among(sealed.numbers, numbers)
        positions = np.searchsorted(numbers, sealed.numbers[live])
        changed = (checksums[positions] != sealed.ties[live]).any() or (owners[positions] != sealed.owners[live]).any()
        if changed or _is_torn(sealed.owners, live):
            log.warning("sealed block does not match the store; rebuilding", file=file.path.name)
        elif live.any() and not matched[positions].any():
            matched[positions] = True
            taken.append((file, live))
    numbers_taken = np.concatenate([*(file.sealed.numbers[live] for file, live in taken), np.empty(0, np.int64)])
    lacking = np.union1d(owners[~matched], np.setdiff1d(documents, owners))
    return MatchedRows(taken, np.sort(numbers_taken, kind="stable"), lacking)


def read_checksums(
    reader: ChecksumReader, collection: int, first: int, last: int, at_once: int | None = None
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the checksums of stored keys in a range of row numbers, batch by batch.

    Each batch is a result of `Reader.key_checksums`: the numbers of keys, their documents and their checksums.

    Args:
        reader: reads the store.
        collection: the number of the collection.
        first, last: the range of row numbers.
        at_once: the length of a batch's range; None for the default.
    """
    while first <= last:
        stop = min(first + (at_once or _BATCH_ROWS), last + 1)
        yield reader.key_checksums(collection, first, stop - 1)
        first = stop


def _read_gaps(
    reader: ChecksumReader, collection: int, disjoint: Sequence[SealedFile], span: Span
) -> tuple[Array, Array, Array, Array]:
    """Read the checksums of the stored keys that lie before, between and after the files.

    Args:
        reader: reads the store.
        collection: the number of the collection.
        disjoint: files with coded keys, ascending, whose ranges of rows do not overlap.
        span: the range of documents to compare.

    Returns:
        The documents int64[m] that begin in these gaps, and int64[n] for each key: its number, its document and its
        checksum.
    """
    firsts = [span.first, *(file.last + 1 for file in disjoint)]
    lasts = [*(file.first - 1 for file in disjoint), None]
    before = [None, *(int(file.sealed.owners[file.live][-1]) for file in disjoint)]
    documents: list[Array] = []
    parts: list[tuple[Array, Array, Array]] = []
    for first, last, owner in zip(firsts, lasts, before, strict=True):
        if last is not None and first > last:
            continue
        begun = reader.rows_where(collection, first=first, last=span.last if last is None else last)
        last_row = _LAST_ROW if last is None else last
        documents.append(begun)
        for rows in _read_documents(reader, collection, first, last_row, begun, owner):
            selected = _is_among(rows[1], begun) | (rows[1] == (-1 if owner is None else owner))
            parts.append((rows[0][selected], rows[1][selected], rows[2][selected]))
    empty = np.empty(0, dtype=np.int64)
    numbers, owners, checksums = (
        np.concatenate([empty, *columns]) for columns in zip((empty,) * 3, *parts, strict=True)
    )
    return np.concatenate(documents), numbers, owners, checksums


def _read_documents(
    reader: ChecksumReader, collection: int, first: int, last: int, begun: Array, owner: int | None
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the checksums of keys from `first` to `last`, of documents that begin in this range.

    Also yield those of one document that began before the range.

    Args:
        reader: reads the store.
        collection: the number of the collection.
        first, last: the range of row numbers.
        begun: int64[m], the documents that begin in the range.
        owner: the document that began before it; None without one.

    Yields:
        the numbers of keys, their documents and their checksums.
    """
    if owner is not None:
        first = yield from _read_document(reader, collection, first, last, owner)
    if len(begun):
        first, last_begun = max(first, int(begun[0])), int(begun[-1])
        yield from read_checksums(reader, collection, first, last_begun)
        yield from _read_document(reader, collection, max(first, last_begun + 1), last, last_begun)


def _read_document(
    reader: ChecksumReader, collection: int, first: int, last: int, owner: int
) -> Generator[tuple[Array, Array, Array], None, int]:
    """Yield the checksums of all keys of one document from `first` to `last`, and some of other documents.

    Return the first row number that was not read.
    """
    for batch in read_checksums(reader, collection, first, last, _SHORT_BATCH_ROWS):
        yield batch
        first = min(first + _SHORT_BATCH_ROWS, last + 1)
        if not len(batch[1]) or batch[1][-1] != owner:
            break
    return first


def _find_starts(owners: Array) -> Array:
    """Return int64[m], the indices at which the keys of another document begin.

    Args:
        owners: int64[n], the row number of each key's document.
    """
    return np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))


def _is_among(numbers: Array, members: Array) -> Array:
    """Return bool[n], which of the numbers are among the members, which ascend."""
    if not len(members):
        return np.zeros(len(numbers), dtype=np.bool_)
    indices = np.minimum(np.searchsorted(members, numbers), len(members) - 1)
    return np.asarray(members[indices] == numbers)


def _is_torn(owners: Array, live: Array) -> bool:
    """Return whether some document is in a file in part: the store still has some of its rows, but not all.

    Args:
        owners: int64[n], the document of each row of the file.
        live: bool[n], whether the store still has the row.
    """
    starts = _find_starts(owners)
    return bool((np.logical_or.reduceat(live, starts) != np.logical_and.reduceat(live, starts)).any())


_NAME = "softkv.sealed-"
_READERS = 4
"""The number of threads that match files against the store."""

_CHECK_BYTES = 2**24
_PAUSE_SECONDS = 0.05
"""Bytes of originals that are checked at a time after a start, and the pause in between, for other threads."""

_FREE_SPACE_FACTOR = 2
"""A file is written if the free disk space is at least twice this number of times its size."""

_SUFFICIENT_SHARE = 0.8
"""The share of a growing block's rows that its file has at least; with less, the block is written again."""
_USEFUL_SHARE = 0.5
"""A file of a growing block stays until the block is written again, if more than this share of its rows still live."""


@dataclass(frozen=True, eq=False)
class RestoredRows:
    """The rows of a collection that were restored from sealed files (files with coded keys).

    Attributes:
        segments: segments with the rows of the files that the store still has, each row once.
        numbers: int64[n], the ascending numbers of these rows.
        documents: int64[m], ascending; documents of which some stored rows are in no file, so that they have to be read
            from the store.
    """

    segments: Sequence[Segment]
    numbers: Array
    documents: Array


class LastFile(NamedTuple):
    """The newest file with rows of the last block, which may have got more rows, or may have been copied, since.

    Attributes:
        first, last: the numbers of its first and its last row.
        rows: the number of its rows that were not removed when it was written.
    """

    path: Path
    first: int
    last: int
    rows: int

    @classmethod
    def of(cls, path: Path, numbers: Array, ties: Array) -> LastFile:
        """Return the file with rows of these numbers int64[n] and ties int64[n]."""
        return cls(path, int(numbers[0]), int(numbers[-1]), int(np.count_nonzero(ties)))

    def count(self, segment: Segment) -> int:
        """Return the number of live rows of the view's last segment that are in the file."""
        numbers = segment.numbers if segment.live is None else segment.numbers[segment.live]
        return int(np.searchsorted(numbers, self.last, side="right") - np.searchsorted(numbers, self.first))

    def is_useful(self, segment: Segment) -> bool:
        """Return whether the file should stay, because the view's last segment has many of its rows."""
        return self.count(segment) > _USEFUL_SHARE * self.rows

    def suffices(self, segment: Segment) -> bool:
        """Return whether the file has most of the live rows of the view's last segment, and few others."""
        return self.count(segment) >= _SUFFICIENT_SHARE * max(segment.n, self.rows)


class ChecksumStore(Protocol):
    """The part of a store that is needed to compare sealed files with it; `softkv_service.storage.Store` has it."""

    def reading(self) -> AbstractContextManager[ChecksumReader]:
        """Open a reader of one consistent state, for the duration of the block."""


class SealedBlocks:
    """The sealed files of a collection: each holds a block of its coded keys, so that the next start is faster.

    Args:
        directory: the directory of the files; None writes and reads no files.
        collection: the number of the collection in the store.
        span: the range of documents whose keys the files hold, all or a shard; files of other ranges have other names,
            see `_name`.
        wrong: damaged files, which are never read again.
        min_file_bytes: smaller blocks are read into memory, see `unseal`.
    """

    def __init__(
        self,
        directory: Path | None,
        store: ChecksumStore,
        collection: int,
        span: Span = ALL,
        wrong: set[Path] | None = None,
        min_file_bytes: int = 0,
    ) -> None:
        self._min_file_bytes = min_file_bytes
        self._directory = directory
        self._store = store
        self._collection, self._span = collection, span
        self._files: WeakKeyDictionary[object, tuple[Path, int]] = WeakKeyDictionary()
        self._last: LastFile | None = None
        self._wrong = set[Path]() if wrong is None else wrong
        self._lock = Lock()
        self._gone = False

    def read(self, record: CollectionRecord, reader: ChecksumReader) -> RestoredRows | None:
        """Restore the rows of files that match the store, and remove the other files; None if no row matches.

        Files of a whole collection are read in several threads. Their readers see the same state only while no thread
        writes.
        """
        with self._lock:
            paths = [path for path in self._paths() if path not in self._wrong]
            if not paths:
                return None
            if self._span == ALL:
                with ThreadPoolExecutor(_READERS, thread_name_prefix="unseal") as threads:
                    opened = list(threads.map(partial(self._open_with_own_reader, record), paths))
            else:
                opened = [self._open(record, path, reader) for path in paths]
            matched = match_files(reader, self._collection, [file for file in opened if file is not None], self._span)
            segments = [file.sealed.segment(live) for file, live in matched.files]
            for file, _ in matched.files:
                self._files[file.sealed.block] = file.path, file.sealed.count
            last = max((file for file, _ in matched.files), key=lambda file: file.last, default=None)
            self._last = None if last is None else LastFile.of(last.path, last.sealed.numbers, last.sealed.ties)
            self._remove_all_but({path for path, _ in self._files.values()} - self._wrong)
        segments.sort(key=lambda segment: int(segment.numbers[0]))
        return RestoredRows(segments, matched.numbers, matched.documents) if segments else None

    def step(self, view: View, *, complete: bool = False, waiting: Array = NO_ROWS) -> bool:
        """Write the file of one block of keys that has none yet, and return whether a file was written.

        If every block has a file, remove the files of blocks that are gone. The result is also False if the disk is
        full or fails.

        Args:
            view: the collection's keys in memory.
            complete: whether no more rows are expected to be added to the view. Its last block is then written too,
                unless a file has most of its rows.
            waiting: int64[n], ascending, the row numbers of documents whose values are yet to be encoded. Their blocks
                are left for later.
        """
        if self._directory is None:
            return False
        with self._lock:
            if self._gone:
                return False
            for segment in sealable_segments(view, complete=complete):
                if self._has_file(view, segment) or _is_among(segment.owners, waiting).any():
                    continue
                try:
                    return self._seal(view, segment)
                except (OSError, StorageError) as error:
                    log.warning("could not seal a block", collection=self._collection, reason=str(error))
                    return False
            blocks = {segment.block for segment in view.segments}
            paths = {path for block, (path, _) in self._files.items() if block in blocks}
            if (last := self._last) is not None and view.segments and last.is_useful(view.segments[-1]):
                paths.add(last.path)
            self._remove_all_but(paths)
        return False

    def _has_file(self, view: View, segment: Segment) -> bool:
        """Return whether a file has all rows of a segment, or most rows of a last one that is not full."""
        _, count = self._files.get(segment.block, (None, 0))
        if count == segment.count:
            return True
        growing = segment is view.segments[-1] and segment.count < view.limits.block_rows
        last = self._last
        return growing and last is not None and last.suffices(segment)

    def lacks_file(self, view: View) -> bool:
        """Return whether `step` would write a file of a block if no more rows are expected; it never waits."""
        blocks = [] if self._directory is None else sealable_segments(view, complete=True)
        return any(not self._has_file(view, segment) for segment in blocks)

    def check_next_originals(self, view: View) -> bool:
        """Check some originals (exact float32 vectors) of a view's files against their checksums, and pause.

        Return whether any were left.

        Raises:
            SealedError: an original differs from what was written.
        """
        unread = next((s.block.unread for s in view.segments if s.block.unchecked), None)
        if unread is None or self._gone:
            return False
        unread.check_next(_CHECK_BYTES)
        sleep(_PAUSE_SECONDS)
        return True

    def discard(self, path: Path, view: View | None = None) -> bool:
        """Remove a damaged file and never read it again; return whether the view uses a block of the file.

        A mapped file stays open. The file may remain if the directory cannot be written.
        """
        self._wrong.add(path)
        if self._last is not None and self._last.path == path:
            self._last = None
        _unlink(path)
        blocks = [] if view is None else [segment.block for segment in view.segments]
        return any(self._files.get(block, (None, 0))[0] == path for block in blocks)

    def remove(self) -> None:
        """Remove all files, because the collection was deleted, and write no more."""
        with self._lock:
            self._gone = True
            self._remove_all_but(set())

    def release_files(self) -> None:
        """Stop writing and removing files, because another server holds these documents now; existing files stay."""
        self._gone = True

    @staticmethod
    def remove_others(directory: Path, collections: Collection[int]) -> None:
        """Remove files of collections that do not exist any more, and incomplete files."""
        existing = {str(number) for number in collections}
        for path in directory.glob(f"{_NAME}*"):
            if path.suffix != ".block" or path.name.split("-")[1] not in existing:
                _unlink(path)

    @staticmethod
    def parts(directory: Path) -> Iterable[tuple[Path, int, int]]:
        """Yield the files of parts of collections, each with the collection's number and the first row."""
        for path in directory.glob(f"{_NAME}*.block"):
            with suppress(ValueError):  # a file of a whole collection, or an unknown file
                collection, first_row, _ = path.name.removeprefix(_NAME).split("-")
                yield path, int(collection), int(first_row)

    def _seal(self, view: View, segment: Segment) -> bool:
        assert self._directory is not None
        block = segment.block
        size = sum(array.nbytes for array in (block.keys, block.norms, block.owners, block.numbers))
        size += 0 if block.values is None else block.values.nbytes
        if shutil.disk_usage(self._directory).free < 2 * _FREE_SPACE_FACTOR * size:
            return False
        ties = np.zeros(segment.count, dtype=np.int64)
        with self._store.reading() as reader:
            for numbers, _, checksums in read_checksums(reader, self._collection, *segment.numbers[[0, -1]].tolist()):
                indices = np.searchsorted(numbers, segment.numbers)
                stored = (
                    numbers[np.minimum(indices, len(numbers) - 1)] == segment.numbers if len(numbers) else indices < 0
                )
                ties[stored] = checksums[indices[stored]]
        path = self._directory / f"{self._name}{secrets.token_hex(8)}.block"
        if not seal(path, view, segment, ties):
            return False
        self._files[block] = path, segment.count
        if segment is view.segments[-1]:
            self._last = LastFile.of(path, segment.numbers, ties)
        return True

    def _open_with_own_reader(self, record: CollectionRecord, path: Path) -> SealedFile | None:
        """Open a file and compare it with the store, by a separate reader.

        No thread writes to a collection whose keys are still loading, so all readers see the same rows.
        """
        with self._store.reading() as reader:
            return self._open(record, path, reader)

    def _open(self, record: CollectionRecord, path: Path, reader: ChecksumReader) -> SealedFile | None:
        """Open a file and compare it with the store; return None if it is damaged or does not fit the collection."""
        try:
            sealed = unseal(path, self._min_file_bytes)
        except (SealedError, OSError) as error:
            log.warning("sealed block is damaged; rebuilding", file=path.name, reason=str(error))
            return None
        settings = record.settings
        # The first document sets the dimension of a collection that has none; its record may be from before.
        if sealed.similarity != settings.similarity or settings.dimension not in (None, sealed.block.dimension):
            return None
        first, last = self._span
        if sealed.owners[0] < first or (last is not None and sealed.owners[-1] > last):
            return None
        return SealedFile.of(path, sealed, reader, self._collection)

    @property
    def _name(self) -> str:
        part = "" if self._span == ALL else f"{self._span.first}-"
        return f"{_NAME}{self._collection}-{part}"

    def _paths(self) -> list[Path]:
        if self._directory is None:
            return []
        # `Path.glob` would compile a pattern for each collection.
        names = [name for name in os.listdir(self._directory) if name.startswith(self._name)]
        return sorted(self._directory / name for name in names if name.endswith(".block"))

    def _remove_all_but(self, paths: set[Path]) -> None:
        for path in set(self._paths()) - paths:
            _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
