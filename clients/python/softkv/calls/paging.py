"""Lists that come in pages: what is asked for each, without the asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from softkv.calls.call import Call
from softkv.record import Record

T = TypeVar("T")


class Page(Record, Generic[T]):
    """Some items, and where the next ones begin; None at the end."""

    items: list[T]
    next_cursor: str | None


class Paging(Record, Generic[T]):
    """A list of any length.

    Attributes:
        ask: (cursor, how many at most) → the call for that page.
        at_once: how many come at a time.
        count: the call that says how many there are; None where none says it.
    """

    ask: Callable[[str | None, int], Call[Page[T]]]
    at_once: int
    count: Call[int] | None = None
