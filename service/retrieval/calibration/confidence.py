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
"""The least slope of the weight: more weight never means less confidence. For the lead it is 0."""


PRIOR_MEAN, PRIOR_DEVIATION = np.array([1.0, 1.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.4, 1.0, 1.0, 2.0])
"""A Gaussian prior of a curve's parameters that says little: the weight is the confidence, the lead says nothing."""

_MIN_PARAMETERS = np.array([MIN_SLOPE, MIN_SLOPE, 0.0, 0.0, -np.inf])

FULL_CURVE_LABELS = 100
"""With fewer labels a curve has two parameters."""

_MAX_LOGIT = 40.0  # logits are clipped to this size
_MAX_STEPS, _MIN_STEP = 100, 1e-10


@dataclass(frozen=True)
class Curve:
    """A curve for the confidence that the first match is right: sigmoid(slope·x + lead_slope·z + offset).

    x = logit(w), the best document's weight w without the null key: how far it stands out from the others. z, its lead,
    is the logit of all documents' weight against the null key ("none of these"): how much of the collection is like the
    query.

    Attributes:
        slope: the slope of x for weights below ½.
        slope_above: the slope of x above; a weight near 1 says that no other document is like it, not that it is right.
        lead_slope: the slope of z if the null key outweighs the documents.
        lead_slope_above: the slope of z otherwise.
        offset: the logit of the confidence at x = z = 0.
    """

    slope: float
    slope_above: float
    lead_slope: float
    lead_slope_above: float
    offset: float

    def __call__(self, logits: Array, leads: Array) -> Array:
        """Return float64[q], the confidence that the first match is right, for each of q questions.

        Args:
            logits: float64[q], x = logit(w) of the best document's weight w without the null key.
            leads: float64[q], z, the logit of all documents' weight against the null key.
        """
        return np.asarray(0.5 * (1 + np.tanh(_features(logits, leads) @ self.parameters / 2)))

    @classmethod
    def fit(cls, logits: Array, leads: Array, right: Array) -> Curve:
        """Fit the curve with the greatest posterior probability to labelled questions, by Newton's method.

        A slope below its minimum is fixed at the minimum.

        Args:
            logits: float64[q], x of each question (see `Curve`); `leads`: float64[q], z.
            right: bool[q], whether its first match is right.
        """
        features, parameters = _features(logits, leads), _MIN_PARAMETERS.copy()
        free = np.ones(len(parameters), dtype=np.bool_)
        while True:
            fixed = features[:, ~free] @ parameters[~free]
            parameters[free] = _fit_logistic(features[:, free], fixed, right, PRIOR_MEAN[free], PRIOR_DEVIATION[free])
            if not (low := parameters < _MIN_PARAMETERS).any():
                return cls(*parameters.tolist())
            free &= ~low
            parameters[low] = _MIN_PARAMETERS[low]

    @property
    def parameters(self) -> tuple[float, ...]:
        """The five parameters, in the order of the prior's."""
        return self.slope, self.slope_above, self.lead_slope, self.lead_slope_above, self.offset

    @classmethod
    def fit_few(cls, logits: Array, right: Array) -> Curve:
        """Fit a curve with one slope and an offset to few labelled questions: five parameters would follow noise.

        Args:
            logits: float64[q], x of each question (see `Curve`).
            right: bool[q], whether its first match is right.
        """
        features = np.stack([logits, np.ones(len(logits))], axis=1)
        expected, deviation = PRIOR_MEAN[[0, 4]], PRIOR_DEVIATION[[0, 4]]
        zeros = np.zeros(len(logits))
        slope, offset = _fit_logistic(features, zeros, right, expected, deviation)
        if slope < MIN_SLOPE:
            slope, fixed = MIN_SLOPE, MIN_SLOPE * logits
            (offset,) = _fit_logistic(features[:, 1:], fixed, right, expected[1:], deviation[1:])
        return cls(float(slope), float(slope), 0.0, 0.0, float(offset))


def _features(logits: Array, leads: Array) -> Array:
    """Return float64[q, 5], the factors by which a curve multiplies its five parameters.

    Args:
        logits, leads: float64[q], x and z of each question, see `Curve`.
    """
    below, above = np.minimum(logits, 0.0), np.maximum(logits, 0.0)
    negative_leads, positive_leads = np.clip(leads, -_MAX_LOGIT, 0.0), np.clip(leads, 0.0, _MAX_LOGIT)
    return np.stack([below, above, negative_leads, positive_leads, np.ones(len(logits))], axis=1)


