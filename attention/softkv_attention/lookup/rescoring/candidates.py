"""The rows that a scan listed, and which of them must be looked up in float64 to decide the head of an answer.

The head of a question is its k best rows. The candidates of q questions are concatenated, each question's best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.forked import cached_property
from softkv_attention.kernels import Kernels, kernels
from softkv_attention.lookup.softmax.mixture import RaggedRows

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
    """The rows that a scan listed for one question, some of which were computed again in float64.

    Attributes:
        rows, similarities: int64[h] and float64[h], the indices and exact similarities of rows that were looked up in
            float64.
        candidate_rows, candidates: int64[l] and float64[l], the indices and approximate similarities of rows that were
            only scanned as 8-bit codes, best first.
        threshold: an upper bound on the scanned similarity of rows that are not listed; −∞ if all are listed.
        error: a bound on the error of a scanned similarity.
        support: for a sparse normaliser, how far below the best a row can still have weight; else 0.
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
        """The largest similarity among the rows that were looked up in float64."""
        return float(self.similarities.max())

    @property
    def head_rows(self) -> I64:
        """int64[h + l], the indices of all listed rows: those that were looked up, then the other candidates."""
        return np.concatenate([self.rows, self.candidate_rows])


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows that a scan listed for each of q questions, concatenated, each question's best first.

    Attributes:
        head_sizes: int64[q], k: the number of best rows that each question's answer needs.
        supports: float64[q], for a sparse normaliser, how far below the best a row can still have weight; else 0.
        starts: int64[q + 1]; the candidates of question i are those from starts[i] to starts[i + 1].
        rows, similarities: int64[l] and float64[l], the rows' indices and approximate similarities from their 8-bit
            codes.
        thresholds: float64[q], an upper bound on the scanned similarity of rows that are not listed; −∞ if all are
            listed.
        errors: float64[q], bounds on the errors of scanned similarities.
    """

    head_sizes: I64
    supports: F64
    starts: I64
    rows: I64
    similarities: F64
    thresholds: F64
    errors: F64

    def rows_of(self, question: int) -> I64:
        """Return int64[l], the indices of the rows that a scan listed for the question with this index."""
        return self.rows[self.starts[question] : self.starts[question + 1]]

    def initial_counts(self, heavy: I64, max_heavy: int) -> I64:
        """Return int64[q], how many of each question's best candidates to look up in float64 in the first round.

        Candidates are the rows that a scan of 8-bit codes listed, so their similarities are approximate. A count covers
        the k best candidates, those that may belong to the k best, and the heavy ones. It is 0 if a question has fewer
        than k candidates, where k is the number of rows that its answer needs.

        Args:
            heavy: int64[q], how many candidates are so heavy that a lookup improves the answer, see `count_heavy`.
            max_heavy: the largest number of rows that a question looks up for their weight alone.
        """
        margins = ERROR_MARGIN * self.errors
        return kernels().initial_counts(
            self.similarities, self.starts, heavy, self.head_sizes, margins, max_heavy, MAX_LOOKUP_FACTOR
        )

    def first_rows(self, counts: I64) -> tuple[I64, I64, I64]:
        """Select the best `counts` candidates (listed rows) of each question, and concatenate them.

        Args:
            counts: int64[q], how many to select for each question.

        Returns:
            Three arrays. edges int64[q + 1]: where each question's selection begins. indices int64[Σ counts]: each
            selected candidate's index among all. questions int64[Σ counts]: its question.
        """
        return kernels().first_rows(self.starts[:-1], counts)

    def decisive_counts(self, exact: F64, counts: I64, max_heavy: int) -> I64:
        """Return int64[q], how many candidates must be looked up in float64 to decide which rows are the k best.

        It is −1 if the scan of 8-bit codes cannot decide that. Candidates are the rows that it listed.

        The k-th best of the exact similarities is at most the k-th best of all. If a row's scanned similarity lies
        below it by more than the error, the row is not among the k best and does not tie with them. All other rows must
        be looked up. If such a row may be missing from the list, or if there are too many such rows, the scan cannot
        decide.

        Args:
            exact: float64[Σ counts], exact similarities of the best candidates, by question.
            counts: int64[q], how many candidates of each question were looked up so far, best first.
            max_heavy: the largest number of rows that a question looks up for their weight.
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
        """Return the candidates with the exact similarities of those that were looked up in float64.

        Args:
            exact: float64[Σ max(0, counts)], exact similarities of the best candidates, by question.
            counts: int64[q], how many candidates of each question were looked up, best first; −1 if the scan cannot
                decide which rows are the best.
        """
        similarities = self.similarities.copy()
        _, indices, _ = self.first_rows(np.maximum(counts, 0))
        # `first_rows` selects in the order in which `exact` is concatenated.
        similarities[indices] = exact
        return RescoredQueries(self, similarities, counts)


@dataclass(frozen=True, eq=False)
class RescoredQueries:
    """The rows that a scan of 8-bit codes listed for q questions, the best of which were looked up in float64.

    Attributes:
        candidates: the listed rows with their scanned similarities.
        similarities: float64[l], exact for rows that were looked up, scanned for the others.
        counts: int64[q], how many rows of each question were looked up, best first; −1 if the scan cannot decide which
            rows are the best.
    """

    candidates: Candidates
    similarities: F64
    counts: I64

    def runs(self, questions: Sequence[int]) -> RaggedRows:
        """Return the similarities of the rows that were listed for some questions, concatenated.

        The scan of 8-bit codes must have decided which rows are the best for each of these questions.

        Args:
            questions: the indices of the questions.
        """
        return RaggedRows(self.similarities, self.candidates.starts, self.counts).select(questions)

    def of(self, question: int) -> RescoredQuery | None:
        """Return the rows that were listed for the question with this index; None if its best rows are not decided."""
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
    """Count each question's heavy candidates: those whose weight is so large that a lookup in float64 pays.

    They are the fewest best candidates such that the squared weights of all others add up to little, compared with
    those of the rows that were only summed. The bound on the error from 8-bit codes grows with squared weights, see
    `QuantisationError.mean`.

    Args:
        running: the kernels.
        similarities: float64[l], scanned, each question's best first.
        starts: int64[q + 1]; the candidates of question i are those from starts[i] to starts[i + 1].
        inverse: float64[q], 1/T.
        levels, summed_squares: float64[q], a similarity L, and Σ exp((s − L)/T)² over the rows that were only summed.
        first, last: the first question to count for, and the end.
        counts: int64[q], filled with the result from `first` to `last`.
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
