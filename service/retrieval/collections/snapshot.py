"""A consistent view of a collection: settings, keys and rows of one version, with cached masks and metadata columns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np

from attention.dtypes import I64
from attention.lookup import Filtered, KeySummary, Mask, Picked, View
from service.retrieval.collections.null import KeyBackground, KeySample
from service.retrieval.errors import InvalidContent
from service.storage import (
    CollectionRecord,
    Column,
    Comparison,
    Condition,
    InvalidCondition,
    Reader,
    RowNumbers,
    condition_digest,
    parse_condition,
)

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


T = TypeVar("T")

MAX_MASK_BYTES = 2**26
MAX_MASKS = 256
MAX_DERIVED = 4  # of what is made of a view besides masks: each may take 20 bytes a document

_OPPOSITE = {"!=": "==", "not in": "in"}


def parse_filter(sent: Any) -> Condition | None:
    """The condition that a filter says; None where none was sent.

    Raises:
        InvalidContent: it points at what is wrong in the request's `filter`.
    """
    try:
        return None if sent is None else parse_condition(sent)
    except InvalidCondition as error:
        where = f"/filter/{error.pointer}" if error.pointer else "/filter"
        raise InvalidContent.at(where, error.message) from None


@dataclass(frozen=True, eq=False)
class _CachedFilter:
    """What is known of one filter.

    Attributes:
        filtered: which rows pass, of every block.
        version: of the newest source that it was evaluated on: of older ones it knows nothing.
        mask: of the current view; None where that was not asked for yet.
    """

    filtered: Filtered
    version: int
    mask: Mask | None


class Masks:
    """The masks of one collection's current view, and what they say of rows that the next one has as well; for many
    threads.

    A row that passes once passes for good: after a write a filter is evaluated for new rows only. What was not asked
    for lately goes where there are more than MAX_MASKS, or more than MAX_MASK_BYTES of them. A mask of an older view is
    made for who still reads it, and not kept.
    """

    def __init__(self, current: Callable[[], View]) -> None:
        self._current = current
        self._columns = Columns()
        self._lock = Lock()
        self._kept: OrderedDict[bytes, _CachedFilter] = OrderedDict()
        self._made: OrderedDict[Hashable, tuple[View, Any]] = OrderedDict()

    def of(self, source: Source, condition: Condition, name: bytes) -> Mask:
        """The mask of a condition, whose canonical name is `name`, for the source's view."""
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None and kept.mask is not None and kept.mask.view is source.view:
                self._kept.move_to_end(name)
                return kept.mask
        if kept is None or kept.version > source.version:
            kept = _CachedFilter(Filtered(), source.version, None)
        spans = kept.filtered.unseen(source.view)
        picked = _evaluate(condition, source, self._columns, spans) if spans else Picked((), ())
        filtered = kept.filtered.with_more(source.view, picked)
        return self._keep(name, _CachedFilter(filtered, source.version, filtered.mask(source.view)))

    def columns(self, field: str, source: Source) -> list[Column] | None:
        """A field of the metadata of every document in the source; None where it is to be read from the store."""
        return self._columns.of(field, source)

    def once(self, view: View, name: Hashable, make: Callable[[], T]) -> T:
        """What is made of a view and of what its rows hold, under a name; kept while the view is current."""
        with self._lock:
            kept = self._made.get(name)
            if kept is not None and kept[0] is view:
                self._made.move_to_end(name)
                found: T = kept[1]
                return found
        made = make()
        with self._lock:
            if view is self._current():
                self._made[name] = view, made
                self._made.move_to_end(name)
                if len(self._made) > MAX_DERIVED:
                    self._made.popitem(last=False)
        return made

    def forget(self) -> None:
        """Drop what was made of views that are no longer current; call it whenever there is a new one."""
        with self._lock:
            view = self._current()
            for name, kept in self._kept.items():
                if kept.mask is not None and kept.mask.view is not view:
                    self._kept[name] = replace(kept, mask=None)
            for other in [name for name, (of, _) in self._made.items() if of is not view]:
                del self._made[other]

    def _keep(self, name: bytes, made: _CachedFilter) -> Mask:
        assert made.mask is not None
        with self._lock:
            if made.mask.view is not self._current():
                return made.mask
            kept = self._kept.get(name)
            if kept is None or kept.mask is None or kept.mask.view is not made.mask.view:
                kept = self._kept[name] = made
            self._kept.move_to_end(name)
            while (
                len(self._kept) > MAX_MASKS
                or sum(each.filtered.nbytes for each in self._kept.values()) > MAX_MASK_BYTES
            ):
                self._kept.popitem(last=False)
            assert kept.mask is not None
            return kept.mask


