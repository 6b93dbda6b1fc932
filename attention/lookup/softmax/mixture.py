"""Softmax over rows that are known one by one and a tail that is known by its sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F64
from attention.kernels import kernels
from attention.lookup.softmax.evidence import Evidence
from attention.lookup.softmax.null import NullKey
from attention.lookup.softmax.runs import Runs

VANISHING = 1e-280
"""A mass below this has lost digits, or all of itself; its logarithm is then taken another way."""

LEAST_LOGIT = -745.0
"""Of the smallest mass above 0."""


@dataclass(frozen=True, eq=False)
class TailSums:
    """Rows that were summed below thresholds, at some temperatures.

    Attributes:
        thresholds: float64[b].
        sums: float64[t, b, 3]: mass Σe, gap Σe·x and square Σe², with x = (s − threshold)/T and e = exp(x).
    """

    thresholds: F64
    sums: F64


@dataclass(frozen=True, eq=False)
class Mixture:
    """Attention of one query over rows known in float64, and over a tail: candidates only scanned, and rows summed.

    Attributes:
        known: float64[h], weights of the rows known in float64.
        candidates: float64[l], weights of the candidates.
        factors: float64[b], what each sum's e is to be multiplied by to be a weight.
        evidence: null weight, log-partition and entropy.
        mean_gap: the weighted mean distance of a logit from the largest one.
        tail: the weight of all candidates and of all that is summed.
        log_tail: its logarithm, which is known where the weight itself vanishes.
        tail_gap: the part of `mean_gap` that the tail has.
        tail_square: the sum of the squared weights of the tail.
        summed_square: the part of it that is summed.
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

    def heaviest(self, rows: float) -> float:
        """At least the sum of the largest squared weights of the tail, of so many rows.

        The candidates' weights are known one by one, of the summed rows that none is above its factor and what their
        squares add up to. So the largest ones are candidates above all factors first, and then at most a factor each.
        """
        level, above, up_to = self._heavy_candidates
        first = float(up_to[int(min(math.ceil(rows), above))])
        rest = self.summed_square + float(up_to[-1] - up_to[above])
        return first + min(max(rows - above, 0.0) * level, rest)

    @cached_property
    def _heavy_candidates(self) -> tuple[float, int, F64]:
        """(the largest factor squared, how many candidates' squares are above it, the sums of the largest 0, 1, … )."""
        level = float(self.factors.max(initial=0.0)) ** 2
        squares = self.candidates * self.candidates
        if (squares[1:] > squares[:-1]).any():
            squares = np.sort(squares)[::-1]
        above = int(np.searchsorted(-squares, -level))
        return level, above, np.append(0.0, squares.cumsum())


def mix(
    known: F64, candidates: F64, tail_sums: TailSums, nulls: Sequence[NullKey | None], temperatures: F64
) -> list[Mixture]:
    """Softmax of similarity / temperature over all of them, a null key included, at each temperature.

    Args:
        known: float64[h], similarities, h ≥ 1, the best of all among them.
        candidates: float64[l], similarities.
        tail_sums: at these temperatures.
        nulls: the null key at each temperature, or None.
        temperatures: float64[t], above 0.
    """
    values, head = np.concatenate([known, candidates]), len(known)
    best = float(known.max())
    logits = np.maximum((values - best) / temperatures[:, None], LEAST_LOGIT)
    masses = np.exp(logits)
    listed, behind = masses[:, head:], logits[:, head:]
    rows = [np.full(len(temperatures), best), masses[:, :head].sum(axis=1), (masses * logits)[:, :head].sum(axis=1)]
    rows += [listed.sum(axis=1), *(np.einsum("tl,tl->t", listed, by) for by in (behind, listed))]
    thresholds = np.broadcast_to(tail_sums.thresholds, (len(temperatures), len(tail_sums.thresholds)))
    totals = _Totals.of(np.array(rows), thresholds, tail_sums.sums, nulls, temperatures)
    masses *= totals.factor[:, None]
    shares = [(own[:head], own[head:]) for own in masses]
    return list(_mixtures(totals, shares, lambda case: candidates))


def mix_each(
    runs: Runs, thresholds: F64, sums: F64, nulls: Sequence[NullKey | None], temperatures: F64
) -> list[Mixture]:
    """The same for c cases that each have rows, sums and a temperature of their own.

    Args:
        runs: similarities of the rows, the best of each case among the known ones.
        thresholds, sums: float64[c, b] and float64[c, b, 3], see `TailSums`.
        nulls: the null key of each case, or None.
        temperatures: float64[c], above 0.
    """
    masses, rows = kernels().masses(runs.values, runs.starts, runs.counts, temperatures)
    totals = _Totals.of(rows.T, thresholds, sums, nulls, temperatures)
    masses *= np.repeat(totals.factor, np.diff(runs.starts))
    return list(_mixtures(totals, runs.split(masses), runs.behind))


