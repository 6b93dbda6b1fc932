"""Softmax over rows with known similarities and over a tail (all other rows), of which only sums are known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.forked import cached_property
from softkv_attention.kernels import TOTALS, Totals, kernels, run_in_parallel
from softkv_attention.lookup.softmax.evidence import Evidence, NullKey


@dataclass(frozen=True, eq=False)
class RaggedRows:
    """The similarities of the rows of c cases, concatenated; a case is one query at one temperature.

    Within a case, rows with an exact similarity come first, then rows with an approximate one (candidates).

    Attributes:
        values: float64[m], the similarity of each row.
        starts: int64[c + 1]; case i has the rows from starts[i] to starts[i + 1].
        counts: int64[c], the number of rows with an exact similarity, at least 1; the best row of the case is one of
            them.
    """

    values: F64
    starts: I64
    counts: I64

    def select(self, cases: Sequence[int]) -> RaggedRows:
        """Return the rows of some cases only, in the given order; a case is one query at one temperature."""
        if len(cases) == len(self.counts):
            return self
        lengths = np.diff(self.starts)[cases]
        values = [self.values[self.starts[case] : self.starts[case + 1]] for case in cases]
        return RaggedRows(np.concatenate(values), np.append(0, lengths.cumsum()), self.counts[cases])

    def of(self, values: F64, case: int) -> tuple[F64, F64]:
        """Return the values of one case as two arrays: of its rows with exact similarities, and of its candidates.

        A case is one query at one temperature. Candidates have approximate similarities.

        Args:
            values: float64[m], a number for each row of all cases.
            case: the index of the case.
        """
        first, last = int(self.starts[case]), int(self.starts[case + 1])
        middle = first + int(self.counts[case])
        return values[first:middle], values[middle:last]


NO_NULL = (-math.inf, 0.0)
"""The null key's similarity and log count in a case without a null key."""


@dataclass(frozen=True, eq=False)
class TailSums:
    """Sums over the rows that were not listed one by one, in b groups, at t temperatures.

    Attributes:
        thresholds: float64[b], a similarity for each group, which its sums are relative to.
        sums: float64[t, b, 3]: Σe, Σe·x and Σe² over the rows of a group, with x = (s − threshold)/T and e = exp(x).
    """

    thresholds: F64
    sums: F64


@dataclass(frozen=True, eq=False)
class Mixture:
    """The softmax weights of one query over all rows, of which only some are known exactly.

    A few rows have an exact similarity. The other rows are the tail. It has candidates, each with an approximate
    similarity, and summed rows, of which only sums are known.

    Attributes:
        known: float64[h], weights of the rows with an exact similarity.
        candidates: float64[l], weights of the candidates.
        factors: float64[b], for each group of summed rows, the factor that turns its Σe into a weight, see `TailSums`.
        evidence: the null key's weight, log-partition and entropy.
        mean_gap: the weighted mean distance of a logit from the largest one.
        tail: the total weight of the tail.
        log_tail: the logarithm of `tail`, which is finite even if `tail` underflows.
        tail_gap: the tail's part of `mean_gap`.
        tail_square: the sum of the squared weights of the tail.
        summed_square: the part of `tail_square` from summed rows.
    """

    known: F64
    candidates: F64
    factors: F64
    evidence: Evidence
    mean_gap: float
    tail: float
    log_tail: float
    tail_gap: float
    tail_square: float
    summed_square: float

    @property
    def head_weights(self) -> F64:
        """float64[h + l], the weights of all listed rows: those with an exact similarity, then the candidates."""
        return np.concatenate([self.known, self.candidates])

    def heaviest(self, rows: float) -> float:
        """Return a bound on the sum of the squares of the `rows` largest weights in the tail.

        The tail has candidates, whose weights are known, and summed rows. Of the summed rows only the sum of squared
        weights is known, and that each weight is at most the factor of its group. So the largest weights are first
        those of candidates above all factors, and then at most a factor each.
        """
        level, above, up_to = self._heavy_candidates
        first = float(up_to[int(min(math.ceil(rows), above))])
        rest = self.summed_square + float(up_to[-1] - up_to[above])
        # No count of rows has more than all of the rest.
        return first + min(max(rows - above, 0.0) * level, rest)

    @cached_property
    def _heavy_candidates(self) -> tuple[float, int, F64]:
        """Three values that `heaviest` needs: a level, a count, and cumulative sums.

        The level is the largest squared factor. The count is the number of candidates whose squared weight is above it.
        The sums are those of the 0, 1, 2, … largest squared weights of candidates.
        """
        level = float(self.factors.max(initial=0.0)) ** 2
        squares = self.candidates * self.candidates
        # Candidates come best first, so they are usually sorted.
        if (squares[1:] > squares[:-1]).any():
            squares = np.sort(squares)[::-1]
        above = int(np.searchsorted(-squares, -level))
        return level, above, np.append(0.0, squares.cumsum())


