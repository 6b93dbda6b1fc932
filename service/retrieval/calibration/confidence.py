"""Confidence of the first match, and conformal sets of matches.

Split conformal prediction (Vovk, Gammerman, Shafer 2005): take n labelled questions and one more that is like them.
With probability `coverage`, its right document's weight is not among the (n + 1)(1 − coverage) least. The one weight at
that rank is noisy, so the quantile is Harrell and Davis's (1982), an average over the ranks around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MIN_SLOPE = 0.05
"""The least slope of the weight: more of it never means less confidence. Of the lead it is 0."""

# What is expected before there are labels: a weight that means what it says, beside which a lead says nothing; and how
# far around that, as deviations.
_PRIOR_MEAN, _PRIOR_DEVIATION = np.array([1.0, 1.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.4, 1.0, 1.0, 2.0])
_MIN_PARAMETERS = np.array([MIN_SLOPE, MIN_SLOPE, 0.0, 0.0, -np.inf])

FULL_CURVE_LABELS = 100
"""Labels below which a curve has two parameters."""

_MAX_LOGIT = 40.0  # a logit beyond which nothing changes
_MAX_STEPS, _MIN_STEP = 100, 1e-10


@dataclass(frozen=True)
class Curve:
    """sigmoid(slope·x + lead_slope·z + offset).

    x = logit(w) of the best document's weight w, the null key left out: how far it stands out from the others. z is how
    far all documents together outweigh the fitted null key, as a logit: how much there is that is like the question.

    Attributes:
        slope: of x, the weight being below ½.
        slope_above: of x from there on: a weight near 1 says that no other document is like it, not that it is right.
        lead_slope: of z, the null key weighing more than the documents.
        lead_slope_above: of z where it weighs less.
        offset: the logit of the confidence where both are 0.
    """

    slope: float
    slope_above: float
    lead_slope: float
    lead_slope_above: float
    offset: float

    def __call__(self, logits: Array, leads: Array) -> Array:
        """float64[q]: the confidences, of such x and z."""
        parameters = [self.slope, self.slope_above, self.lead_slope, self.lead_slope_above, self.offset]
        return np.asarray(0.5 * (1 + np.tanh(_features(logits, leads) @ parameters / 2)))

    @classmethod
    def fitted(cls, logits: Array, leads: Array, right: Array) -> Curve:
        """The likeliest one, by Newton's method; where a slope would be too flat, the likeliest with that one.

        Args:
            logits: float64[q], x of each question; `leads`: float64[q], z.
            right: bool[q], whether its first match is right.
        """
        features, found = _features(logits, leads), _MIN_PARAMETERS.copy()
        free = np.ones(len(found), dtype=np.bool_)
        while True:
            known = features[:, ~free] @ found[~free]
            found[free] = _fit_logistic(features[:, free], known, right, _PRIOR_MEAN[free], _PRIOR_DEVIATION[free])
            if not (low := found < _MIN_PARAMETERS).any():
                return cls(*found.tolist())
            free &= ~low
            found[low] = _MIN_PARAMETERS[low]

    @classmethod
    def of_few(cls, logits: Array, right: Array) -> Curve:
        """The likeliest one of a slope and an offset alone: five parameters follow the chance in few labels."""
        features = np.stack([logits, np.ones(len(logits))], axis=1)
        expected, around, nothing = _PRIOR_MEAN[[0, 4]], _PRIOR_DEVIATION[[0, 4]], np.zeros(len(logits))
        slope, offset = _fit_logistic(features, nothing, right, expected, around)
        if slope < MIN_SLOPE:
            slope, known = MIN_SLOPE, MIN_SLOPE * logits
            (offset,) = _fit_logistic(features[:, 1:], known, right, expected[1:], around[1:])
        return cls(float(slope), float(slope), 0.0, 0.0, float(offset))


def _features(logits: Array, leads: Array) -> Array:
    """float64[q, 5]: what the parameters of a curve are multiplied with."""
    below, above = np.minimum(logits, 0.0), np.maximum(logits, 0.0)
    behind, ahead = np.clip(leads, -_MAX_LOGIT, 0.0), np.clip(leads, 0.0, _MAX_LOGIT)
    return np.stack([below, above, behind, ahead, np.ones(len(logits))], axis=1)


def _fit_logistic(features: Array, known: Array, right: Array, expected: Array, around: Array) -> Array:
    """float64[p]: what the chance sigmoid(known + features·p) makes `right` likeliest with; the likelihood is concave.

    Args:
        features: float64[q, p]; `known`: float64[q].
        expected, around: float64[p], what p is expected to be, and how far around that, as deviations.
    """

    def likelihood(parameters: Array) -> float:
        logits = known + features @ parameters
        labels = np.where(right, logits, 0.0) - np.logaddexp(0.0, logits)
        return float(labels.sum() - (((parameters - expected) / around) ** 2).sum() / 2)

    found, reached = expected, likelihood(expected)
    for _ in range(_MAX_STEPS):
        chance = 0.5 * (1 + np.tanh((known + features @ found) / 2))
        gradient = features.T @ (right - chance) - (found - expected) / around**2
        curvature = (features.T * (chance * (1 - chance))) @ features + np.diag(1 / around**2)
        step = np.linalg.solve(curvature, gradient)
        # Where a step is far the quadratic is no model of the likelihood.
        while (tried := likelihood(found + step)) < reached and np.abs(step).max() > _MIN_STEP:
            step = step / 2
        if tried < reached or np.abs(step).max() <= _MIN_STEP:
            break
        found, reached = found + step, tried
    return found


def weight_logits(best: Array, log_partition: Array) -> Array:
    """float64: logit of the weight e^(best − log_partition), cut at ±40."""
    gap = np.minimum(best - log_partition, 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(gap))
    return np.asarray(np.clip(gap - rest, -_MAX_LOGIT, _MAX_LOGIT))


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
