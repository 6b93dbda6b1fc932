"""The rows that a scan listed, and which of them must be looked up in float64 to decide the head of an answer.

The head of a question is its k best rows. The candidates of q questions are concatenated, each question's best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.arrays import F64, I64
from attention.kernels import Kernels, kernels
from attention.lookup.softmax.mixture import RaggedRows

SCANNED_SQUARES_SHARE = 0.5
"""The squared weights of rows that stay only scanned may add up to this share of the summed rows' squared weights."""

MIN_SCANNED_SQUARES = 1e-22
"""The squared weights of rows that stay only scanned may always add up to this, relative to the largest square."""

ERROR_MARGIN = 1.25
"""Rows within this many errors below the k-th best are looked up at once; slightly more than usually needed."""

MAX_LOOKUP_FACTOR = 4
"""To decide a head, up to this many times the limit of rows looked up for their weight, or 2k rows, are looked up."""


@dataclass(frozen=True, eq=False)
class RescoredQuery:
    """The candidates of one question: rows that were looked up in float64, and rows that were only scanned.

    Attributes:
        rows, similarities: int64[h] and float64[h], the indices and exact similarities of rows that were looked up.
        candidate_rows, candidates: int64[l] and float64[l], the indices and similarities of rows that were only
            scanned, best first.
        threshold, support: as in `Candidates`.
        error: a bound on the error of a scanned similarity.
    """

    rows: I64
    similarities: F64
    candidate_rows: I64
    candidates: F64
    threshold: float
    error: float
    support: float

    @cached_property
    def best(self) -> float:
        """The largest similarity of a row that was looked up."""
        return float(self.similarities.max())


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows listed for each of q questions, best first.

    Attributes:
        head_sizes: int64[q], the number of best rows that each question requests.
        supports: float64[q], for a sparse normaliser, how far below the best a row can still have weight; else 0.
        starts: int64[q + 1]; the candidates of question i are those from starts[i] to starts[i + 1].
        rows, similarities: int64[l] and float64[l], the rows' indices and scanned similarities.
        thresholds: float64[q], the highest similarity that the scan can give a row without listing it; −∞ if all rows
            are listed.
        errors: float64[q], bounds on the errors of scanned similarities.
    """

    head_sizes: I64
    supports: F64
    starts: I64
    rows: I64
    similarities: F64
    thresholds: F64
    errors: F64

    def initial_counts(self, heavy: I64, max_heavy: int) -> I64:
        """Return int64[q], how many of each question's first rows to look up in float64 at once.

        It is 0 if the scan listed fewer than k rows.

        Args:
            heavy: int64[q], the number of heavy rows, see `count_heavy`.
            max_heavy: the largest number of rows that a question looks up for their weight.
        """
        margins = ERROR_MARGIN * self.errors
        return kernels().initial_counts(
            self.similarities, self.starts, heavy, self.head_sizes, margins, max_heavy, MAX_LOOKUP_FACTOR
        )

    def first_rows(self, counts: I64) -> tuple[I64, I64, I64]:
        """Select the first `counts` candidates of each question, and concatenate them.

        Returns:
            (edges int64[q + 1], indices int64[Σ counts], questions int64[Σ counts]): the start of each question's
            selection, each selected candidate's index among all, and its question.
        """
        return kernels().first_rows(self.starts, counts)

    def decisive_counts(self, exact: F64, counts: I64, max_heavy: int) -> I64:
        """Return int64[q], how many first rows must be looked up to decide which rows are the k best.

        It is −1 if the scan cannot decide that.

        The k-th best of the exact similarities is at most the k-th best of all. If a row's scanned similarity lies
        below it by more than the error, the row is not among the k best and does not tie with them. All other rows must
        be looked up. If such a row may be missing from the list, or if there are too many such rows, the scan cannot
        decide.

        Args:
            exact: float64[Σ counts], similarities of the first rows.
            counts: int64[q], the number of first rows that were looked up.
            max_heavy: as in `initial_counts`.
        """
        return kernels().decisive_counts(
            self.similarities,
            self.starts,
            exact,
            counts,
            self.head_sizes,
            self.supports,
            self.thresholds,
            self.errors,
            max_heavy,
            MAX_LOOKUP_FACTOR,
        )

    def rescore(self, exact: F64, counts: I64) -> RescoredQueries:
        """Return the candidates with exact similarities of the first rows in place of scanned ones.

        Args:
            exact: float64[Σ max(0, counts)], similarities of the first rows.
            counts: int64[q], the number of first rows that were looked up; −1 if the scan cannot decide the head.
        """
        similarities = self.similarities.copy()
        _, indices, _ = self.first_rows(np.maximum(counts, 0))
        similarities[indices] = exact
        return RescoredQueries(self, similarities, counts)


@dataclass(frozen=True, eq=False)
class RescoredQueries:
    """The candidates of each question, after the rows that decide its head were looked up.

    Attributes:
        candidates: the candidates with their scanned similarities.
        similarities: float64[l], exact for rows that were looked up, scanned for the others.
        counts: int64[q], how many of each question's first rows were looked up; −1 if the scan cannot decide its head.
    """

    candidates: Candidates
    similarities: F64
    counts: I64

    def runs(self, questions: Sequence[int]) -> RaggedRows:
        """Return the similarities of these questions' candidates.

        The scan must have decided the head of each.
        """
        return RaggedRows(self.similarities, self.candidates.starts, self.counts).select(questions)

    def of(self, question: int) -> RescoredQuery | None:
        """Return the candidates of the question with this index; None if the scan cannot decide its best rows."""
        candidates, count = self.candidates, int(self.counts[question])
        if count < 0:
            return None
        first, last = int(candidates.starts[question]), int(candidates.starts[question + 1])
        middle = first + count
        return RescoredQuery(
            candidates.rows[first:middle],
            self.similarities[first:middle],
            candidates.rows[middle:last],
            self.similarities[middle:last],
            float(candidates.thresholds[question]),
            float(candidates.errors[question]),
            float(candidates.supports[question]),
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
    share: float = SCANNED_SQUARES_SHARE,
) -> None:
    """Fill counts int64[q] with each question's number of heavy rows: those so heavy that a lookup pays.

    It is the fewest first rows such that the squared weights of all other candidates add up to little, compared with
    those of the summed rows.

    The bound on the error from quantisation grows with squared weights, see `QuantisationError.mean`.

    Args:
        running: the kernels.
        similarities: float64[l], scanned, each question's best first.
        starts: int64[q + 1], as in `Candidates`.
        inverse: float64[q], 1/T.
        levels, summed_squares: float64[q], the similarity that sums are relative to, and Σe² relative to it.
        first, last: the first question to count for, and the end.
        counts: int64[q], filled from `first` to `last`.
        share: the largest share that the other candidates' squares may have of the summed rows' squares;
            MIN_SCANNED_SQUARES is scaled with it.
    """
    running.heavy_counts(
        similarities,
        starts,
        inverse,
        levels,
        summed_squares,
        share,
        MIN_SCANNED_SQUARES * share / SCANNED_SQUARES_SHARE,
        first,
        last,
        counts,
    )