def mix(
    similarities: F64, candidates: F64, tail_sums: TailSums, nulls: Sequence[NullKey | None], temperatures: F64
) -> list[Mixture]:
    """Return the softmax of similarity / temperature over all rows and the null key, one for each temperature.

    Args:
        similarities: float64[h], exact similarities of some rows, h ≥ 1; the best of all rows is among them.
        candidates: float64[l], approximate similarities of further rows.
        tail_sums: the sums over all other rows, at these temperatures.
        nulls: the null key ("none of these") at each temperature, or None.
        temperatures: float64[t], above 0.
    """
    rows, t = len(similarities) + len(candidates), len(temperatures)
    values = np.tile(np.concatenate([similarities, candidates]), t)
    runs = RaggedRows(values, rows * np.arange(t + 1), np.full(t, len(similarities)))
    thresholds = np.tile(tail_sums.thresholds, (t, 1))
    return list(mix_cases(runs, thresholds, tail_sums.sums, nulls, temperatures))


def mix_cases(
    runs: RaggedRows, thresholds: F64, sums: F64, nulls: Sequence[NullKey | None], temperatures: F64
) -> Mixtures:
    """Return the softmax weights of c cases; a case is one query at one temperature, with its rows.

    Args:
        runs: the similarities of the rows of all cases.
        thresholds, sums: float64[c, b] and float64[c, b, 3], sums over all other rows of each case, see `TailSums`.
        nulls: the null key ("none of these") of each case, or None.
        temperatures: float64[c], above 0.
    """
    # The kernel in C takes contiguous arrays only.
    thresholds, sums = np.ascontiguousarray(thresholds), np.ascontiguousarray(sums)
    weights, factors = np.empty(len(runs.values)), np.empty(thresholds.shape)
    totals = np.empty((len(nulls), TOTALS))
    null_keys = np.array([NO_NULL if null is None else (null.similarity, null.log_count) for null in nulls])
    null_keys = null_keys.reshape(-1, 2)  # even for zero cases
    running = kernels()

    # Each case writes only its own elements, so threads share the arrays without a lock.
    def weigh(first: int, last: int) -> None:
        running.softmax_weights(
            *(runs.values, runs.starts, runs.counts, temperatures, thresholds, sums, null_keys),
            *(first, last, weights, factors, totals),
        )

    run_in_parallel(weigh, len(nulls), len(weights))
    return Mixtures(
        runs, temperatures, nulls, weights, factors, [Totals._make(totals_row) for totals_row in totals.tolist()]
    )


@dataclass(frozen=True, eq=False)
class Mixtures:
    """The softmax weights of c cases (a case is one query at one temperature); a `Mixture` of each is built on access.

    Attributes:
        runs: the similarities of the rows of all cases.
        temperatures: float64[c].
        nulls: the null key ("none of these") of each case, or None.
        weights: float64[m], of the rows.
        factors: float64[c, b], see `Mixture`.
        totals: for each case the log-partition, entropy and sums over its rows.
    """

    runs: RaggedRows
    temperatures: F64
    nulls: Sequence[NullKey | None]
    weights: F64
    factors: F64
    totals: Sequence[Totals]

    def __iter__(self) -> Iterator[Mixture]:
        return map(self.__getitem__, range(len(self.totals)))

    def __getitem__(self, case: int) -> Mixture:
        totals, (known_weights, candidate_weights) = self.totals[case], self.runs.of(self.weights, case)
        return Mixture(
            known=known_weights,
            candidates=candidate_weights,
            factors=self.factors[case],
            evidence=self.evidence(case),
            mean_gap=totals.mean_gap,
            tail=totals.tail,
            log_tail=totals.log_tail,
            tail_gap=totals.tail_gap,
            tail_square=totals.tail_square,
            summed_square=totals.summed_square,
        )

    def weights_of(self, case: int) -> F64:
        """Return float64[h + l], the weights of the listed rows of the case with this index."""
        return self.weights[self.runs.starts[case] : self.runs.starts[case + 1]]

    def evidence(self, case: int) -> Evidence:
        """Return the evidence of the case with this index: null weight, log-partition and entropy."""
        return evidence_of(self.totals[case], self.nulls[case], float(self.temperatures[case]))


def evidence_of(totals: Totals, null: NullKey | None, temperature: float) -> Evidence:
    """Return the evidence of one query's softmax: null weight, log-partition and entropy.

    Args:
        totals: the sums over all rows.
        null: the null key ("none of these"), or None.
        temperature: above 0.
    """
    return Evidence(
        temperature=temperature,
        null_weight=totals.null_weight,
        null_similarity=None if null is None else null.level,
        log_partition=totals.log_partition,
        entropy=totals.entropy,
        effective_documents=math.exp(totals.entropy),
    )


def mixture_without_tail(weights: F64, evidence: Evidence, candidates: int) -> Mixture:
    """Return a `Mixture` (weights of all rows) in which the exactly known rows have all the weight.

    Args:
        weights: float64[h], of the known rows.
        evidence: the null key's weight, log-partition and entropy.
        candidates: the number of candidates, each of which gets weight 0.
    """
    return Mixture(weights, np.zeros(candidates), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_minus_inf(masses: F64) -> F64:
    """Return the logarithms of numbers that are not below 0; that of 0 is −∞."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
