"""Softmax over a head that is known row by row and a tail that is known by its sums."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attention.lookup.distribution import logistic
from attention.lookup.results import Evidence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bulk:
    """Rows that were summed below a bar: mass Σe, depth Σe·x, square Σe², with x = (s − bar)/T and e = exp(x)."""

    bar: float
    mass: float
    depth: float
    square: float


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

    def without_tail(self) -> "Mixture":
        """The same, of which no row is known by its code alone."""
        return replace(self, tail=0.0, log_tail=-np.inf, tail_depth=0.0, tail_square=0.0, bulk_square=0.0)


def mix(head: Array, listed: Array, bulks: Sequence[Bulk], null: float | None, temperature: float) -> Mixture:
    """Softmax of similarity / temperature over all of them, a null key included.

    Args:
        head: float64[h], similarities, h ≥ 1, the best of all among them.
        listed: float64[l], similarities.
        bulks: sums at this temperature.
        null: the null key's similarity, or None.
        temperature: above 0.
    """
    best = float(head.max())
    head_logits = (head - best) / temperature
    listed_logits = np.maximum((listed - best) / temperature, -1e30)
    distances = np.array([(bulk.bar - best) / temperature for bulk in bulks])
    bars = np.maximum(distances, -745.0)
    sums = np.array([(bulk.mass, bulk.depth, bulk.square) for bulk in bulks]).reshape(-1, 3)
    lifts = np.exp(bars)
    head_masses, listed_masses = np.exp(head_logits), np.exp(listed_logits)
    tail_mass = float(listed_masses.sum() + lifts @ sums[:, 0])
    tail_depth = -float(listed_masses @ listed_logits + lifts @ (sums[:, 1] + bars * sums[:, 0]))
    mass = float(head_masses.sum()) + tail_mass
    depth = (tail_depth - float(head_masses @ head_logits)) / mass
    log_mass = float(np.log(mass))
    null_logit = -np.inf if null is None else (null - best) / temperature
    null_weight = logistic(null_logit - log_mass)
    factor = logistic(log_mass - null_logit) / mass
    entropy = log_mass + depth
    log_tail = np.logaddexp.reduce([*listed_logits, *(distances + log_or_nothing(sums[:, 0]))], initial=-np.inf)
    evidence = Evidence(
        temperature,
        null_weight,
        best / temperature + float(np.logaddexp(log_mass, null_logit)),
        entropy,
        float(np.exp(entropy)),
    )
    bulk_square = float((lifts * lifts) @ sums[:, 2])
    square = float((listed_masses * listed_masses).sum()) + bulk_square
    if null is not None:
        depth = (1 - null_weight) * (depth + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
    return Mixture(
        head=head_masses * factor,
        listed=listed_masses * factor,
        factors=lifts * factor,
        evidence=evidence,
        depth=depth,
        tail=min(1.0, tail_mass * factor),
        log_tail=min(0.0, float(log_tail) - float(np.logaddexp(log_mass, null_logit))),
        tail_depth=tail_depth * factor,
        tail_square=square * factor * factor,
        bulk_square=bulk_square * factor * factor,
    )


def alone(weights: Array, evidence: Evidence, listed: int) -> Mixture:
    """A head that has all the weight."""
    return Mixture(weights, np.zeros(listed), np.zeros(0), evidence, 0.0, 0.0, -np.inf, 0.0, 0.0, 0.0)


def log_or_nothing(masses: Array) -> Array:
    """The logarithm, −∞ of 0."""
    return np.log(masses, out=np.full(masses.shape, -np.inf), where=masses > 0)
