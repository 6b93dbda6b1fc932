"""From a scan to a head: which listed rows can decide it, their originals, and the bound that follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attention.lookup.bounds.weights import coarse, disturbed, separated, thresholded
from attention.lookup.exact import SURE, alike
from attention.lookup.head.originals import similarities_at
from attention.lookup.head.similarity import slack
from attention.lookup.memory.tiles import Places
from attention.lookup.memory.view import View
from attention.lookup.question import Auto, Question
from attention.lookup.scan.accumulator import NO_BAR
from attention.lookup.scan.error import CodingError
from attention.lookup.scan.scan import Scanned
from attention.lookup.softmax.distribution import REACH, one_hot
from attention.lookup.softmax.mixture import Mixture, alone

Array = NDArray[np.float64]

LITTLE = 0.5
"""What the squared weights of rows that are only listed may come to, of those of the bulk."""

MARGIN = 1.25
"""Errors below the k-th best within which rows are looked up at once; a little more than they turn out to need."""

MOST_TIMES = 4
"""So many times the rows that are looked up for their weight, or twice k, can be looked up to decide a head."""

VANISHED = -800.0
"""An exponent whose exponential is 0."""


@dataclass(frozen=True, eq=False)
class LookedUp:
    """The listed rows of one query: those that were looked up, and those only listed.

    Attributes:
        places, similarities: int64[h], ascending, and float64[h], of the rows that were looked up.
        listed_places, listed: int64[l] and float64[l], scanned similarities, best first.
    """

    places: NDArray[np.int64]
    similarities: Array
    listed_places: NDArray[np.int64]
    listed: Array

    @cached_property
    def best(self) -> float:
        """The largest similarity there is."""
        return float(self.similarities.max())


def heads(
    view: View,
    questions: Sequence[Question],
    documents: int,
    scanned: Scanned,
    errors: Sequence[CodingError],
    most: int,
) -> list[LookedUp | None]:
    """For each question the rows that can decide its head, and more that weigh much; None where that cannot be told.

    Rows are looked up until those that are only listed weigh little, but no more than `most` of them, and those near
    the k-th best. What these show may call for more of them, see `Shortlist.deciding`.
    """
    lists = [Shortlist.of(question, documents, scanned, i, errors[i]) for i, question in enumerate(questions)]
    first = [some.at_first(_weighty(some.found, scanned, index), most) for index, some in enumerate(lists)]
    known = _similarities_at(view, questions, scanned, lists, [slice(0, count) for count in first])
    needed = [some.deciding(similarities, most) for some, similarities in zip(lists, known, strict=True)]
    rest = [slice(count, max(count, all_of_them or 0)) for count, all_of_them in zip(first, needed, strict=True)]
    if any(span.stop > span.start for span in rest):
        more = _similarities_at(view, questions, scanned, lists, rest)
        known = [np.concatenate(both) for both in zip(known, more, strict=True)]
    return [
        None if count is None else some.split(similarities)
        for some, similarities, count in zip(lists, known, needed, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Shortlist:
    """The rows listed for one question, best first.

    Attributes:
        k: how many of the best are asked for.
        reach: how far below the best a row can be and still have weight, where only such rows matter; or 0.
        places, found: int64[l] and float64[l], scanned similarities.
        bar: the highest that a row may have been scanned at without being listed; −∞ where all are.
        error: of what was scanned.
    """

    k: int
    reach: float
    places: NDArray[np.int64]
    found: Array
    bar: float
    error: CodingError

    @classmethod
    def of(cls, question: Question, documents: int, scanned: Scanned, index: int, error: CodingError) -> Shortlist:
        """Of the question with this index in the scan."""
        reach = 0.0
        if question.normaliser in REACH and not isinstance(question.temperature, Auto):
            reach = REACH[question.normaliser] * question.temperature * (1 + 1e-6)
        bars = [float(harvest.bars[index]) for harvest in scanned.harvests]
        bar = max((bar for bar in bars if bar != NO_BAR), default=-np.inf)
        return cls(max(1, min(question.cap, documents)), reach, *scanned.listed(index), bar, error)

    def at_first(self, heavy: int, most: int) -> int:
        """How many of them to look up before anything is known; 0 where they are too few for a head.

        Args:
            heavy: how many weigh much.
            most: of these.
        """
        if len(self.found) < self.k:
            return 0
        enough = min(len(self.found), most, max(self.k, heavy))
        least = min(self.found[enough - 1], self.found[self.k - 1] - MARGIN * self.error.largest)
        return min(self._down_to(least), self._limit(most))

    def deciding(self, known: Array, most: int) -> int | None:
        """How many of them have to be looked up, the first ones being known; None where that is not told.

        The k-th best of the known ones is no better than the k-th best of all. A row that was scanned below it by more
        than its error is not among the k best and does not tie with them; all others have to be looked up. Where one of
        these was not even listed, or they are too many, the scan does not tell.

        Args:
            known: float64[h], similarities.
            most: rows that a query looks up for their weight.
        """
        if len(known) < self.k:
            return None
        least = float(np.partition(known, len(known) - self.k)[len(known) - self.k])
        if self.reach > 0:
            least = min(least, float(known.max()) - self.reach)
        least -= self.error.largest
        count = max(len(known), self._down_to(least))
        return None if self.bar > least or count > self._limit(most) else count

    def split(self, known: Array) -> LookedUp:
        """Those whose similarities are known float64[h], and the rest."""
        order = np.argsort(self.places[: len(known)])
        return LookedUp(self.places[order], known[order], self.places[len(known) :], self.found[len(known) :])

    def _down_to(self, least: float) -> int:
        return int(np.searchsorted(-self.found, -least, side="right"))

    def _limit(self, most: int) -> int:
        return max(MOST_TIMES * most, 2 * self.k)


def _similarities_at(
    view: View, questions: Sequence[Question], scanned: Scanned, lists: Sequence[Shortlist], spans: Sequence[slice]
) -> list[Array]:
    """What each list's rows have in float64, all in one pass over the originals."""
    places = [some.places[span] for some, span in zip(lists, spans, strict=True)]
    counts = [len(some) for some in places]
    vectors = np.array([question.vector for question in questions])
    queries = np.repeat(np.arange(len(lists)), counts)
    found = similarities_at(view.similarity, scanned.rows, vectors, np.concatenate(places), queries)
    return np.split(found, np.cumsum(counts)[:-1])


