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
_STEPS = 50


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
        """The likeliest one, by Newton's method.

        Args:
            logits: float64[q], x of each question.
            right: bool[q], whether its first match is right.
        """
        # The slope, by how much it is another above, and the offset.
        features = np.stack([logits, np.maximum(logits, 0.0), np.ones(len(logits))], axis=1)
        parameters = _EXPECTED
        for _ in range(_STEPS):
            chance = 0.5 * (1 + np.tanh(features @ parameters / 2))
            gradient = features.T @ (right - chance) - (parameters - _EXPECTED) / _AROUND**2
            curvature = (features.T * (chance * (1 - chance))) @ features + np.diag(1 / _AROUND**2)
            step = np.linalg.solve(curvature, gradient)
            # Where a step is far the quadratic is no model of it.
            parameters = parameters + step / max(1.0, float(np.abs(step).max()))
        slope, more, offset = parameters.tolist()
        return cls(max(slope, FLATTEST), max(slope + more, FLATTEST), offset)


def weight_logits(best: Array, log_partition: Array) -> Array:
    """float64: logit of the weight e^(best − log_partition), cut at ±40."""
    gap = np.minimum(best - log_partition, 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(gap))
    return np.asarray(np.clip(gap - rest, -_MOST, _MOST))