def _evaluate(condition: Condition, source: Source, columns: Columns, spans: Sequence[I64]) -> Picked:
    """Which of the rows, by their owners, pass: see `Picked`."""
    if isinstance(condition, Comparison):
        return _evaluate_comparison(condition, source, columns, spans)
    nothing = Picked.of(spans, np.empty(0, dtype=np.int64))
    joined = nothing if condition.operator == "OR" else ~nothing
    for each in condition.conditions:
        picked = _evaluate(each, source, columns, spans)
        joined = joined | picked if condition.operator == "OR" else joined & picked
    return ~joined if condition.operator == "NOT" else joined


def _evaluate_comparison(comparison: Comparison, source: Source, columns: Columns, spans: Sequence[I64]) -> Picked:
    if comparison.operator in _OPPOSITE:
        return ~_evaluate_comparison(
            replace(comparison, operator=_OPPOSITE[comparison.operator]), source, columns, spans
        )
    first = min(int(owners[0]) for owners in spans)
    parts = columns.of(comparison.name, source, first) if comparison.in_metadata else None
    if parts is None:
        return Picked.of(spans, source.reader.rows_where(source.collection, comparison))
    picked = Picked.of(spans, np.concatenate([part.rows(comparison) for part in parts]))
    if _matches_null(comparison):  # which a row has by having no value
        picked |= ~Picked.of(spans, np.concatenate([part.present for part in parts]))
    return picked


def _matches_null(comparison: Comparison) -> bool:
    if comparison.operator == "in":
        return None in comparison.value
    return comparison.operator == "==" and comparison.value is None


MAX_COLUMN_BYTES = 2**30
"""What a field may take that is read for one question."""


@dataclass(frozen=True)
class Snapshot:
    """A collection as of one version, for as long as the reader is open.

    Attributes:
        missing: of the keys that the view should have and has not; None where it has all.
    """

    record: CollectionRecord
    view: View
    reader: Reader
    version: int
    masks: Masks
    sample: KeySample
    missing: KeySummary | None = None
    _given: dict[bytes, Mask] = field(default_factory=dict, init=False, repr=False)
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def mask(self, condition: Condition) -> Mask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = condition_digest(condition)
        if name not in self._given:
            self._given[name] = self.masks.of(self._source, condition, name)
        return self._given[name]

    def columns(self, field: str, pointer: str) -> list[Column]:
        """A field of the metadata of every document, in parts by row number; also of some that were removed.

        Raises:
            InvalidContent: it takes more than MAX_COLUMN_BYTES; it points at who asked.
        """
        held = self.masks.columns(field, self._source)
        return self._read_column(field, pointer) if held is None else held

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What is made of this snapshot under a name; the same object for all who ask for it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def lasting(self, name: Hashable, make: Callable[[], T]) -> T:
        """The same of what follows from the view and from what its rows hold: later snapshots of the view share it."""
        return self.once(name, lambda: self.masks.once(self.view, name, make))

    def _read_column(self, field: str, pointer: str) -> list[Column]:
        column = self.reader.column(self.record.id, field, most_bytes=MAX_COLUMN_BYTES)
        if column is None:
            raise InvalidContent.at(
                pointer,
                f"the values of metadata.{field} take more than {MAX_COLUMN_BYTES:,} bytes: take a field with shorter ones",
            )
        return [column]

    @property
    def _source(self) -> Source:
        return Source(self.record.id, self.version, self.view, self.reader)

    def own(self) -> KeyBackground | None:
        """The collection's own background."""
        return self.sample.own(self.record, self.reader, self.version)
