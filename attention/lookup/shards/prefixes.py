"""Prefixes: growing parts of a view, each of which gives an answer before the whole view does.

A summary of the remaining rows bounds how far such an answer can be off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from attention.forked import new_lock
from attention.lookup.codes.summary import KeySummary
from attention.lookup.memory.summaries import is_summarised, summary_of
from attention.lookup.memory.view import AnyView, Mask, View
from attention.lookup.question import Question

MIN_SHARES = (1 / 16, 1 / 4)
"""The least share of all rows in each prefix, which has whole blocks."""

MAX_SHARE = 1 / 2
"""The largest share; a larger prefix is hardly faster than the whole."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """Some blocks of a view, which answer a question early, before the whole view does.

    A summary of the other blocks bounds how far the early answer can be off.

    Attributes:
        view: the view of these blocks alone.
        rest: the view of all other blocks.
        segments: the indices of these blocks among the segments of the whole view.
        summing: a lock, shared by all prefixes of the view, which a thread holds while it sums keys of the rest.
    """

    view: View
    rest: View
    segments: tuple[int, ...]
    summing: Lock
    _summaries: list[KeySummary] = field(default_factory=list, init=False, repr=False)

    def restrict(self, question: Question) -> Question:
        """Return a question about the whole view as a question about these blocks, without `max_error`.

        Without `max_error`, one reading of the blocks is enough. The question must not have a bias.
        """
        mask = question.mask
        assert mask is None or isinstance(mask, Mask)
        restricted = None if mask is None else Mask(self.view, tuple(mask.bits[index] for index in self.segments))
        return replace(question, mask=restricted, max_error=None)

    @property
    def is_known(self) -> bool:
        """Whether the sums over the keys of `rest` are already computed."""
        return bool(self._summaries) or is_summarised(self.rest)

    @property
    def is_due(self) -> bool:
        """Whether the sums over the keys of `rest` still have to be computed, and no thread is doing so."""
        return not self.is_known and not self.summing.locked()

    def sum_up(self) -> None:
        """Compute the sums over the keys of `rest`, unless a thread is doing so.

        The sums are cached by block, so each key is read only once.
        """
        if self.summing.acquire(blocking=False):
            try:
                self._sum_up()
            finally:
                self.summing.release()

    def _sum_up(self) -> None:
        if not self._summaries:
            self._summaries.append(summary_of(self.rest))

    def summarise_rest(self) -> KeySummary:
        """Return the summary of the keys of `rest`, from which bounds on their similarities follow.

        Until `sum_up` has run, it has only counts and largest norms.
        """
        if not self._summaries and is_summarised(self.rest):
            self._sum_up()
        return self._summaries[0] if self._summaries else _summarise_without_keys(self.rest)


_prefixes: WeakKeyDictionary[View, tuple[Prefix, ...]] = WeakKeyDictionary()


def view_prefixes(view: AnyView) -> tuple[Prefix, ...]:
    """Return the prefixes of a view, parts of it that give early answers, each with more rows than the one before.

    Small blocks come first. The result is cached for each view. It is empty if the view has few rows or few blocks,
    merges several views, or has remote rows.
    """
    if not isinstance(view, View) or view.parts:
        return ()
    if sum(segment.count for segment in view.segments) < view.limits.min_prefix_rows:
        return ()
    if view not in _prefixes:
        _prefixes[view] = tuple(_cut(view))
    return _prefixes[view]


def _cut(view: View) -> list[Prefix]:
    counts = np.array([segment.count for segment in view.segments])
    order = np.argsort(counts, kind="stable")
    shares = np.cumsum(counts[order]) / counts.sum()
    prefixes, summing = [], new_lock()
    for blocks in np.unique(np.searchsorted(shares, MIN_SHARES) + 1).tolist():
        if blocks < len(counts) and shares[blocks - 1] <= MAX_SHARE:
            segments = np.sort(order[:blocks]).tolist()
            rest = np.sort(order[blocks:]).tolist()
            prefixes.append(Prefix(_view_of(view, segments), _view_of(view, rest), tuple(segments), summing))
    return prefixes


def _view_of(view: View, segments: list[int]) -> View:
    chosen = tuple(view.segments[index] for index in segments)
    return View(view.similarity, chosen, view.dimension, view.value_dimension, limits=view.limits)


def _summarise_without_keys(view: View) -> KeySummary:
    """Return the summary of a view's keys before any key is read: counts, largest norms, and infinite sums."""
    empty = KeySummary.empty(view.similarity, view.dimension or 0)
    rows, width = sum(segment.count for segment in view.segments), empty.total.size
    return replace(
        empty,
        n=rows,
        documents=view.documents,
        gram=np.broadcast_to(np.array(np.inf), (width, width)),
        key_norm=view.facts.key_norm * (1 + 1e-9),
        value_norm=view.facts.value_norm * (1 + 1e-9),
        removed=rows - view.n,
    )
