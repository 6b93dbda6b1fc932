"""The columns of one collection that filters have asked for, kept in memory and up to date."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np

from attention.lookup import View
from service.storage import Column, Condition, RowNumbers

MIN_CACHE_BYTES = 2**24  # bytes; a small collection's columns fit in any case
CACHE_BYTES_PER_DOCUMENT = 128  # that all columns of a large one may take: a twelfth of its keys at width 384
PART_RATIO = 8  # a part holds so many times the documents of the next one, so that there are few


class FieldReader(Protocol):
    """What a filter asks of a store's reader."""

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """A field of the documents with row numbers above `after`; None where it takes more than `most_bytes`."""

    def rows_where(self, collection: int, condition: Condition | None = None) -> RowNumbers:
        """The row numbers int64[n] of the documents that pass, ascending."""


@dataclass(frozen=True)
class Source:
    """One collection as one reader sees it.

    Attributes:
        collection: its number in storage.
        version: counts the writes; of two sources the one of the higher version is newer.
        view: its keys; a compaction changes it, but not the version.
    """

    collection: int
    version: int
    view: View
    reader: FieldReader


@dataclass(frozen=True)
class _ColumnPart:
    """What was read of one field: the rows up to `last`, from behind the part before; of so many documents."""

    column: Column
    last: int
    documents: int


@dataclass(frozen=True)
class _CachedColumn:
    """A field as of the version at which it was read last; later versions may use it, earlier ones may not.

    Rows that were removed in between are in it or not, as it happened: a view ignores them.
    """

    parts: tuple[_ColumnPart, ...]
    version: int

    @property
    def nbytes(self) -> int:
        return sum(part.column.nbytes for part in self.parts)


class Columns:
    """Reads a column when it is first asked for, then only what was written since; for many threads.

    Those that were not asked for lately go where all together outgrow their room.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[str, _CachedColumn] = OrderedDict()
        self._too_large: set[str] = set()

    def of(self, field: str, source: Source, first: int = 0) -> list[Column] | None:
        """The column of every document in the source from row number `first` on, in parts by row number.

        The first of them may begin before that.

        None where SQL has to answer: the field proved too large to hold, or a newer version was read already.
        """
        with self._lock:
            held = self._held.get(field)
            if field in self._too_large or (held is not None and source.version < held.version):
                return None
            if held is not None:
                self._held.move_to_end(field)
        if held is None or _last_row(source.view) > held.parts[-1].last:
            held = self._read(field, held, source)
        return None if held is None else [part.column for part in held.parts if part.last >= first]

    def _read(self, field: str, before: _CachedColumn | None, source: Source) -> _CachedColumn | None:
        room = max(MIN_CACHE_BYTES, CACHE_BYTES_PER_DOCUMENT * source.view.n)
        parts = list(before.parts) if before else []
        if sum(part.documents for part in parts) > 2 * source.view.n + 1000:
            parts = []  # most of it was removed since
        while parts and PART_RATIO * _count_above(source.view, parts[-1].last) >= parts[-1].documents:
            parts.pop()
        after = parts[-1].last if parts else 0
        column = source.reader.column(source.collection, field, after=after, most_bytes=room)
        held = None
        if column is not None:
            last = _last_row(source.view)  # a store that is read at a version may tell of rows that came later
            parts.append(_ColumnPart(column.until(last), last, _count_above(source.view, after)))
            held = _CachedColumn(tuple(parts), source.version)
        return self._keep(field, held, room)

    def _keep(self, field: str, held: _CachedColumn | None, room: int) -> _CachedColumn | None:
        with self._lock:
            if held is None or held.nbytes > room:
                self._held.pop(field, None)
                self._too_large.add(field)
                return None
            other = self._held.get(field)
            if other is None or other.version <= held.version:
                self._held[field] = held
                self._held.move_to_end(field)
            while sum(each.nbytes for each in self._held.values()) > room:
                self._held.popitem(last=False)
            return held


def _last_row(view: View) -> int:
    return max((int(segment.numbers[-1]) for segment in view.segments), default=0)


def _count_above(view: View, row: int) -> int:
    """How many rows of the view have a higher number, removed ones that still have a place included."""
    places = (np.searchsorted(segment.numbers, row, side="right") for segment in view.segments)
    return sum(segment.count - int(place) for segment, place in zip(view.segments, places, strict=True))
