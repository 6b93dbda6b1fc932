"""Files of blocks held against what is stored: what a memory takes over of them, and what is left to be read.

Where all that the rows of a file come to is what the store says of them, none of them is looked at one by one. The
others are, and so is what the store has between the files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import structlog

from attention.lookup import Sealed
from service.storage import Condition, KeySums, RowNumbers

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
