"""Confidence of the first match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

PRIOR_MEAN = np.array([1.0, 1.0, 0.2, 0.2, 0.0, 0.0])
"""The mean of a Gaussian prior of a curve's parameters, in their order; of the usual size in eight collections."""

_BEND = np.eye(6) - np.diag([1.0, 0.0, 1.0, 0.0, 0.0], -1)
_DEVIATION = np.array([0.6, 0.3, 0.3, 0.2, 0.5, 10.0])
PRIOR_PRECISION = _BEND.T @ np.diag(_DEVIATION**-2) @ _BEND
"""The inverse covariance of that prior. It is of `slope`, of how far `slope_above` is from it, and so on for the lead.
So few labels choose one slope of either kind.
"""

CAUTION = 0.5
"""The standard deviations by which confidences are lower than their estimates; it vanishes with many labels."""

_MIN_PARAMETERS = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -np.inf])

_MAX_LOGIT = 40.0  # logits are clipped to this size
_MAX_STEPS, _MIN_STEP = 100, 1e-10


@dataclass(frozen=True)
class Curve:
    """A curve for the confidence that the first match is right: sigmoid(slope·x + lead_slope·z + score_slope·r +
    offset).

    x = logit(w), the best document's weight w without the null key: how far it stands out from the others. z, its lead,
    is the logit of all documents' weight against the null key ("none of these"): how much of the collection is like the
    query. r is what a reranker says of the best document. No slope is negative.

    Attributes:
        slope: the slope of x for weights below ½.
        slope_above: the slope of x above; a weight near 1 says that no other document is like it, not that it is right.
        lead_slope: the slope of z if the null key outweighs the documents.
        lead_slope_above: the slope of z otherwise.
        offset: the logit of the confidence at x = z = r = 0.
        score_slope: the slope of r; 0 without a reranker.
        most: the largest confidence that the labels support.
    """

    slope: float
    slope_above: float
    lead_slope: float
    lead_slope_above: float
    offset: float
    score_slope: float = 0.0
    most: float = 1.0

    def __call__(self, logits: Array, leads: Array, scores: Array | float = 0.0) -> Array:
        """Return float64[q], the confidence that the first match is right, for each of q questions.

        Args:
            logits: float64[q], x = logit(w) of the best document's weight w without the null key.
            leads: float64[q], z, the logit of all documents' weight against the null key.
            scores: float64[q], r, the reranker's logits of the best documents; 0 without a reranker.
        """
        slopes = self.slope, self.slope_above, self.lead_slope, self.lead_slope_above, self.score_slope, self.offset
        estimates = 0.5 * (1 + np.tanh(_features(logits, leads, scores) @ np.array(slopes) / 2))
        return np.asarray(np.minimum(estimates, self.most))

    @classmethod
    def fit(cls, logits: Array, leads: Array, right: Array, scores: Array | float = 0.0) -> Curve:
        """Fit the curve with the greatest posterior probability to labelled questions, by Newton's method.

        A slope below 0 is fixed at 0. Then the curve is lowered by CAUTION mean standard deviations of its logit. Of k
        questions whose first match was right, no confidence is above (k + 1)/(k + 2), by the rule of succession.

        Args:
            logits: float64[q], x of each question (see `Curve`); `leads`: float64[q], z; `scores`: float64[q], r.
            right: bool[q], whether its first match is right.
        """
        features, parameters = _features(logits, leads, scores), _MIN_PARAMETERS.copy()
        free = np.ones(len(parameters), dtype=np.bool_)
        while True:
            parameters[~free] = _MIN_PARAMETERS[~free]
            parameters, covariance = _fit_logistic(features, right, np.where(free, PRIOR_MEAN, parameters), free)
            if not (low := free & (parameters < _MIN_PARAMETERS)).any():
                break
            free &= ~low
        deviations = np.sqrt(((features[:, free] @ covariance) * features[:, free]).sum(axis=1))
        slope, slope_above, lead_slope, lead_slope_above, score_slope, offset = parameters.tolist()
        offset -= CAUTION * float(deviations.mean())
        k = int(np.count_nonzero(right))
        return cls(slope, slope_above, lead_slope, lead_slope_above, offset, score_slope, (k + 1) / (k + 2))


def _features(logits: Array, leads: Array, scores: Array | float) -> Array:
    """Return float64[q, 6], the factors by which a curve multiplies its slopes and its offset.

    Args:
        logits, leads, scores: float64[q], x, z and r of each question, see `Curve`.
    """
    leads, scores = (np.clip(np.broadcast_to(of, logits.shape), -_MAX_LOGIT, _MAX_LOGIT) for of in (leads, scores))
    halves = [half(of, 0.0) for of in (logits, leads) for half in (np.minimum, np.maximum)]
    return np.stack([*halves, scores, np.ones(len(logits))], axis=1)


def _fit_logistic(features: Array, right: Array, start: Array, free: Array) -> tuple[Array, Array]:
    """Return the parameters that make `right` likeliest under sigmoid(features·p), and the covariance of free ones.

    The likelihood with its Gaussian prior is concave.

    Args:
        features: float64[q, p].
        right: bool[q], whether the first match of each question is right.
        start: float64[p], the parameters to start from; those that are not free stay.
        free: bool[p], whether a parameter is fitted.
    """

    def likelihood(parameters: Array) -> float:
        logits, far = features @ parameters, parameters - PRIOR_MEAN
        labels = np.where(right, logits, 0.0) - np.logaddexp(0.0, logits)
        return float(labels.sum() - far @ PRIOR_PRECISION @ far / 2)

    parameters, likelihood_now, step = start, likelihood(start), np.zeros(len(start))
    for _ in range(_MAX_STEPS):
        chance = 0.5 * (1 + np.tanh(features @ parameters / 2))
        gradient = features.T @ (right - chance) - PRIOR_PRECISION @ (parameters - PRIOR_MEAN)
        curvature = ((features.T * (chance * (1 - chance))) @ features + PRIOR_PRECISION)[np.ix_(free, free)]
        step[free] = np.linalg.solve(curvature, gradient[free])
        # Halve a step that lowers the likelihood: the quadratic model does not hold that far away.
        while (likelihood_next := likelihood(parameters + step)) < likelihood_now and np.abs(step).max() > _MIN_STEP:
            step = step / 2
        if likelihood_next < likelihood_now or np.abs(step).max() <= _MIN_STEP:
            break
        parameters, likelihood_now = parameters + step, likelihood_next
    return parameters, np.linalg.inv(curvature)


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