def _fit_logistic(features: Array, offsets: Array, right: Array, expected: Array, deviation: Array) -> Array:
    """Return float64[p], the parameters that make `right` likeliest under sigmoid(offsets + features·p).

    The likelihood with its Gaussian prior is concave.

    Args:
        features: float64[q, p]; `offsets`: float64[q].
        right: bool[q], whether the first match of each question is right.
        expected, deviation: float64[p], mean and standard deviation of the prior.
    """

    def likelihood(parameters: Array) -> float:
        logits = offsets + features @ parameters
        labels = np.where(right, logits, 0.0) - np.logaddexp(0.0, logits)
        return float(labels.sum() - (((parameters - expected) / deviation) ** 2).sum() / 2)

    parameters, likelihood_now = expected, likelihood(expected)
    for _ in range(_MAX_STEPS):
        chance = 0.5 * (1 + np.tanh((offsets + features @ parameters) / 2))
        gradient = features.T @ (right - chance) - (parameters - expected) / deviation**2
        curvature = (features.T * (chance * (1 - chance))) @ features + np.diag(1 / deviation**2)
        step = np.linalg.solve(curvature, gradient)
        # Halve a step that lowers the likelihood: the quadratic model does not hold that far away.
        while (likelihood_next := likelihood(parameters + step)) < likelihood_now and np.abs(step).max() > _MIN_STEP:
            step = step / 2
        if likelihood_next < likelihood_now or np.abs(step).max() <= _MIN_STEP:
            break
        parameters, likelihood_now = parameters + step, likelihood_next
    return parameters


def weight_logits(best: Array, log_partition: Array) -> Array:
    """Return the logits of the weights e^(best − log_partition), clipped to ±40.

    Args:
        best: float64[q], the log mass (unnormalised weight) of the best document of each question.
        log_partition: float64[q], the log mass of all documents.
    """
    gap = np.minimum(best - log_partition, 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(gap))
    return np.asarray(np.clip(gap - rest, -_MAX_LOGIT, _MAX_LOGIT))


COVERAGES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
SMOOTHING = 0.75
"""The scale of n in Harrell and Davis's weights: below 1 they average a few more ranks, for at most one point of
bias.
"""

MIN_AVERAGED_RANK = 10
"""Below this rank the quantile is the value at the rank itself: an average over few ranks would be biased."""

TOLERANCE = 1e-9
"""The relative amount by which a weight may miss the threshold, because rounding differs between computations."""

_GRID = 4096


def min_labels(promise: float) -> int:
    """Return how many labelled questions with an answer a conformal set needs to promise this coverage.

    Args:
        promise: the probability that the set contains the right document.
    """
    return math.ceil(round(1 / (1 - promise), 6)) - 1


def fit_thresholds(log_weights: Array) -> dict[float, float]:
    """Return, for each coverage, the least log weight of a match in the conformal set.

    A conformal set has the matches above a threshold; the coverage is the probability that it contains the right
    document. Coverages that need more labels are left out.

    Args:
        log_weights: float64[n], that of the right document of each question with an answer, without the null key.
    """
    ordered = np.sort(log_weights)
    return {p: estimate_quantile(ordered, 1 - p) - TOLERANCE for p in COVERAGES if len(ordered) >= min_labels(p)}


def estimate_quantile(ordered: Array, share: float) -> float:
    """Return the quantile of ascending values float64[n], by Harrell and Davis's average over the ranks around it.

    At low ranks it is the value at that rank.

    Args:
        ordered: the values.
        share: the mean rank of the quantile is (n + 1)·share.
    """
    n = len(ordered)
    rank = math.floor(round((n + 1) * share, 6))
    if rank < MIN_AVERAGED_RANK:
        return float(ordered[rank - 1])
    weights = np.diff(
        _incomplete_beta(SMOOTHING * (n + 1) * share, SMOOTHING * (n + 1) * (1 - share), np.arange(n + 1) / n)
    )
    return float(weights @ ordered)


def _incomplete_beta(a: float, b: float, points: Array) -> Array:
    """Return the distribution function of Beta(a, b), by the trapezoid rule."""
    grid = (np.arange(_GRID) + 0.5) / _GRID
    logs = (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)
    sums = np.concatenate([[0.0], np.cumsum(np.exp(logs - logs.max()))])
    return np.asarray(np.interp(points, np.arange(_GRID + 1) / _GRID, sums / sums[-1]))