@dataclass(frozen=True, eq=False)
class _Totals:
    """What the weights of each of c cases add up to; of masses relative to the best, and beside a null key.

    Attributes:
        temperatures, best: float64[c], and the largest similarity.
        distances: float64[c, b], of the sums' thresholds from the best, in logits.
        sums: float64[c, b], the masses summed below these.
        factor: what makes a mass a weight.
        factors: float64[c, b], what makes a term of a sum a weight.
        tail: Σ mass of all candidates and of all that is summed.
        log_partition: relative to the best.
        numbers: float64[c, 8], what `Mixture` and `Evidence` have of each.
        levels: the null keys' similarities, or None.
    """

    temperatures: F64
    best: F64
    distances: F64
    sums: F64
    factor: F64
    factors: F64
    tail: F64
    log_partition: F64
    numbers: F64
    levels: Sequence[float | None]

    @classmethod
    def of(cls, rows: F64, thresholds: F64, sums: F64, nulls: Sequence[NullKey | None], temperatures: F64) -> _Totals:
        """Of rows float64[6, c]: the best, Σ mass and Σ mass·x of what is known, these and Σ mass² of candidates."""
        best, known, known_gap, candidates, candidates_gap, candidates_square = rows
        distances = (thresholds - best[:, None]) / temperatures[:, None]
        floors = np.maximum(distances, LEAST_LOGIT)
        factors = np.exp(floors)
        mass, gap, square = sums[..., 0], sums[..., 1], sums[..., 2]
        tail = candidates + (factors * mass).sum(axis=1)
        tail_gap = -(candidates_gap + (factors * (gap + floors * mass)).sum(axis=1))
        summed_square = (factors * factors * square).sum(axis=1)
        whole = known + tail
        log_mass = np.log(whole)
        mean_gap = (tail_gap - known_gap) / whole
        entropy = log_mass + mean_gap
        null_logits = np.full(len(best), -np.inf)
        for case, null in enumerate(nulls):
            if null is not None:
                null_logits[case] = null.logit(float(best[case]), float(temperatures[case]))
        ahead = null_logits - log_mass
        rising = np.exp(-np.abs(ahead))
        less, more = rising / (1 + rising), 1 / (1 + rising)
        null_weight = np.where(ahead >= 0, more, less)
        share = np.where(ahead > 0, less, more)
        log_partition = np.maximum(log_mass, null_logits) + np.log1p(rising)
        above, below = np.maximum(null_logits, 0.0), np.where(null_weight > 0, np.maximum(-null_logits, 0.0), 0.0)
        mean_gap = (1 - null_weight) * (mean_gap + above) + null_weight * below
        factor = share / whole
        square_factor = factor * factor
        return cls(
            temperatures,
            best,
            distances,
            mass,
            factor,
            factors * factor[:, None],
            tail,
            log_partition,
            np.array(
                [
                    null_weight,
                    best / temperatures + log_partition,
                    entropy,
                    mean_gap,
                    np.minimum(tail * factor, 1.0),
                    tail_gap * factor,
                    (candidates_square + summed_square) * square_factor,
                    summed_square * square_factor,
                ]
            ).T,
            [None if null is None else null.level(t) for null, t in zip(nulls, temperatures.tolist(), strict=True)],
        )

    def log_tails(self, candidates: Callable[[int], F64]) -> list[float]:
        """The logarithm of each tail's weight; where that vanishes, by the similarities of its candidates."""
        log_tails = log_or_nothing(self.tail)
        for case in np.flatnonzero(self.tail < VANISHING).tolist():
            listed = (candidates(case) - self.best[case]) / self.temperatures[case]
            terms = np.concatenate([listed, self.distances[case] + log_or_nothing(self.sums[case])])
            log_tails[case] = np.logaddexp.reduce(terms, initial=-np.inf)
        found: list[float] = np.minimum(log_tails - self.log_partition, 0.0).tolist()
        return found


def _mixtures(
    totals: _Totals, shares: Iterable[tuple[F64, F64]], candidates: Callable[[int], F64]
) -> Iterator[Mixture]:
    """One for each case.

    Args:
        shares: of each the weights of its known rows and of its candidates.
        candidates: the candidates' similarities.
    """
    temperatures, numbers, log_tails = (
        totals.temperatures.tolist(),
        totals.numbers.tolist(),
        totals.log_tails(candidates),
    )
    for case, (known, listed) in enumerate(shares):
        null_weight, log_partition, entropy, mean_gap, tail, tail_gap, tail_square, summed_square = numbers[case]
        evidence = Evidence(
            temperature=temperatures[case],
            null_weight=null_weight,
            null_similarity=totals.levels[case],
            answered=null_weight < 0.5,
            log_partition=log_partition,
            entropy=entropy,
            effective_documents=math.exp(entropy),
        )
        yield Mixture(
            known=known,
            candidates=listed,
            factors=totals.factors[case],
            evidence=evidence,
            mean_gap=mean_gap,
            tail=tail,
            log_tail=log_tails[case],
            tail_gap=tail_gap,
            tail_square=tail_square,
            summed_square=summed_square,
        )


def alone(weights: F64, evidence: Evidence, candidates: int) -> Mixture:
    """Known rows that have all the weight."""
    return Mixture(weights, np.zeros(candidates), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_nothing(masses: F64) -> F64:
    """The logarithm, −∞ of 0."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
