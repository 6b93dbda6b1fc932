"""Growing parts of a view: what answers first, and what is known of the rows that it has not read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from attention.lookup.codes.summary import KeySummary
from attention.lookup.memory.view import AnyView, Mask, View
from attention.lookup.question import Question
from attention.lookup.shards.remote.summaries import is_summarised, summary_of

MIN_SHARES = (1 / 16, 1 / 4)
"""A part has at least so much of all rows, in whole blocks."""
MAX_SHARE = 1 / 2
"""A part that is larger is no faster than the whole by much."""
MIN_ROWS = 2**17
"""Fewer are answered as a whole in a few milliseconds."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """Some blocks of a view.

    Attributes:
        view: of these.
        rest: of the others.
        places: which segments of the whole they are.
        summing: held by whoever sums keys of the whole up.
    """

    view: View
    rest: View
    places: tuple[int, ...]
    summing: Lock
    _kept: list[KeySummary] = field(default_factory=list, init=False, repr=False)

    def restrict(self, question: Question) -> Question:
        """A question to the whole as these blocks are asked: whatever bound is request, by no more than one reading.

        It must have no bias.
        """
        mask = question.mask
        assert mask is None or isinstance(mask, Mask)
        here = None if mask is None else Mask(self.view, tuple(mask.bits[place] for place in self.places))
        return replace(question, mask=here, max_error=None)

    @property
    def is_known(self) -> bool:
        """Whether the sums of the other rows' keys were made."""
        return bool(self._kept) or is_summarised(self.rest)

    @property
    def is_due(self) -> bool:
        """Whether they were not, and nobody is at it."""
        return not self.is_known and not self.summing.locked()

    def sum_up(self) -> None:
        """Make them, unless somebody is at it: every key of theirs is read, once for as long as its block is there."""
        if self.summing.acquire(blocking=False):
            try:
                self._sum_up()
            finally:
                self.summing.release()

    def _sum_up(self) -> None:
        if not self._kept:
            self._kept.append(summary_of(self.rest))

    def summarise_rest(self) -> KeySummary:
        """Of the other rows; as long as their sums are not made, how many they are and how long the longest is."""
        if not self._kept and is_summarised(self.rest):
            self._sum_up()
        return self._kept[0] if self._kept else _bounded(self.rest)


_grown: WeakKeyDictionary[View, tuple[Prefix, ...]] = WeakKeyDictionary()


def view_prefixes(view: AnyView) -> tuple[Prefix, ...]:
    """Parts of a view, each with more of it than the one before, the small blocks first; the same ones whenever asked.

    None where it has few rows, few blocks, or rows that lie elsewhere.
    """
    if not isinstance(view, View) or view.parts or sum(segment.count for segment in view.segments) < MIN_ROWS:
        return ()
    if view not in _grown:
        _grown[view] = tuple(_cut(view))
    return _grown[view]


def _cut(view: View) -> list[Prefix]:
    counts = np.array([segment.count for segment in view.segments])
    order = np.argsort(counts, kind="stable")
    shares = np.cumsum(counts[order]) / counts.sum()
    found, summing = [], Lock()
    for blocks in np.unique(np.searchsorted(shares, MIN_SHARES) + 1).tolist():
        if blocks < len(counts) and shares[blocks - 1] <= MAX_SHARE:
            places = np.sort(order[:blocks]).tolist()
            others = np.sort(order[blocks:]).tolist()
            found.append(Prefix(_view_of(view, places), _view_of(view, others), tuple(places), summing))
    return found


def _view_of(view: View, places: list[int]) -> View:
    segments = tuple(view.segments[place] for place in places)
    return View(view.similarity, segments, view.dimension, view.value_dimension)


def _bounded(view: View) -> KeySummary:
    """What is known without reading a key: sums that say nothing, and the lengths."""
    nothing = KeySummary.empty(view.similarity, view.dimension or 0)
    rows, width = sum(segment.count for segment in view.segments), nothing.total.size
    return replace(
        nothing,
        n=rows,
        documents=view.documents,
        gram=np.broadcast_to(np.array(np.inf), (width, width)),
        key_norm=view.facts.key_norm * (1 + 1e-9),
        value_norm=view.facts.value_norm * (1 + 1e-9),
        removed=rows - view.n,
    )
