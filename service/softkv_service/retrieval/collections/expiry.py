"""Expiry of documents: from an instant on, a document is absent, although it is deleted only later.

A collection knows the instants of its documents that expire (`Expirations`). At an instant it shows a view of its keys
without those that have expired (`UnexpiredViews`). So an answer is the same as if they had been deleted. If nothing
has expired, that is the view of all keys, and a question costs one comparison of numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import I64
from softkv_attention.lookup import Segment, View
from softkv_service.storage import Reader
from softkv_service.storage.errors import CollectionDamaged
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord, ExpiryRows

Clock: TypeAlias = Callable[[], int]
"""Returns the time now, in microseconds of Unix time. It may go back when the machine's clock is set."""

RECENT = 1024
"""The number of changes that are always kept beside the large arrays, so that a write need not copy these."""


def read_clock() -> int:
    """Return the time of this machine's clock, in microseconds of Unix time."""
    return time.time_ns() // 1000


@dataclass(frozen=True, eq=False)
class Expirations:
    """The documents of a collection that expire, and when; immutable.

    Attributes:
        rows, expires: int64[n], row numbers and instants of documents, ordered by instant. Some may have been deleted.
        recent_rows, recent_expires: int64[m], the same of documents that were written since.
        gone: int64[g], ascending, the row numbers of documents in `rows` that were deleted since.
        first: an instant before which no document expires; None if none ever does.
    """

    rows: I64
    expires: I64
    recent_rows: I64
    recent_expires: I64
    gone: I64
    first: int | None = field(init=False)

    def __post_init__(self) -> None:
        firsts = [int(expires[0]) for expires in (self.expires, self.recent_expires) if len(expires)]
        object.__setattr__(self, "first", min(firsts, default=None))

    @classmethod
    def of(cls, expiring: ExpiryRows) -> Expirations:
        """Return the expirations of documents that are ordered by their instants."""
        empty = np.empty(0, dtype=np.int64)
        return cls(expiring.rows, expiring.expires, empty, empty, empty)

    def after_write(self, expiring: ExpiryRows, removed: I64) -> Expirations:
        """Return the expirations after a write.

        Args:
            expiring: new documents that expire, in any order.
            removed: int64[r], the row numbers of documents that were deleted or replaced.
        """
        rows, expires = expiring
        if not len(rows) and (not len(removed) or not (len(self.rows) or len(self.recent_rows))):
            return self
        stays = ~np.isin(self.recent_rows, removed)
        recent_rows = np.concatenate([self.recent_rows[stays], rows])
        recent_expires = np.concatenate([self.recent_expires[stays], expires])
        order = np.argsort(recent_expires, kind="stable")
        gone = np.union1d(self.gone, removed) if len(self.rows) else self.gone
        after = Expirations(self.rows, self.expires, recent_rows[order], recent_expires[order], gone)
        return after._merge() if len(recent_rows) + len(gone) > RECENT + len(self.rows) // 64 else after

    def _merge(self) -> Expirations:
        stays = ~np.isin(self.rows, self.gone)
        rows = np.concatenate([self.rows[stays], self.recent_rows])
        expires = np.concatenate([self.expires[stays], self.recent_expires])
        order = np.argsort(expires, kind="stable")
        return Expirations.of(ExpiryRows(rows[order], expires[order]))

    def last_expiry(self, now: int) -> int | None:
        """Return the last instant until `now` at which a document expired; None if none has."""
        both = self.expires, self.recent_expires
        counts = [int(np.searchsorted(expires, now, side="right")) for expires in both]
        lasts = [int(expires[count - 1]) for expires, count in zip(both, counts, strict=True) if count]
        return max(lasts, default=None)

    def between(self, after: int | None, until: int) -> I64:
        """Return int64[k], the row numbers of documents that expire after an instant and until another, in any order.

        Args:
            after: None for all that expire until then.
            until: the other instant, at which they have expired.
        """
        parts = []
        for rows, expires in ((self.rows, self.expires), (self.recent_rows, self.recent_expires)):
            first = 0 if after is None else int(np.searchsorted(expires, after, side="right"))
            parts.append(rows[first : int(np.searchsorted(expires, until, side="right"))])
        return np.concatenate(parts)