def _weighty(found: Array, scanned: Scanned, index: int) -> int:
    """How many of the listed rows, best first, leave others whose squared weights are few beside those of the bulk.

    It is squared weights that the bound on what coding moves grows with, see `CodingError.mean`.
    """
    if not len(found):
        return 0
    inverse = 2 * float(scanned.harvests[0].inverse[index])
    squares = np.exp(np.maximum((found - found[0]) * inverse, VANISHED))
    best = float(found[0])
    bulk = sum(
        float(h.sums[index, 2]) * math.exp(min(max((float(h.bars[index]) - best) * inverse, VANISHED), 0.0))
        for h in scanned.harvests
    )
    beyond = squares[::-1].cumsum()[::-1]
    return int(np.count_nonzero(beyond > LITTLE * bulk))


def coldest(question: Question, head: LookedUp, documents: int, temperature: float) -> Mixture:
    """All weight on the best: softmax at temperature 0, and one_hot at any."""
    null = question.null_key(temperature, documents)
    found = one_hot(head.similarities, null, temperature, log_partition=question.normaliser == "softmax")
    return alone(found.weights, found.evidence, len(head.listed))


def total_variation(
    view: View, question: Question, head: LookedUp, rows: Places, found: Mixture, documents: int, error: CodingError
) -> float:
    """What rounding moves in the head, and what coding moves in the tail: distances add up."""
    temperature, null = found.evidence.temperature, found.evidence.null_similarity
    room = slack(view.similarity, question.vector, view.key_norm)
    best = head.best
    if question.normaliser in REACH and temperature > 0:
        return thresholded(head.similarities, null, room, temperature, REACH[question.normaliser])
    cold = temperature == 0 or question.normaliser == "one_hot"
    bound = 1.0 if cold else disturbed(room, best, temperature, found.depth, documents)
    if bound > SURE:
        copies = alike(rows, head.places[head.similarities == best])
        at = 0.0 if cold else temperature
        bound = min(bound, separated(head.similarities, null, room, at, alike=copies))
    if cold:
        return bound
    mean = error.mean(found.tail, found.tail_square)
    spread = mean / temperature if np.isfinite(mean) else np.inf
    return min(1.0, bound + coarse(error.largest, temperature, found.log_tail, found.tail_depth, spread))
