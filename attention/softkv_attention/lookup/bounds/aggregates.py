"""Means, shares and quantiles of documents' numbers, weighted by attention, with bounds on their errors.

Let w be the true weights and ŵ the computed ones, at most ε apart in total variation. Let H be the documents that have
the field, W = w(H) and Ŵ = ŵ(H). The weight of any set of documents is off by at most ε, so W ≥ Ŵ − ε.

**A mean.** m = Σ_H w·x / W for numbers x between a and b, and m̂ is the same by ŵ. As Σ_H ŵ·(x − m̂) = 0,
W·(m − m̂) = Σ_H (w − ŵ)·(x − m̂). The positive parts of w − ŵ add up to at most ε, and so do the negative parts. So the
sum is at most ε·(b − m̂) + ε·(m̂ − a), and |m − m̂| ≤ ε·(b − a)/(Ŵ − ε). That is at most
2ε·max|x − m̂|/(Ŵ − 2ε). Also, m lies between a and b.

**A share** w(A)/W of documents A of H is the mean of 1 over A and 0 elsewhere, so its error is at most ε/(Ŵ − ε).

**A quantile** at p is the smallest x with F(x) ≥ p, where F(x) is the share of numbers up to x. The error of F̂ is at
most δ, as for any share. So if F̂(x) ≥ p + δ, x is at least the quantile. And the quantile q itself has
F̂(q) ≥ F(q) − δ ≥ p − δ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Quantile:
    """A weighted quantile from computed weights, and proven limits of the true one.

    Attributes:
        value: the computed quantile.
        at_least, at_most: limits between which the true quantile lies.
    """

    value: float
    at_least: float
    at_most: float


@dataclass(frozen=True)
class Mean:
    """A weighted mean from computed weights, and a bound on its error.

    Attributes:
        value: the computed mean.
        deviation: the weighted standard deviation around it.
        error: a bound on the distance from the true mean; None if no finite bound is known.
    """

    value: float
    deviation: float
    error: float | None


def weighted_mean(numbers: F64, weights: F64, total_variation: float) -> Mean:
    """Return the mean of numbers by their weights, which need not sum to one.

    Its error bound covers the error of the weights, and the rounding of this computation. Each of n terms is off by a
    few units in its last place, and by half a unit more if its number was rounded to float64. A pairwise sum is off by
    (24 + log₂ n)·u relative, as in `bounds.weights`.

    Args:
        numbers: float64[n], finite, n ≥ 1; a number may occur several times.
        weights: float64[n], at least one above zero.
        total_variation: a bound on the total variation between the computed and the true weights, documents without a
            number included.
    """
    low, high = float(numbers.min()), float(numbers.max())
    shares = weights / weights.sum()
    mean = min(max(float((shares * numbers).sum()), low), high)
    # Halves first, because the difference of two large numbers of opposite signs would overflow.
    half_gaps = numbers / 2 - mean / 2
    # Squares are taken relative to the largest gap, so that they neither overflow nor vanish.
    size = float(np.abs(half_gaps).max()) or 1.0
    deviation = size * (2 * math.sqrt(float((shares * (half_gaps / size) ** 2).sum())))
    shift = _bound_shift(weights, total_variation)
    if shift is None:
        return Mean(mean, deviation, None)
    rounding = (64 + 2 * math.log2(len(numbers) + 1)) * UNIT_ROUNDOFF * float((shares * np.abs(numbers)).sum())
    error = shift * 2 * (high / 2 - low / 2) + rounding
    # The true mean lies between the extremes, however wrong the weights are.
    return Mean(mean, deviation, min(error, max(high - mean, mean - low) + rounding))


def weight_error(weights: F64, total_variation: float) -> float:
    """Return a bound on the error of the summed weight of any set of documents.

    Args:
        weights: float64[n], the computed weights of all documents.
        total_variation: a bound on the total variation between computed and true weights.
    """
    return min(1.0, total_variation + _sum_error(len(weights)) * float(weights.sum()))


def share_error(weights: F64, total_variation: float) -> float | None:
    """Return a bound on the error of any set of documents' share of the weight; None if no bound is known.

    The share of a set is its weight divided by the sum of all weights. No bound is known if the true sum may be 0.

    Args:
        weights: float64[n], the computed weights.
        total_variation: a bound on the total variation between computed and true weights.
    """
    shift = _bound_shift(weights, total_variation)
    return None if shift is None else min(1.0, shift + _sum_error(len(weights)))


def _bound_shift(weights: F64, total_variation: float) -> float | None:
    """Return ε/(Ŵ − ε), a bound on the error of a share of weight; None if Ŵ ≤ ε.

    Args:
        weights: float64[n], computed weights, with the sum Ŵ.
        total_variation: ε, a bound on the total variation between computed and true weights.
    """
    least_weight = float(weights.sum()) * (1 - _sum_error(len(weights))) - total_variation
    return total_variation / least_weight if least_weight > 0 else None


def _sum_error(n: int) -> float:
    """Return a bound on the relative error of a sum of n terms that are added one by one."""
    return (2 * n + 64) * UNIT_ROUNDOFF


def weighted_quantiles(numbers: F64, weights: F64, levels: F64, total_variation: float) -> list[Quantile]:
    """Return the weighted quantiles of numbers at the levels, each with limits of the true quantile.

    Args:
        numbers: float64[n], finite, n ≥ 1; a number may occur several times.
        weights: float64[n], at least one above zero.
        levels: float64[m], each between 0 and 1; 0.5 is the median.
        total_variation: a bound on the total variation between the computed and the true weights.
    """
    order = np.argsort(numbers, kind="stable")
    numbers, below = numbers[order], np.cumsum(weights[order])
    below /= below[-1]
    share = share_error(weights, total_variation)
    margin = 1.0 if share is None else share
    # If a number holds the share exactly, the last bit of a sum must not decide.
    reached = levels * (1 - 1e-12)
    indices = [np.searchsorted(below, shares) for shares in (reached, reached - margin, levels + margin)]
    values, lows, highs = (numbers[np.minimum(index, len(numbers) - 1)].tolist() for index in indices)
    return [Quantile(*limits) for limits in zip(values, lows, highs, strict=True)]
