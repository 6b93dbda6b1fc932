"""The rows that a scan listed: which of them can decide a head, and have to be looked up in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.bounds.quantisation import QuantisationError

LITTLE = 0.5
"""What the squared weights of rows that are only scanned may come to, of those of what is summed."""

MARGIN = 1.25
"""Errors below the k-th best within which rows are looked up at once; a little more than they turn out to need."""

MOST_TIMES = 4
"""So many times the rows that are looked up for their weight, or twice k, can be looked up to decide a head."""

VANISHED = -800.0
"""An exponent whose exponential is 0."""


@dataclass(frozen=True, eq=False)
class Rescored:
    """The candidates of one query: those that were looked up in float64, and those only scanned.

    Attributes:
        places, similarities: int64[h], ascending, and float64[h], of the rows that were looked up.
        candidate_places, candidates: int64[l] and float64[l], scanned similarities, best first.
        threshold, support: as in `Candidates`.
        error: how far the similarity of a row that was only scanned can be off.
    """

    places: I64
    similarities: F64
    candidate_places: I64
    candidates: F64
    threshold: float
    error: float
    support: float

    @cached_property
    def best(self) -> float:
        """The largest similarity there is."""
        return float(self.similarities.max())


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows listed for one question, best first.

    Attributes:
        k: how many of the best are asked for.
        support: how far below the best a row can be and still have weight, where only such rows matter; or 0.
        places, similarities: int64[l] and float64[l], scanned similarities.
        threshold: the highest that a row may have been scanned at without being listed; −∞ where all are.
        error: of what was scanned.
    """

    k: int
    support: float
    places: I64
    similarities: F64
    threshold: float
    error: QuantisationError

    def at_first(self, heavy: int, most: int) -> int:
        """How many of them to look up before anything is known; 0 where they are too few for a head.

        Args:
            heavy: how many weigh much, see `heavy`.
            most: of these.
        """
        if len(self.similarities) < self.k:
            return 0
        enough = min(len(self.similarities), most, max(self.k, heavy))
        kth = self.similarities[self.k - 1] - MARGIN * self.error.largest
        least = min(self.similarities[enough - 1], kth)
        return min(_down_to(least, self.similarities), self._limit(most))

    def deciding(self, known: F64, most: int) -> int | None:
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
        if self.support > 0:
            least = min(least, float(known.max()) - self.support)
        least -= self.error.largest
        count = len(known) + _down_to(least, self.similarities[len(known) :])
        return None if self.threshold > least or count > self._limit(most) else count

    def split(self, known: F64) -> Rescored:
        """Those whose similarities are known float64[h], and the rest."""
        order, rest = np.argsort(self.places[: len(known)]), slice(len(known), None)
        return Rescored(
            self.places[order],
            known[order],
            self.places[rest],
            self.similarities[rest],
            self.threshold,
            self.error.largest,
            self.support,
        )

    def _limit(self, most: int) -> int:
        return max(MOST_TIMES * most, 2 * self.k)


def heavy(similarities: F64, inverse: float, level: float, summed_square: float) -> int:
    """How many candidates, best first, leave others whose squared weights are few beside those of what is summed.

    It is squared weights that the bound on what quantisation moves grows with, see `QuantisationError.mean`.

    Args:
        similarities: float64[l], scanned, best first.
        inverse: 1/T.
        level, summed_square: the similarity that sums are relative to, and Σe² relative to it.
    """
    if not len(similarities):
        return 0
    best = float(similarities[0])
    squares = np.exp(np.maximum((similarities - best) * (2 * inverse), VANISHED))
    summed = summed_square * math.exp(min(max((level - best) * (2 * inverse), VANISHED), 0.0))
    beyond = squares[::-1].cumsum()[::-1]
    return int(np.count_nonzero(beyond > LITTLE * summed))


def _down_to(least: float, similarities: F64) -> int:
    """How many of some similarities, best first, are no smaller."""
    return int(np.searchsorted(-similarities, -least, side="right"))
