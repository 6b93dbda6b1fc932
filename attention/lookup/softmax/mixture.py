"""Softmax over rows that are known one by one and a tail that is known by its sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from attention.dtypes import F64
from attention.kernels import kernels
from attention.lookup.softmax.distribution import logistic
from attention.lookup.softmax.evidence import Evidence
from attention.lookup.softmax.null import NullKey
from attention.lookup.softmax.runs import Runs

VANISHING = 1e-280
"""A mass below this has lost digits, or all of itself; its logarithm is then taken another way."""


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
    cases, rows = len(temperatures), len(known) + len(candidates)
    runs = Runs(
        np.tile(np.concatenate([known, candidates]), cases), rows * np.arange(cases + 1), np.full(cases, len(known))
    )
    thresholds = np.broadcast_to(tail_sums.thresholds, (cases, len(tail_sums.thresholds)))
    return mix_each(runs, thresholds, tail_sums.sums, nulls, temperatures)


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
    best, known, known_gap, candidates, candidates_gap, candidates_square = rows.T
    distances = (thresholds - best[:, None]) / temperatures[:, None]
    floors = np.maximum(distances, -745.0)
    factors = np.exp(floors)
    mass, gap, square = sums[..., 0], sums[..., 1], sums[..., 2]
    tail = candidates + (factors * mass).sum(axis=1)
    tail_gap = -(candidates_gap + (factors * (gap + floors * mass)).sum(axis=1))
    summed_square = (factors * factors * square).sum(axis=1)
    tail_square = candidates_square + summed_square
    totals = [best, known + tail, tail_gap - known_gap, tail, tail_gap, tail_square, summed_square]
    mixtures = []
    for case, (own, rest) in enumerate(runs.split(masses)):
        found = _Totals(*[float(total[case]) for total in totals])
        log_tail = math.log(found.tail) if found.tail > 0 else -math.inf
        if found.tail < VANISHING:
            listed = (runs.behind(case) - found.best) / temperatures[case]
            terms = np.concatenate([listed, distances[case] + log_or_nothing(mass[case])])
            log_tail = float(np.logaddexp.reduce(terms, initial=-np.inf))
        mixtures.append(_weighed(found, log_tail, own, rest, factors[case], nulls[case], float(temperatures[case])))
    return mixtures


class _Totals(NamedTuple):
    """What weights add up to before they are made to add up to one, relative to the best.

    Attributes:
        best: the largest similarity.
        whole: Σ mass over all rows.
        gap: Σ mass·|x| over them, x = (s − best)/T.
        tail, tail_gap: of all candidates and of all that is summed.
        tail_square, summed_square: Σ mass² over the tail, and over what is summed.
    """

    best: float
    whole: float
    gap: float
    tail: float
    tail_gap: float
    tail_square: float
    summed_square: float


def _weighed(
    totals: _Totals,
    log_tail: float,
    known: F64,
    candidates: F64,
    factors: F64,
    null: NullKey | None,
    temperature: float,
) -> Mixture:
    """The weights that the masses of one case come to, beside a null key."""
    mass, best = totals.whole, totals.best
    log_mass = math.log(mass)
    mean_gap = totals.gap / mass
    entropy = log_mass + mean_gap
    null_logit = -math.inf if null is None else null.logit(best, temperature)
    null_weight = logistic(null_logit - log_mass)
    factor = logistic(log_mass - null_logit) / mass
    log_partition = max(log_mass, null_logit) + math.log1p(math.exp(-abs(log_mass - null_logit)))
    if null is not None:
        mean_gap = (1 - null_weight) * (mean_gap + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
    evidence = Evidence(
        temperature=temperature,
        null_weight=null_weight,
        null_similarity=None if null is None else null.level(temperature),
        answered=null_weight < 0.5,
        log_partition=best / temperature + log_partition,
        entropy=entropy,
        effective_documents=math.exp(entropy),
    )
    return Mixture(
        known=known * factor,
        candidates=candidates * factor,
        factors=factors * factor,
        evidence=evidence,
        mean_gap=mean_gap,
        tail=min(1.0, totals.tail * factor),
        log_tail=min(0.0, log_tail - log_partition),
        tail_gap=totals.tail_gap * factor,
        tail_square=totals.tail_square * factor * factor,
        summed_square=totals.summed_square * factor * factor,
    )


def alone(weights: F64, evidence: Evidence, candidates: int) -> Mixture:
    """Known rows that have all the weight."""
    return Mixture(weights, np.zeros(candidates), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_nothing(masses: F64) -> F64:
    """The logarithm, −∞ of 0."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
