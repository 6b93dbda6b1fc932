"""What kernels do with the rows that a scan listed for q questions; `kernels.interface` has the others.

Those that are told which questions to go through, from `first` to `last`, leave those of the others alone: several may
run side by side.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from attention.dtypes import F32, F64, I64


class Totals(NamedTuple):
    """What all rows of one question weigh together; weights are of all rows and the null key.

    Attributes:
        best: the largest similarity.
        null_weight: the null key's share.
        log_partition: logsumexp of all logits.
        entropy: of the rows' weights, the null key left out.
        mean_gap: the weighted mean distance of a logit from the largest one.
        tail: the weight of all that is known by its scan only, candidates and sums.
        log_tail: its logarithm, which is known where the weight itself vanishes.
        tail_gap: the part of `mean_gap` that the tail has, before a null key's.
        tail_square: the sum of the squared weights of the tail.
        summed_square: the part of it that is summed.
    """

    best: float
    null_weight: float
    log_partition: float
    entropy: float
    mean_gap: float
    tail: float
    log_tail: float
    tail_gap: float
    tail_square: float
    summed_square: float


TOTALS = len(Totals._fields)

VANISHED = -800.0
"""An exponent whose exponential is 0."""

LOWEST = -1e30
"""The least logit: what is below it would be infinite, and is nothing all the same."""

VANISHING = 1e-280
"""A mass below this has lost digits, or all of itself; its logarithm is then taken another way."""

LEAST_LOGIT = -745.0
"""Of the smallest mass above 0."""


class ListedKernels(Protocol):
    """The steps of an answer that go through listed rows.

    They stand one question's after another's: run i is what lies from starts[i] to starts[i + 1].
    """

    def in_order(
        self,
        places: I64,
        similarities: F32,
        counts: I64,
        starts: I64,
        first: int,
        last: int,
        ordered: I64,
        descending: F64,
    ) -> None:
        """Fill each run of ordered int64[m] and descending float64[m] with what w workers listed, best first.

        What is level stays as it stands, the first worker's before the second's.

        Args:
            places, similarities: int64[w, q, c] and float32[w, q, c], none NaN.
            counts: int64[w, q], how much of each list is used.
            starts: int64[q + 1].
        """

    def heaviest(
        self,
        similarities: F64,
        starts: I64,
        inverse: F64,
        levels: F64,
        squares: F64,
        few: float,
        least: float,
        first: int,
        last: int,
        counts: I64,
    ) -> None:
        """Fill counts int64[q]: how many first ones of each run leave others whose squared weights add up to little.

        That is no more than `few` of those that are summed, and `least` in any case; of weights exp((s − best)/T).

        Args:
            similarities: float64[m], each run descending.
            inverse: float64[q], 1/T.
            levels, squares: float64[q], the similarity that sums are relative to, and Σe² relative to it.
        """

    def at_first(self, similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, most: int, times: int) -> I64:
        """int64[q]: how many of each run to look up before anything is known; 0 where there are fewer than k.

        These are the `heavy`, `most` at most, and at least k, and all that are scanned no further below the k-th than
        the margin; but no more than `times` · most, or 2k.

        Args:
            similarities: float64[m], each run descending.
            heavy, ks: int64[q].
            margins: float64[q].
        """

    def first_ones(self, starts: I64, counts: I64) -> tuple[I64, I64, I64]:
        """Of the first so many of each run, run after run: where these begin, where each stands, and whose it is.

        Args:
            starts: int64[q], or more; where runs begin.
            counts: int64[q].

        Returns:
            int64[q + 1], int64[Σ counts] and int64[Σ counts].
        """

    def deciding(
        self,
        similarities: F64,
        starts: I64,
        known: F64,
        counts: I64,
        ks: I64,
        supports: F64,
        thresholds: F64,
        errors: F64,
        most: int,
        times: int,
    ) -> I64:
        """int64[q], how many of each run have to be known, see `Candidates.deciding`; −1 where that is not told.

        Args:
            similarities: float64[m], each run descending.
            known: float64[Σ counts], similarities of the first ones.
            counts, ks: int64[q].
            supports, thresholds, errors: float64[q], see `Candidates`.
            most, times: as in `at_first`.
        """

    def weigh(
        self,
        values: F64,
        starts: I64,
        counts: I64,
        temperatures: F64,
        thresholds: F64,
        sums: F64,
        nulls: F64,
        first: int,
        last: int,
        weights: F64,
        factors: F64,
        totals: F64,
    ) -> None:
        """Fill weights float64[m], factors float64[c, b] and totals float64[c, 10] of c cases, see `Mixture`, `Totals`.

        A sum of n terms is off by no more than (24 + log₂ n)·2⁻⁵³ of what their sizes add up to.

        Args:
            values: float64[m], similarities.
            starts: int64[c + 1].
            counts: int64[c], how many first ones of a run are known; at least 1, the best of the run among them.
            temperatures: float64[c], above 0.
            thresholds, sums: float64[c, b] and float64[c, b, 3], see `TailSums`.
            nulls: float64[c, 2], the null key's similarity, −∞ where there is none, and the logarithm of its count.
        """

    def heads(self, similarities: F64, places: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
        """(int64[q + 1], int64[h], int64[h]): where heads begin, where their rows stand among all, and whose each is.

        Of each run's first ones these are the k best, best first, and all that tie with the last of them; what ties
        stands in the order of `places`.

        Args:
            similarities, places: float64[m] and int64[m].
            starts: int64[q + 1].
            counts, ks: int64[q], 0 or more.
        """
