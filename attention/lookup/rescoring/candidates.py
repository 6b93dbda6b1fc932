"""The rows that a scan listed: which of them can decide a head, and have to be looked up in float64.

The candidates of q questions stand one after another, each question's best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64
from attention.kernels import Kernels, kernels
from attention.lookup.softmax.mixture import RaggedRows

SCANNED_SQUARES_SHARE = 0.5
"""What the squared weights of rows that are only scanned may come to, of those of what is summed."""

MIN_SCANNED_SQUARES = 1e-22
"""What they may come to in any case, relative to the square of the largest."""

ERROR_MARGIN = 1.25
"""Errors below the k-th best within which rows are looked up at once; a little more than they turn out to need."""

MAX_LOOKUP_FACTOR = 4
"""So many times the rows that are looked up for their weight, or twice k, can be looked up to decide a head."""


@dataclass(frozen=True, eq=False)
class RescoredQuery:
    """The candidates of one question: those that were looked up in float64, and those only scanned.

    Attributes:
        places, similarities: int64[h] and float64[h], of the rows that were looked up.
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
    """The rows listed for each of q questions, best first.

    Attributes:
        ks: int64[q], how many of the best are asked for.
        supports: float64[q], how far below the best a row can be and still have weight, where only such rows matter;
            or 0.
        starts: int64[q + 1]; the candidates of question i are those from starts[i] to starts[i + 1].
        places, similarities: int64[l] and float64[l], scanned similarities; exact ones of those that are known.
        thresholds: float64[q], the highest that a row may have been scanned at without being listed; −∞ where all are.
        errors: float64[q], how far what was scanned can be off.
    """

    ks: I64
    supports: F64
    starts: I64
    places: I64
    similarities: F64
    thresholds: F64
    errors: F64

    def at_first(self, heavy: I64, most: int) -> I64:
        """int64[q], how many to look up before anything is known; 0 where they are too few for a head.

        Args:
            heavy: int64[q], how many weigh much, see `count_heavy`.
            most: of these.
        """
        margins = ERROR_MARGIN * self.errors
        return kernels().initial_counts(
            self.similarities, self.starts, heavy, self.ks, margins, most, MAX_LOOKUP_FACTOR
        )

    def first(self, counts: I64) -> tuple[I64, I64, I64]:
        """(int64[q + 1], int64[Σ counts], int64[Σ counts]): of the first ones of each question, one question after
        another, where these begin, where each stands, and whose it is."""
        return kernels().first_rows(self.starts, counts)

    def deciding(self, known: F64, counts: I64, most: int) -> I64:
        """int64[q], how many have to be looked up, the first ones being known; −1 where that is not told.

        The k-th best of the known ones is no better than the k-th best of all. A row that was scanned below it by more
        than its error is not among the k best and does not tie with them; all others have to be looked up. Where one of
        these was not even listed, or they are too many, the scan does not tell.

        Args:
            known: float64[Σ counts], similarities.
            counts: int64[q], of how many of each.
            most: rows that a question looks up for their weight.
        """
        return kernels().decisive_counts(
            self.similarities,
            self.starts,
            known,
            counts,
            self.ks,
            self.supports,
            self.thresholds,
            self.errors,
            most,
            MAX_LOOKUP_FACTOR,
        )

    def rescored(self, known: F64, counts: I64) -> RescoredQueries:
        """With similarities float64[Σ counts] of the first ones in place of scanned ones; a count is −1 for none."""
        similarities = self.similarities.copy()
        _, at, _ = self.first(np.maximum(counts, 0))
        similarities[at] = known
        return RescoredQueries(self, similarities, counts)


@dataclass(frozen=True, eq=False)
class RescoredQueries:
    """The candidates of each question, after what decides its head was looked up.

    Attributes:
        candidates: as they were scanned.
        similarities: float64[l], exact ones in the place of those that are known.
        counts: int64[q], how many of each question's first ones are known; −1 where the scan does not tell.
    """

    candidates: Candidates
    similarities: F64
    counts: I64

    def runs(self, questions: Sequence[int]) -> RaggedRows:
        """Similarities of the rows of some questions, all of them told."""
        return RaggedRows(self.similarities, self.candidates.starts, self.counts).some(questions)

    def of(self, question: int) -> RescoredQuery | None:
        """The question with this index; None where the scan does not tell."""
        known, scanned = self.candidates, int(self.counts[question])
        if scanned < 0:
            return None
        first, last = int(known.starts[question]), int(known.starts[question + 1])
        middle = first + scanned
        return RescoredQuery(
            known.places[first:middle],
            self.similarities[first:middle],
            known.places[middle:last],
            self.similarities[middle:last],
            float(known.thresholds[question]),
            float(known.errors[question]),
            float(known.supports[question]),
        )


def count_heavy(
    running: Kernels,
    similarities: F64,
    starts: I64,
    inverse: F64,
    levels: F64,
    summed_squares: F64,
    first: int,
    last: int,
    counts: I64,
    little: float = SCANNED_SQUARES_SHARE,
) -> None:
    """Fill counts int64[q]: how many candidates leave others whose squared weights are few beside what is summed.

    It is squared weights that the bound on what quantisation moves grows with, see `QuantisationError.mean`.

    Args:
        similarities: float64[l], scanned, each question's best first.
        starts: int64[q + 1], as in `Candidates`.
        inverse: float64[q], 1/T.
        levels, summed_squares: float64[q], the similarity that sums are relative to, and Σe² relative to it.
        first, last: the questions that are meant.
        little: what these may come to, of what is summed; of the largest in proportion.
    """
    running.heavy_counts(
        similarities,
        starts,
        inverse,
        levels,
        summed_squares,
        little,
        MIN_SCANNED_SQUARES * little / SCANNED_SQUARES_SHARE,
        first,
        last,
        counts,
    )
