"""Softmax over a head that is known row by row and a tail that is known by its sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attention.lookup.answer import Evidence
from attention.lookup.softmax.distribution import logistic
from attention.lookup.softmax.null import NullKey

Array = NDArray[np.float64]


VANISHING = 1e-280
"""A mass below this has lost digits, or all of itself; its logarithm is then taken another way."""


@dataclass(frozen=True, eq=False)
class Bulks:
    """Rows that were summed below bars, at some temperatures.

    Attributes:
        bars: float64[b].
        sums: float64[t, b, 3]: mass Σe, depth Σe·x and square Σe², with x = (s − bar)/T and e = exp(x).
    """

    bars: Array
    sums: Array


@dataclass(frozen=True, eq=False)
class Mixture:
    """Attention of one query over a head, over rows listed beside it, and over bulks.

    Attributes:
        head: float64[h], weights of the head.
        listed: float64[l], weights of the listed rows.
        factors: float64[b], what a bulk's e is to be multiplied by to be a weight.
        evidence: null weight, log-partition and entropy.
        depth: the weighted mean distance of a logit from the largest one.
        tail: the weight of all that is listed or summed.
        log_tail: its logarithm, which is known where the weight itself vanishes.
        tail_depth: the part of `depth` that the tail has.
        tail_square: the sum of the squared weights of the tail.
        bulk_square: the part of it that the bulks have.
    """

    head: Array
    listed: Array
    factors: Array
    evidence: Evidence
    depth: float
    tail: float
    log_tail: float
    tail_depth: float
    tail_square: float
    bulk_square: float

    def heaviest(self, rows: float) -> float:
        """At least the sum of the largest squared weights of the tail, of so many rows.

        Listed weights are known one by one, of the bulks' that none is above its factor and what their squares add up
        to. So the largest ones are listed rows above all factors first, and then at most a factor each.
        """
        level = float(self.factors.max(initial=0.0)) ** 2
        squares = self._listed_squares
        above = int(np.searchsorted(-squares, -level))
        first = float(squares[: int(min(np.ceil(rows), above))].sum())
        rest = self.bulk_square + float(squares[above:].sum())
        return first + min(max(rows - above, 0.0) * level, rest)

    @cached_property
    def _listed_squares(self) -> Array:
        """float64[l], the largest first."""
        return np.sort(self.listed * self.listed)[::-1]

    def without_tail(self) -> Mixture:
        """The same, of which no row is known by its code alone."""
        return replace(self, tail=0.0, log_tail=-np.inf, tail_depth=0.0, tail_square=0.0, bulk_square=0.0)


def mix(
    head: Array, listed: Array, bulks: Bulks, nulls: Sequence[NullKey | None], temperatures: Array
) -> list[Mixture]:
    """Softmax of similarity / temperature over all of them, a null key included, at each temperature.

    Args:
        head: float64[h], similarities, h ≥ 1, the best of all among them.
        listed: float64[l], similarities.
        bulks: sums at these temperatures.
        nulls: the null key at each temperature, or None.
        temperatures: float64[t], above 0.
    """
    best = float(head.max())
    masses = _masses(head - best, listed - best, bulks.bars - best, bulks.sums, temperatures)
    return [
        _weighed(masses, at, best, null, temperature)
        for at, (null, temperature) in enumerate(zip(nulls, temperatures.tolist(), strict=True))
    ]


@dataclass(frozen=True, eq=False)
class _Masses:
    """What weights are before they are made to add up to one, relative to the best, at each of t temperatures.

    Attributes:
        head, listed: float64[t, h] and float64[t, l].
        lifts: float64[t, b], what a bulk's e is to be multiplied by.
        whole: float64[t], Σ mass over all rows.
        depth: float64[t], Σ mass·|x| over them, x = (s − best)/T.
        tail, log_tail, tail_depth: float64[t], of all that is listed or summed.
        tail_square, bulk_square: float64[t], Σ mass² over it, and over the bulks.
    """

    head: Array
    listed: Array
    lifts: Array
    whole: Array
    depth: Array
    tail: Array
    log_tail: Array
    tail_depth: Array
    tail_square: Array
    bulk_square: Array


def _masses(head: Array, listed: Array, bars: Array, sums: Array, temperatures: Array) -> _Masses:
    """Of rows and bars that are so far behind the best."""
    colder = temperatures[:, None]
    head_logits, listed_logits = head / colder, np.maximum(listed / colder, -1e30)
    distances = bars / colder
    floors = np.maximum(distances, -745.0)
    lifts = np.exp(floors)
    mass, depth, square = sums[..., 0], sums[..., 1], sums[..., 2]
    heads, lists = np.exp(head_logits), np.exp(listed_logits)
    tail = lists.sum(axis=1) + (lifts * mass).sum(axis=1)
    tail_depth = -(_dots(lists, listed_logits) + (lifts * (depth + floors * mass)).sum(axis=1))
    bulk_square = (lifts * lifts * square).sum(axis=1)
    log_tail = log_or_nothing(tail)
    for at in np.flatnonzero(tail < VANISHING):
        terms = np.concatenate([listed_logits[at], distances[at] + log_or_nothing(mass[at])])
        log_tail[at] = np.logaddexp.reduce(terms, initial=-np.inf)
    return _Masses(
        head=heads,
        listed=lists,
        lifts=lifts,
        whole=heads.sum(axis=1) + tail,
        depth=tail_depth - _dots(heads, head_logits),
        tail=tail,
        log_tail=log_tail,
        tail_depth=tail_depth,
        tail_square=_dots(lists, lists) + bulk_square,
        bulk_square=bulk_square,
    )


def _weighed(masses: _Masses, at: int, best: float, null: NullKey | None, temperature: float) -> Mixture:
    """The weights that the masses at one of the temperatures come to, beside a null key."""
    mass = float(masses.whole[at])
    log_mass = math.log(mass)
    depth = float(masses.depth[at]) / mass
    entropy = log_mass + depth
    null_logit = -math.inf if null is None else null.logit(best, temperature)
    null_weight = logistic(null_logit - log_mass)
    factor = logistic(log_mass - null_logit) / mass
    log_partition = max(log_mass, null_logit) + math.log1p(math.exp(-abs(log_mass - null_logit)))
    if null is not None:
        depth = (1 - null_weight) * (depth + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
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
        head=masses.head[at] * factor,
        listed=masses.listed[at] * factor,
        factors=masses.lifts[at] * factor,
        evidence=evidence,
        depth=depth,
        tail=min(1.0, float(masses.tail[at]) * factor),
        log_tail=min(0.0, float(masses.log_tail[at]) - log_partition),
        tail_depth=float(masses.tail_depth[at]) * factor,
        tail_square=float(masses.tail_square[at]) * factor * factor,
        bulk_square=float(masses.bulk_square[at]) * factor * factor,
    )


def _dots(some: Array, others: Array) -> Array:
    """float64[t]: Σ some·others along each row."""
    return np.asarray(np.einsum("ti,ti->t", some, others))


def alone(weights: Array, evidence: Evidence, listed: int) -> Mixture:
    """A head that has all the weight."""
    return Mixture(weights, np.zeros(listed), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_nothing(masses: Array) -> Array:
    """The logarithm, −∞ of 0."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
