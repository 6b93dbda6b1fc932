"""Filters: as they are sent → conditions → which rows pass, looked at once for each row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from attention.dtypes import I64
from attention.lookup import Filtered, Mask, Picked, View
from service.retrieval.collections.columns import Columns, Source
from service.retrieval.errors import InvalidContent
from service.storage import Column, Comparison, Condition, InvalidCondition, parse_condition

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
