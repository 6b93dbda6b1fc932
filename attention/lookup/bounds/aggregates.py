"""How far what is read of documents' numbers can be from the true one: means, shares and quantiles by their weights.

Let w be the true weights and ŵ the computed ones, in total variation at most ε apart, H the documents that have the
field, W = w(H) and Ŵ = ŵ(H). No set of documents weighs ε more or less than it should, so W ≥ Ŵ − ε.

**A mean.** m = Σ_H w·x / W for numbers x between a and b, and m̂ the same by ŵ. As Σ_H ŵ·(x − m̂) = 0,
W·(m − m̂) = Σ_H (w − ŵ)·(x − m̂). What some weigh more is at most ε together, and so is what others weigh less: so the
sum is at most ε·(b − m̂) + ε·(m̂ − a), and |m − m̂| ≤ ε·(b − a)/(Ŵ − ε). That is at most
2ε·max|x − m̂|/(Ŵ − 2ε). Nor does m lie beyond a or b.

**A share** w(A)/W of documents A of H is the mean of 1 over A and 0 elsewhere: it is off by ε/(Ŵ − ε) at most.

**A quantile** at p is the smallest x with F(x) ≥ p, F(x) the share of numbers up to x. F̂ is off by δ at most, as any
share. So where F̂(x) ≥ p + δ, x is no less than the quantile; and the quantile q itself has F̂(q) ≥ F(q) − δ ≥ p − δ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Quantile:
    """A quantile as computed, between what it is certain to lie."""

    value: float
    at_least: float
    at_most: float


@dataclass(frozen=True)
class Mean:
    """A mean, the standard deviation around it, and what the mean is off by at most; None where nothing is certain."""

    value: float
    deviation: float
    error: float | None


def weighted_mean(numbers: F64, weights: F64, total_variation: float) -> Mean:
    """The mean of numbers by their weights, which need not sum to one.

    Of rounding, what is no part of the weights: each of n terms is off by a few units in its last place, half a unit if
    its number was no float64; and a sum in pairs by (24 + log₂ n)·u, as in `bounds.weights`.

    Args:
        numbers: float64[n], finite, at least one; those that are equal may come several times.
        weights: float64[n], of which some are above zero.
        total_variation: of all weights that there are, those of documents without a number among them.
    """
    low, high = float(numbers.min()), float(numbers.max())
    shares = weights / weights.sum()
    mean = min(max(float((shares * numbers).sum()), low), high)
    apart = numbers / 2 - mean / 2
    size = float(np.abs(apart).max()) or 1.0
    deviation = size * (2 * math.sqrt(float((shares * (apart / size) ** 2).sum())))
    moved = _bound_shift(weights, total_variation)
    if moved is None:
        return Mean(mean, deviation, None)
    rounding = (64 + 2 * math.log2(len(numbers) + 1)) * UNIT_ROUNDOFF * float((shares * np.abs(numbers)).sum())
    error = moved * 2 * (high / 2 - low / 2) + rounding
    return Mean(mean, deviation, min(error, max(high - mean, mean - low) + rounding))


def share_error(weights: F64, total_variation: float) -> float | None:
    """What any share of these weights, float64[n], is off by at most; None where they may truly be nothing."""
    moved = _bound_shift(weights, total_variation)
    return None if moved is None else min(1.0, moved + _sum_error(len(weights)))


def _bound_shift(weights: F64, total_variation: float) -> float | None:
    """ε/(Ŵ − ε)."""
    surely = float(weights.sum()) * (1 - _sum_error(len(weights))) - total_variation
    return total_variation / surely if surely > 0 else None


def _sum_error(n: int) -> float:
    """What n terms that are added one by one are off by, relative to their sum."""
    return (2 * n + 64) * UNIT_ROUNDOFF


def weighted_quantiles(numbers: F64, weights: F64, at: F64, total_variation: float) -> list[Quantile]:
    """The quantiles of numbers by their weights at `at`, each between 0 and 1; otherwise as `weighted_mean`."""
    order = np.argsort(numbers, kind="stable")
    numbers, below = numbers[order], np.cumsum(weights[order])
    below /= below[-1]
    share = share_error(weights, total_variation)
    room = 1.0 if share is None else share
    # The last bit of a sum must not decide, where a number holds the share exactly.
    here = at * (1 - 1e-12)
    places = [np.searchsorted(below, level) for level in (here, here - room, at + room)]
    found = (numbers[np.minimum(place, len(numbers) - 1)].tolist() for place in places)
    return [Quantile(*each) for each in zip(*found, strict=True)]
