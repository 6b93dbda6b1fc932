"""Metrics of a calibration with their standard errors, measured on held-out questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from service.retrieval.calibration.fit import (
    CrossValidation,
    Fit,
    Outcomes,
    Variant,
    assign_folds,
    fit_all,
    standard_error,
)
from service.retrieval.calibration.profile import Profiles

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


COVERAGE = 0.9
"""Of the sets whose coverage is told."""


@dataclass(frozen=True)
class Evaluation:
    """What was fitted, and how the collection does as it is, and with it.

    Attributes:
        plain: without words; `words`: with the λ that was fitted, None where that gains nothing.
        before: as the collection is served: the first match's weight is its confidence, `top_p` makes the set.
        after, after_words: with either fit, of questions that were held out.
        gained: by how much the label's loss fell without words, question by question.
        surer: the same of the log-loss of the confidences.
    """

    plain: Fit
    words: Fit | None
    before: Metrics
    after: Metrics
    after_words: Metrics | None
    gained: Metric
    surer: Metric

    @property
    def gains(self) -> bool:
        """Whether labels became likelier by more than the standard error of that, whatever confidences became.

        Or confidences better by more than theirs, and labels not less likely by more than twice theirs: by once they
        are, of chance alone, one time in six.
        """
        (gained, error), (surer, doubt) = self.gained.known, self.surer.known
        return gained > error or (surer > doubt and gained > -2 * error)


def evaluate(profiles: Profiles, order: Array, null_logits: float | Array, kept: Variant | None = None) -> Evaluation:
    """Fit to labelled questions.

    Args:
        profiles: of the questions.
        order: int[q], in which they are dealt out to folds: not their own, which may mean something.
        null_logits: float64[q], of the null key as served, at the collection's own temperature; −∞ for none. One
            number is that of all.
        kept: what the collection is calibrated to already, at that temperature; None where it is not.
    """
    held = CrossValidation.out(profiles, assign_folds(order, profiles.present), COVERAGE)
    plain, words = fit_all(profiles, held)
    served = Outcomes.served(profiles, null_logits, COVERAGE, kept)
    return Evaluation(
        plain,
        words,
        Metrics.of(served),
        Metrics.of(held.plain),
        None if words is None else Metrics.of(held.words),
        Metric.mean(label_losses(served) - label_losses(held.plain)),
        Metric.mean(log_losses(served) - log_losses(held.plain)),
    )
