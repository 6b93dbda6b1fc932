"""How good confidences, ranks and sets are, each figure with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from service.retrieval.calibration.fitted import Outcomes, standard_error

Array = np.ndarray[Any, Any]

BINS = 10
BOOTSTRAP_SAMPLES = 200
"""Of as many questions, drawn with replacement: the calibration error's standard error is their deviation."""

MIN_PROBABILITY = 1e-6
"""A confidence counts as no nearer to 0 or 1 than this, for one wrong word would make the log-loss infinite."""


class Metric(NamedTuple):
    """A figure and its standard error; both None where there was nothing to measure it on."""

    value: float | None
    error: float | None

    @property
    def known(self) -> tuple[float, float]:
        """Both, where there was something."""
        assert self.value is not None
        assert self.error is not None
        return self.value, self.error

    @classmethod
    def mean(cls, values: Array) -> Metric:
        """Of independent values; nothing where one of them is NaN, which says that it could not be known."""
        if len(values) < 2 or np.isnan(values).any():
            return cls(None, None)
        return cls(float(np.mean(values)), standard_error(values.astype(np.float64)))


@dataclass(frozen=True)
class Metrics:
    """What came of questions.

    Attributes:
        ece: expected calibration error of the first match's confidence, over ten bins of equal size.
        brier, log_loss: of the same; log_loss in nats.
        label_loss: −ln of what the label had in the distribution, the right document or the null key; in nats.
        recall: at 1, of questions that have an answer.
        mrr: mean reciprocal rank, of these.
        one_right: share of these whose verdict is "one", the right one first.
        one_wrong: share of the others whose verdict is "one".
        coverage: share of those with an answer whose right one is in the set of a promise of 0.9.
    """

    ece: Metric
    brier: Metric
    log_loss: Metric
    label_loss: Metric
    recall: Metric
    mrr: Metric
    one_right: Metric
    one_wrong: Metric
    coverage: Metric

    @classmethod
    def of(cls, outcomes: Outcomes) -> Metrics:
        """Of the questions that these outcomes are of."""
        present = outcomes.present
        return cls(
            ece=Metric(
                calibration_error(outcomes.confidence, outcomes.right),
                _bootstrap_error(outcomes.confidence, outcomes.right),
            ),
            brier=Metric.mean((outcomes.confidence - outcomes.right) ** 2),
            log_loss=Metric.mean(log_losses(outcomes)),
            label_loss=Metric.mean(label_losses(outcomes)),
            recall=Metric.mean(outcomes.right[present]),
            mrr=Metric.mean(outcomes.reciprocal[present]),
            one_right=Metric.mean((outcomes.one & outcomes.right)[present]),
            one_wrong=Metric.mean(outcomes.one[~present]),
            coverage=Metric.mean(outcomes.covered[present]),
        )


def calibration_error(confidence: Array, right: Array) -> float:
    """Σ share of a bin · |mean confidence − share that is right|, over ten bins of equal size."""
    # What is equally sure is equally right, in whatever order it comes.
    _, equal = np.unique(confidence, return_inverse=True)
    apart = confidence - (np.bincount(equal, right) / np.bincount(equal))[equal]
    bins = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    return float(sum(abs(apart[each].sum()) for each in bins) / len(confidence))


def log_losses(outcomes: Outcomes) -> Array:
    """float64[q], nats: −ln of the chance that was given to what was so."""
    sure = np.clip(outcomes.confidence, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(-np.log(np.where(outcomes.right, sure, 1 - sure)))


def label_losses(outcomes: Outcomes) -> Array:
    """float64[q], nats: −ln of the share that the right document, or the null key, had."""
    return np.asarray(-np.maximum(outcomes.likelihood, np.log(MIN_PROBABILITY)))


def _bootstrap_error(confidence: Array, right: Array) -> float:
    random = np.random.default_rng(0)  # fixed: the same labels have the same answer
    drawn = random.integers(len(right), size=(BOOTSTRAP_SAMPLES, len(right)))
    return float(np.std([calibration_error(confidence[each], right[each]) for each in drawn], ddof=1))