NONE_EXPIRE = ExpiryRows(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
NEVER = Expirations.of(NONE_EXPIRE)
"""The expirations of a collection whose documents never expire."""


def find_expiring(numbers: I64, documents: Sequence[DocumentRecord]) -> ExpiryRows:
    """Return those of some documents that expire, in their order.

    Args:
        numbers: int64[n], the row numbers of the documents.
    """
    pairs = [
        (row, document.expires)
        for row, document in zip(numbers.tolist(), documents, strict=True)
        if document.expires is not None
    ]
    rows, expires = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ExpiryRows(rows, expires)


def with_expiry(document: DocumentRecord, settings: CollectionSettings, now: int) -> DocumentRecord:
    """Return the document with the expiry that the collection gives it, unless it has its own."""
    if document.expires_sent or settings.expire_after is None:
        return document
    return replace(document, expires=now + settings.expire_after, expires_sent=True)


def read_expirations(record: CollectionRecord, reader: Reader) -> Expirations:
    """Read the expirations of a collection from the store.

    Raises:
        CollectionDamaged: a document expires before the first instant that the collection's record has.
    """
    expiring = reader.expiring(record.id)
    if not len(expiring.expires):
        return NEVER
    if record.first_expiry is None or record.first_expiry > expiring.expires[0]:
        raise CollectionDamaged(record.name, "documents expire earlier than its record says")
    return Expirations.of(expiring)


@dataclass(frozen=True)
class UnexpiredView:
    """A view of the documents that have not expired at one instant.

    Attributes:
        view: the keys of the documents that have not expired.
        until: the last instant at which a document expired; None if none has.
    """

    view: View
    until: int | None


class UnexpiredViews:
    """A cache of the view of a collection without its expired documents, safe for many threads.

    A view follows from the one before: a block of keys is looked at again only if it was written, or if one of its
    documents may have expired since.

    Args:
        changed: called when another view is shown.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._changed = changed
        self._lock = Lock()
        self._base: View | None = None
        self._last: UnexpiredView | None = None
        self._segments: WeakKeyDictionary[Segment, tuple[int, Segment]] = WeakKeyDictionary()

    def current(self, base: View | None) -> View | None:
        """Return the last view that was shown, if it is of this view of all keys; else this one."""
        with self._lock:
            return self._last.view if self._last is not None and base is self._base else base

    def at(self, base: View, expirations: Expirations, now: int) -> UnexpiredView:
        """Return the view of the documents that have not expired at an instant.

        Args:
            base: the view of all keys, which changes whenever the expirations do.
            expirations: those of the documents of the view.
            now: microseconds of Unix time.
        """
        first = expirations.first
        if first is None or now < first:
            return UnexpiredView(base, None)
        until = expirations.last_expiry(now)
        assert until is not None
        with self._lock:
            if self._last is not None and base is self._base and self._last.until == until:
                return self._last
            shown = UnexpiredView(self._without_expired(base, expirations, until), until)
            self._last, self._base = shown, base
        self._changed()
        return shown

    def _without_expired(self, base: View, expirations: Expirations, until: int) -> View:
        segments = [self._show_segment(segment, expirations, until) for segment in base.segments]
        rest = tuple(segment for segment in segments if segment.n)
        return base.with_segments(rest, base.dimension, base.value_dimension)

    def _show_segment(self, segment: Segment, expirations: Expirations, until: int) -> Segment:
        """Return a segment of the base without the documents that have expired."""
        earlier, shown = self._segments.get(segment, (None, segment))
        if earlier is not None and earlier > until:  # the clock went back
            earlier, shown = None, segment
        if earlier != until:
            rows = expirations.between(earlier, until)
            first, last = segment.owners[[0, -1]]
            positions = shown.positions(np.sort(rows[(rows >= first) & (rows <= last)]))
            shown = shown.without(positions) if len(positions) else shown
            self._segments[segment] = until, shown
        return shown
