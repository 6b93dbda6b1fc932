"""Filters: as they are sent → conditions → which rows pass, a mask made once for each view of the keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np

from attention.lookup import Mask, View
from service.retrieval.collections.columns import Columns, Source
from service.retrieval.errors import InvalidContent
from service.storage import Comparison, Condition, InvalidCondition, parse_condition

MASK_BYTES = 2**26
MOST_MASKS = 256

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


class Masks:
    """The masks of one collection's current view; for many threads.

    Those that were not asked for lately go where there are more than MOST_MASKS, or more than
    MASK_BYTES of them. A mask of an older view is made for who still reads it, and not kept.
    """

    def __init__(self, current: Callable[[], View]) -> None:
        self._current = current
        self._columns = Columns()
        self._lock = Lock()
        self._kept: OrderedDict[bytes, Mask] = OrderedDict()

    def of(self, source: Source, condition: Condition, name: bytes) -> Mask:
        """The mask of a condition, whose canonical name is `name`, for the source's view."""
        with self._lock:
            kept = self._lookup(name, source.view)
        return kept if kept is not None else self._keep(name, _evaluated(condition, source, self._columns))

    def forget(self) -> None:
        """Drop the masks of the views that are no longer current; call it whenever there is a new one."""
        with self._lock:
            view = self._current()
            for name in [name for name, mask in self._kept.items() if mask.view is not view]:
                del self._kept[name]

    def _lookup(self, name: bytes, view: View) -> Mask | None:
        mask = self._kept.get(name)
        if mask is None or mask.view is not view:
            return None
        self._kept.move_to_end(name)
        return mask

    def _keep(self, name: bytes, mask: Mask) -> Mask:
        with self._lock:
            if mask.view is not self._current():
                return mask
            kept = self._lookup(name, mask.view)
            if kept is not None:  # another thread made it meanwhile
                return kept
            self._kept[name] = mask
            while len(self._kept) > MOST_MASKS or sum(each.nbytes for each in self._kept.values()) > MASK_BYTES:
                self._kept.popitem(last=False)
            return mask


def _evaluated(condition: Condition, source: Source, columns: Columns) -> Mask:
    if isinstance(condition, Comparison):
        return _compared(condition, source, columns)
    nothing = source.view.mask(np.empty(0, dtype=np.int64))
    joined = nothing if condition.operator == "OR" else ~nothing
    for each in condition.conditions:
        mask = _evaluated(each, source, columns)
        joined = joined | mask if condition.operator == "OR" else joined & mask
    return ~joined if condition.operator == "NOT" else joined


def _compared(comparison: Comparison, source: Source, columns: Columns) -> Mask:
    if comparison.operator in _OPPOSITE:
        return ~_compared(replace(comparison, operator=_OPPOSITE[comparison.operator]), source, columns)
    parts = columns.of(comparison.name, source) if comparison.in_metadata else None
    if parts is None:
        return source.view.mask(source.reader.rows_where(source.collection, comparison))
    mask = source.view.mask(np.concatenate([part.rows(comparison) for part in parts]))
    if _asks_for_null(comparison):  # which a row has by having no value
        mask |= ~source.view.mask(np.concatenate([part.present for part in parts]))
    return mask


def _asks_for_null(comparison: Comparison) -> bool:
    if comparison.operator == "in":
        return None in comparison.value
    return comparison.operator == "==" and comparison.value is None
