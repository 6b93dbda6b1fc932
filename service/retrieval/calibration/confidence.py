"""How sure one may be that the first match is right: a curve through the weight of the best document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FLATTEST = 0.05
"""The least slope: more weight never means less confidence."""

# What is expected before there are labels: a weight that means what it says; and how far around that, as deviations.
_EXPECTED, _AROUND = np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 2.0])
_MOST = 40.0  # a logit beyond which nothing changes
_STEPS, _SMALLEST = 100, 1e-10


@dataclass(frozen=True)
class Curve:
    """sigmoid(slope·x + offset), x = logit(w) of the best document's weight w, the null key left out.

    Attributes:
        slope: of x, the weight being below ½.
        slope_above: of x from there on: a weight near 1 says that no other document is like it, not that it is right.
        offset: the logit of the confidence where the weight is ½.
    """

    slope: float
    slope_above: float
    offset: float

    def __call__(self, logits: Array) -> Array:
        """float64[q]: the confidences, of such x."""
        below, above = np.minimum(logits, 0.0), np.maximum(logits, 0.0)
        return np.asarray(0.5 * (1 + np.tanh((self.slope * below + self.slope_above * above + self.offset) / 2)))

    @classmethod
    def fitted(cls, logits: Array, right: Array) -> Curve:
        """The likeliest one, by Newton's method; where a slope would be too flat, the likeliest with that one.

        Args:
            logits: float64[q], x of each question.
            right: bool[q], whether its first match is right.
        """
        # The slope, by how much it is another above, and the offset.
        features = np.stack([logits, np.maximum(logits, 0.0), np.ones(len(logits))], axis=1)
        slope, more, offset = _likeliest(features, np.zeros(len(logits)), right, _EXPECTED, _AROUND).tolist()
        below, above = max(slope, FLATTEST), max(slope + more, FLATTEST)
        if (below, above) != (slope, slope + more):
            known = below * np.minimum(logits, 0.0) + above * np.maximum(logits, 0.0)
            (offset,) = _likeliest(features[:, 2:], known, right, _EXPECTED[2:], _AROUND[2:]).tolist()
        return cls(below, above, offset)


def _likeliest(features: Array, known: Array, right: Array, expected: Array, around: Array) -> Array:
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
    for _ in range(_STEPS):
        chance = 0.5 * (1 + np.tanh((known + features @ found) / 2))
        gradient = features.T @ (right - chance) - (found - expected) / around**2
        curvature = (features.T * (chance * (1 - chance))) @ features + np.diag(1 / around**2)
        step = np.linalg.solve(curvature, gradient)
        # Where a step is far the quadratic is no model of the likelihood.
        while (tried := likelihood(found + step)) < reached and np.abs(step).max() > _SMALLEST:
            step = step / 2
        if tried < reached or np.abs(step).max() <= _SMALLEST:
            break
        found, reached = found + step, tried
    return found


def weight_logits(best: Array, log_partition: Array) -> Array:
    """float64: logit of the weight e^(best − log_partition), cut at ±40."""
    gap = np.minimum(best - log_partition, 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(gap))
    return np.asarray(np.clip(gap - rest, -_MOST, _MOST))
