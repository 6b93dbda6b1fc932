"""Sets of matches with a promise: the right one is among them with a given chance, where there is one.

Split conformal prediction (Vovk, Gammerman, Shafer 2005): of n labelled questions and one more that is like them, the
right document's weight is among the (n + 1)(1 − promise) least with that chance. The one weight at that rank is chance,
so the quantile is Harrell and Davis's (1982), an average over the ranks around it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

COVERAGES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
SMOOTHING = 0.75
"""Harrell and Davis's weights, for so much of the n: a few more ranks are averaged, for a point of bias at most."""

MIN_AVERAGED_RANK = 10
"""Below so many labels under the threshold it is the one at their rank: an average over so few is off to one side."""

TOLERANCE = 1e-9
"""By so much, relative to its weight, a document may miss a threshold: the same one is not computed alike twice."""

_GRID = 4096


def min_labels(promise: float) -> int:
    """How many labelled questions with an answer a promise needs, at least."""
    return math.ceil(round(1 / (1 - promise), 6)) - 1


def fit_thresholds(log_weights: Array) -> dict[float, float]:
    """By promise, the least logarithm of a weight that belongs to the set; none where there are too few.

    Args:
        log_weights: float64[n], of the right document of each question that has one, the null key left out.
    """
    ordered = np.sort(log_weights)
    return {p: estimate_quantile(ordered, 1 - p) - TOLERANCE for p in COVERAGES if len(ordered) >= min_labels(p)}


def estimate_quantile(ordered: Array, share: float) -> float:
    """Of values float64[n] in ascending order: Harrell and Davis's, rank (n + 1)·share in the mean, or that of few."""
    n = len(ordered)
    rank = math.floor(round((n + 1) * share, 6))
    if rank < MIN_AVERAGED_RANK:
        return float(ordered[rank - 1])
    weights = np.diff(
        _incomplete_beta(SMOOTHING * (n + 1) * share, SMOOTHING * (n + 1) * (1 - share), np.arange(n + 1) / n)
    )
    return float(weights @ ordered)


def _incomplete_beta(a: float, b: float, at: Array) -> Array:
    """float64: the distribution of Beta(a, b), by the trapezoid rule."""
    grid = (np.arange(_GRID) + 0.5) / _GRID
    logs = (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)
    sums = np.concatenate([[0.0], np.cumsum(np.exp(logs - logs.max()))])
    return np.asarray(np.interp(at, np.arange(_GRID + 1) / _GRID, sums / sums[-1]))
