"""Softmax over rows that are known one by one and a tail that is known by its sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F64
from attention.lookup.softmax.distribution import logistic
from attention.lookup.softmax.evidence import Evidence
from attention.lookup.softmax.null import NullKey

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
        level = float(self.factors.max(initial=0.0)) ** 2
        squares = self._candidate_squares
        above = int(np.searchsorted(-squares, -level))
        first = float(squares[: int(min(np.ceil(rows), above))].sum())
        rest = self.summed_square + float(squares[above:].sum())
        return first + min(max(rows - above, 0.0) * level, rest)

    @cached_property
    def _candidate_squares(self) -> F64:
        """float64[l], the largest first."""
        return np.sort(self.candidates * self.candidates)[::-1]


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
    best = float(known.max())
    masses = _masses(known - best, candidates - best, tail_sums.thresholds - best, tail_sums.sums, temperatures)
    return [
        _weighed(masses, at, best, null, temperature)
        for at, (null, temperature) in enumerate(zip(nulls, temperatures.tolist(), strict=True))
    ]


@dataclass(frozen=True, eq=False)
class _Masses:
    """What weights are before they are made to add up to one, relative to the best, at each of t temperatures.

    Attributes:
        known, candidates: float64[t, h] and float64[t, l].
        factors: float64[t, b], what each sum's e is to be multiplied by.
        whole: float64[t], Σ mass over all rows.
        gap: float64[t], Σ mass·|x| over them, x = (s − best)/T.
        tail, log_tail, tail_gap: float64[t], of all candidates and of all that is summed.
        tail_square, summed_square: float64[t], Σ mass² over the tail, and over what is summed.
    """

    known: F64
    candidates: F64
    factors: F64
    whole: F64
    gap: F64
    tail: F64
    log_tail: F64
    tail_gap: F64
    tail_square: F64
    summed_square: F64


def _masses(known: F64, candidates: F64, thresholds: F64, sums: F64, temperatures: F64) -> _Masses:
    """Of rows and thresholds that are so far behind the best."""
    colder = temperatures[:, None]
    known_logits, candidate_logits = known / colder, np.maximum(candidates / colder, -1e30)
    distances = thresholds / colder
    floors = np.maximum(distances, -745.0)
    factors = np.exp(floors)
    mass, gap, square = sums[..., 0], sums[..., 1], sums[..., 2]
    known_masses, candidate_masses = np.exp(known_logits), np.exp(candidate_logits)
    tail = candidate_masses.sum(axis=1) + (factors * mass).sum(axis=1)
    tail_gap = -(_dots(candidate_masses, candidate_logits) + (factors * (gap + floors * mass)).sum(axis=1))
    summed_square = (factors * factors * square).sum(axis=1)
    log_tail = log_or_nothing(tail)
    for at in np.flatnonzero(tail < VANISHING):
        terms = np.concatenate([candidate_logits[at], distances[at] + log_or_nothing(mass[at])])
        log_tail[at] = np.logaddexp.reduce(terms, initial=-np.inf)
    return _Masses(
        known=known_masses,
        candidates=candidate_masses,
        factors=factors,
        whole=known_masses.sum(axis=1) + tail,
        gap=tail_gap - _dots(known_masses, known_logits),
        tail=tail,
        log_tail=log_tail,
        tail_gap=tail_gap,
        tail_square=_dots(candidate_masses, candidate_masses) + summed_square,
        summed_square=summed_square,
    )


def _weighed(masses: _Masses, at: int, best: float, null: NullKey | None, temperature: float) -> Mixture:
    """The weights that the masses at one of the temperatures come to, beside a null key."""
    mass = float(masses.whole[at])
    log_mass = math.log(mass)
    mean_gap = float(masses.gap[at]) / mass
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
        known=masses.known[at] * factor,
        candidates=masses.candidates[at] * factor,
        factors=masses.factors[at] * factor,
        evidence=evidence,
        mean_gap=mean_gap,
        tail=min(1.0, float(masses.tail[at]) * factor),
        log_tail=min(0.0, float(masses.log_tail[at]) - log_partition),
        tail_gap=float(masses.tail_gap[at]) * factor,
        tail_square=float(masses.tail_square[at]) * factor * factor,
        summed_square=float(masses.summed_square[at]) * factor * factor,
    )


def _dots(some: F64, others: F64) -> F64:
    """float64[t]: Σ some·others along each row."""
    return np.asarray(np.einsum("ti,ti->t", some, others))


def alone(weights: F64, evidence: Evidence, candidates: int) -> Mixture:
    """Known rows that have all the weight."""
    return Mixture(weights, np.zeros(candidates), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_nothing(masses: F64) -> F64:
    """The logarithm, −∞ of 0."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
