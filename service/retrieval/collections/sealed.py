"""The blocks of a collection in files, so that a start need not read and code all of its keys again.

The store is the truth. A row's number and its checksum there, which is of its number, its document and its vectors,
tell whether a file has the same row: a file one of whose rows is another one in the store is removed, whatever came
about: a store that was restored, copied over, or changed while nobody looked. Rows that are in the store and in no
file are read from the store. The float32 originals in a file are held against their checksums as they are used, and
all of them soon after a start: where one is not what was written, its file is removed as well.
"""

from __future__ import annotations

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
import structlog

from attention.lookup import Sealed, SealedError, Segment, View, seal, sealable, unseal
from service.storage import CollectionRecord, Condition, KeySums, RowNumbers, StorageError

log = structlog.get_logger("softkv")

_BATCH_ROWS = 2**17
_SHORT_BATCH_ROWS = 2**10
"""Rows at a time behind a document's first ones, where it most often goes no further."""
_LAST_ROW = 2**63 - 1

Array = np.ndarray


class ChecksumReader(Protocol):
    """What files are held against: each method is as `service.storage.Reader` has it."""

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """The row numbers int64[n] of the documents that pass, ascending; those from `first` to `last`."""

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Of keys with numbers from `first` to `last`: these, whose they are, and their checksums."""

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """What keys from `first` to `last`, and documents from `document` on, come to."""


class Span(NamedTuple):
    """Documents with row numbers from `first` to `last`, or to the last one there is, with all of their keys."""

    first: int = 0
    last: int | None = None


ALL = Span()


@dataclass(frozen=True, eq=False)
class SealedFile:
    """A sealed file; of its originals no byte is looked at here.

    Attributes:
        live: bool[count], its rows that the store has as well, and no other between the first and the last of them;
            None where that is not so, or not known.
        first, last: the numbers of its first and last row that were there when it was sealed.
    """

    path: Path
    sealed: Sealed
    live: Array | None
    first: int = 0
    last: int = -1

    @classmethod
    def of(cls, path: Path, sealed: Sealed, reader: ChecksumReader, collection: int) -> SealedFile:
        """As far as sums tell."""
        live = sealed.ties != 0
        numbers, owners = sealed.numbers[live], sealed.owners[live]
        if not len(numbers):
            return cls(path, sealed, None)
        own = KeySums.of(sealed.ties[live], owners[_find_starts(owners)])
        first, last = int(numbers[0]), int(numbers[-1])
        stored = reader.key_sums(collection, int(owners[0]), first, last)
        return cls(path, sealed, live if own == stored else None, first, last)

    def apart(self, other: SealedFile) -> bool:
        """Whether all of its rows come before those of another, or behind them."""
        return self.last < other.first or other.last < self.first


class MatchedRows(NamedTuple):
    """What is taken over.

    Attributes:
        files: each with bool[count], its rows that live.
        numbers: int64[n], of these rows, ascending.
        documents: int64[m], ascending, those of which the store has rows that no file has.
    """

    files: Sequence[tuple[SealedFile, Array]]
    numbers: Array
    documents: Array


def match_files(reader: ChecksumReader, collection: int, files: Sequence[SealedFile], span: Span = ALL) -> MatchedRows:
    """What the files have of these documents of a collection, each row once."""
    # Where two files have the same rows, as after a compaction that was cut off, the larger one is taken.
    files = sorted(files, key=lambda each: -each.sealed.count)
    whole: list[SealedFile] = []
    for file in files:
        if file.live is not None and all(file.apart(each) for each in whole):
            whole.append(file)
    whole.sort(key=lambda each: each.first)
    documents, numbers, owners, checksums = _read_gaps(reader, collection, whole, span)
    taken = [(file, file.live) for file in whole if file.live is not None]
    found = np.zeros(len(numbers), dtype=np.bool_)
    for file in files:
        if file in whole:
            continue
        sealed = file.sealed
        live = _is_among(sealed.numbers, numbers)
        at = np.searchsorted(numbers, sealed.numbers[live])
        changed = (checksums[at] != sealed.ties[live]).any() or (owners[at] != sealed.owners[live]).any()
        if changed or _is_torn(sealed.owners, live):
            log.warning("a sealed block is not what is stored, and is made anew", file=file.path.name)
        elif live.any() and not found[at].any():
            found[at] = True
            taken.append((file, live))
    there = np.concatenate([*(file.sealed.numbers[live] for file, live in taken), np.empty(0, np.int64)])
    lacking = np.union1d(owners[~found], np.setdiff1d(documents, owners))
    return MatchedRows(taken, np.sort(there, kind="stable"), lacking)


def read_checksums(
    reader: ChecksumReader, collection: int, first: int, last: int, at_once: int | None = None
) -> Iterator[tuple[Array, Array, Array]]:
    """What `Reader.key_checksums` says from one row number to another, many at a time."""
    while first <= last:
        stop = min(first + (at_once or _BATCH_ROWS), last + 1)
        yield reader.key_checksums(collection, first, stop - 1)
        first = stop


def _read_gaps(
    reader: ChecksumReader, collection: int, whole: Sequence[SealedFile], span: Span
) -> tuple[Array, Array, Array, Array]:
    """Of what is stored before, between and behind files: int64[m], the documents that begin there; and int64[n] each,
    the numbers of the keys there, their documents, and their checksums.
    """
    firsts = [span.first, *(file.last + 1 for file in whole)]
    lasts = [*(file.first - 1 for file in whole), None]
    before = [None, *(int(file.sealed.owners[file.live][-1]) for file in whole)]
    documents: list[Array] = []
    parts: list[tuple[Array, Array, Array]] = []
    for first, last, owner in zip(firsts, lasts, before, strict=True):
        if last is not None and first > last:
            continue
        begun = reader.rows_where(collection, first=first, last=span.last if last is None else last)
        most = _LAST_ROW if last is None else last
        documents.append(begun)
        for found in _read_documents(reader, collection, first, most, begun, owner):
            mine = _is_among(found[1], begun) | (found[1] == (-1 if owner is None else owner))
            parts.append((found[0][mine], found[1][mine], found[2][mine]))
    none = np.empty(0, dtype=np.int64)
    numbers, owners, checksums = (np.concatenate([none, *each]) for each in zip((none,) * 3, *parts, strict=True))
    return np.concatenate(documents), numbers, owners, checksums


def _read_documents(
    reader: ChecksumReader, collection: int, first: int, most: int, begun: Array, owner: int | None
) -> Iterator[tuple[Array, Array, Array]]:
    """The rows from `first` to `most` of documents that begin there, and of one that began before."""
    if owner is not None:
        first = yield from _read_document(reader, collection, first, most, owner)
    if len(begun):
        first, last = max(first, int(begun[0])), int(begun[-1])
        yield from read_checksums(reader, collection, first, last)
        yield from _read_document(reader, collection, max(first, last + 1), most, last)


def _read_document(
    reader: ChecksumReader, collection: int, first: int, most: int, owner: int
) -> Generator[tuple[Array, Array, Array], None, int]:
    """The rows from `first` to `most` of one document, and some of others → the first row that was not read."""
    for found in read_checksums(reader, collection, first, most, _SHORT_BATCH_ROWS):
        yield found
        first = min(first + _SHORT_BATCH_ROWS, most + 1)
        if not len(found[1]) or found[1][-1] != owner:
            break
    return first


def _find_starts(owners: Array) -> Array:
    """int64[m]: where another document begins."""
    return np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))


def _is_among(numbers: Array, others: Array) -> Array:
    """bool[n]: which of the numbers are among others, which ascend."""
    if not len(others):
        return np.zeros(len(numbers), dtype=np.bool_)
    at = np.minimum(np.searchsorted(others, numbers), len(others) - 1)
    return np.asarray(others[at] == numbers)


def _is_torn(owners: Array, live: Array) -> bool:
    """Whether of a document some rows live and others do not."""
    starts = _find_starts(owners)
    return bool((np.logical_or.reduceat(live, starts) != np.logical_and.reduceat(live, starts)).any())


_NAME = "softkv.sealed-"
_READERS = 4
"""Files that are held against their checksums, and the store, at a time."""

_CHECK_BYTES = 2**24
_PAUSE_SECONDS = 0.05
"""Bytes of originals that are checked at a time after a start, and the pause in between, in which others run."""

_FREE_SPACE_FACTOR = 2
"""A file is written where the disk has room for so many of it."""


@dataclass(frozen=True, eq=False)
class RestoredRows:
    """What of a collection was found in files.

    Attributes:
        segments: with the rows that the store has as well, each once.
        numbers: int64[n], of these rows, ascending.
        documents: int64[m], ascending, those of which the store has rows that were not found; to be read from it.
    """

    segments: Sequence[Segment]
    numbers: Array
    documents: Array


class ChecksumStore(Protocol):
    """What has the rows that files are held against: a `service.storage.Store` is one."""

    def reading(self) -> AbstractContextManager[ChecksumReader]:
        """One consistent state for as long as the block runs."""


class SealedBlocks:
    """The files of one collection, or of some of its documents, and which of the blocks they have.

    Args:
        directory: where they lie; None: there are none, and none is written.
        collection: its number in the store.
        span: of which documents; files of others have other names, see `name_of`.
        wrong: files that are never read again, since they were not what was written.
    """

    def __init__(
        self,
        directory: Path | None,
        store: ChecksumStore,
        collection: int,
        span: Span = ALL,
        wrong: set[Path] | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._collection, self._span = collection, span
        self._files: WeakKeyDictionary[object, tuple[Path, int]] = WeakKeyDictionary()
        self._wrong = set[Path]() if wrong is None else wrong
        self._lock = Lock()
        self._gone = False

    def read(self, record: CollectionRecord, reader: ChecksumReader) -> RestoredRows | None:
        """What the files have of what is stored; None where that is nothing. Files that do not fit are removed.

        The files of all documents are read in several threads, whose readers see the same only while nobody writes.
        """
        with self._lock:
            paths = [path for path in self._paths() if path not in self._wrong]
            if not paths:
                return None
            if self._span == ALL:
                with ThreadPoolExecutor(_READERS, thread_name_prefix="unseal") as threads:
                    opened = list(threads.map(partial(self._opened_beside, record), paths))
            else:
                opened = [self._opened(record, path, reader) for path in paths]
            found = match_files(reader, self._collection, [each for each in opened if each is not None], self._span)
            segments = [file.sealed.segment(live) for file, live in found.files]
            for file, _ in found.files:
                self._files[file.sealed.block] = file.path, file.sealed.count
            self._remove_all_but({path for path, _ in self._files.values()} - self._wrong)
        segments.sort(key=lambda segment: int(segment.numbers[0]))
        return RestoredRows(segments, found.numbers, found.documents) if segments else None

    def step(self, view: View, *, complete: bool = False) -> bool:
        """Write a file of a block that has none yet; where each has one, remove files of blocks that are gone.

        Args:
            complete: no row will be added to the view any more.

        Returns:
            Whether one was written. It is not where the disk has no room, or fails.
        """
        if self._directory is None:
            return False
        with self._lock:
            if self._gone:
                return False
            for segment in sealable(view, complete=complete):
                _, count = self._files.get(segment.block, (None, 0))
                if count == segment.count:
                    continue
                try:
                    return self._seal(view, segment)
                except (OSError, StorageError) as error:
                    log.warning("a block could not be sealed", collection=self._collection, reason=str(error))
                    return False
            there = {segment.block for segment in view.segments}
            self._remove_all_but({path for block, (path, _) in self._files.items() if block in there})
        return False

    def check_some(self, view: View) -> bool:
        """Hold some of the originals of a view's blocks against their checksums, and pause: whether any were left.

        Raises:
            SealedError: one is not what was written.
        """
        unread = next((s.block.unread for s in view.segments if s.block.unchecked), None)
        if unread is None or self._gone:
            return False
        unread.check_next(_CHECK_BYTES)
        sleep(_PAUSE_SECONDS)
        return True

    def discard(self, path: Path, view: View | None = None) -> bool:
        """Remove a file that is not what was written, and never read it again: whether a block of the view lies in it.

        It stays open where it is mapped, and may be there still where nothing can be removed.
        """
        self._wrong.add(path)
        _unlink(path)
        blocks = [] if view is None else [segment.block for segment in view.segments]
        return any(self._files.get(block, (None, 0))[0] == path for block in blocks)

    def remove(self) -> None:
        """The collection is gone: so are its files, and none is written any more."""
        with self._lock:
            self._gone = True
            self._remove_all_but(set())

    def let_go(self) -> None:
        """Nobody has these documents here any more: no file is written or removed, and those that are there stay."""
        self._gone = True

    @staticmethod
    def remove_others(directory: Path, collections: Collection[int]) -> None:
        """Remove what lies in a directory of collections that are not there, or was not written to its end."""
        for path in directory.glob(f"{_NAME}*"):
            if path.suffix != ".block" or path.name.split("-")[1] not in {str(number) for number in collections}:
                _unlink(path)

    @staticmethod
    def parts(directory: Path) -> Iterable[tuple[Path, int, int]]:
        """The files of parts of collections in a directory, each with the collection's number and the first row."""
        for path in directory.glob(f"{_NAME}*.block"):
            with suppress(ValueError):  # a file of a whole collection, or nobody's
                collection, first_row, _ = path.name.removeprefix(_NAME).split("-")
                yield path, int(collection), int(first_row)

    def _seal(self, view: View, segment: Segment) -> bool:
        assert self._directory is not None
        block = segment.block
        size = sum(each.nbytes for each in (block.keys, block.norms, block.owners, block.numbers))
        size += 0 if block.values is None else block.values.nbytes
        if shutil.disk_usage(self._directory).free < 2 * _FREE_SPACE_FACTOR * size:
            return False
        ties = np.zeros(segment.count, dtype=np.int64)
        with self._store.reading() as reader:
            for numbers, _, checksums in read_checksums(reader, self._collection, *segment.numbers[[0, -1]].tolist()):
                at = np.searchsorted(numbers, segment.numbers)
                there = numbers[np.minimum(at, len(numbers) - 1)] == segment.numbers if len(numbers) else at < 0
                ties[there] = checksums[at[there]]
        path = self._directory / f"{self._name}{secrets.token_hex(8)}.block"
        seal(path, view, segment, ties)
        self._files[block] = path, segment.count
        return True

    def _opened_beside(self, record: CollectionRecord, path: Path) -> SealedFile | None:
        """The same, beside others: nobody writes a collection whose keys are not there yet."""
        with self._store.reading() as reader:
            return self._opened(record, path, reader)

    def _opened(self, record: CollectionRecord, path: Path, reader: ChecksumReader) -> SealedFile | None:
        """A file that is what was written, but perhaps for its originals, and what it has of what is stored."""
        try:
            sealed = unseal(path)
        except (SealedError, OSError) as error:
            log.warning("a sealed block is made anew", file=path.name, reason=str(error))
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
        return sorted(self._directory.glob(f"{self._name}*.block"))

    def _remove_all_but(self, kept: set[Path]) -> None:
        for path in set(self._paths()) - kept:
            _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
