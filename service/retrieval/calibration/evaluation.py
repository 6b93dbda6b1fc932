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
from service.retrieval.calibration.off_topic import OffTopic
from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

BINS = 10
BOOTSTRAP_SAMPLES = 200
"""The number of bootstrap samples for the standard error of the calibration error."""

MIN_PROBABILITY = 1e-6
"""Probabilities are clipped to this distance from 0 and 1: one wrong answer would make the log-loss infinite."""

LEAST_LOG = float(np.log(MIN_PROBABILITY))
NOTHING_REFUSED = np.empty(0, dtype=np.bool_)


@dataclass(frozen=True)
class Metric:
    """A metric and its standard error; both None if there was nothing to measure."""

    value: float | None
    error: float | None

    @property
    def pair(self) -> tuple[float, float]:
        """The metric and its standard error, which must not be None."""
        assert self.value is not None
        assert self.error is not None
        return self.value, self.error

    @classmethod
    def mean(cls, values: Array) -> Metric:
        """Return the mean of independent values and its standard error; both None if a value is NaN (unknown)."""
        if len(values) < 2 or np.isnan(values).any():
            return cls(None, None)
        return cls(float(np.mean(values)), standard_error(values.astype(np.float64)))


@dataclass(frozen=True)
class Metrics:
    """The metrics of a calibration, over labelled questions: texts, each with the documents that answer it, if any.

    Attributes:
        ece: expected calibration error of the first match's confidence, over ten bins with equally many questions.
        brier, log_loss: of the same confidence; log_loss in nats.
        label_loss: −ln of the weight of the label, which is the right document or the null key ("none of these"); in
            nats.
        recall: the share of the questions with an answer whose first match is right.
        mrr: the mean reciprocal rank of the right document over these questions.
        one_right: the share of these questions whose first match is right and has more than half of all weight (the
            verdict "one").
        one_wrong: the share of the questions without an answer whose first match has more than half of all weight.
        none_right: the share of the questions without an answer that have the verdict "none".
        none_wrong: the share of the questions with an answer that have it.
        off_topic_none: the share of made off-topic questions that have it, which are not among the labels.
        coverage: the share of the questions with an answer whose right document is in the conformal set of coverage
            0.9.
    """

    ece: Metric
    brier: Metric
    log_loss: Metric
    label_loss: Metric
    recall: Metric
    mrr: Metric
    one_right: Metric
    one_wrong: Metric
    none_right: Metric
    none_wrong: Metric
    off_topic_none: Metric
    coverage: Metric

    @classmethod
    def of(cls, outcomes: Outcomes, refused: Array = NOTHING_REFUSED) -> Metrics:
        """Compute the metrics of the predicted outcomes of labelled questions.

        Args:
            outcomes: the outcomes.
            refused: bool[m], whether each made off-topic question has the verdict "none".
        """
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
            none_right=Metric.mean(outcomes.none[~present]),
            none_wrong=Metric.mean(outcomes.none[present]),
            off_topic_none=Metric.mean(refused),
            coverage=Metric.mean(outcomes.covered[present]),
        )


def calibration_error(confidence: Array, right: Array) -> float:
    """Return Σ share of a bin · |mean confidence − share that is right|, over ten bins with equally many questions."""
    # Use the mean of equal confidences, so that their order does not matter.
    _, equal = np.unique(confidence, return_inverse=True)
    differences = confidence - (np.bincount(equal, right) / np.bincount(equal))[equal]
    bins = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    return float(sum(abs(differences[bin_].sum()) for bin_ in bins) / len(confidence))


def log_losses(outcomes: Outcomes) -> Array:
    """Return float64[q] in nats: −ln of the probability that the confidence gave to what was true.

    What was true is that the first match is right, or that it is wrong.
    """
    clipped = np.clip(outcomes.confidence, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(-np.log(np.where(outcomes.right, clipped, 1 - clipped)))


def label_losses(outcomes: Outcomes) -> Array:
    """Return float64[q] in nats: −ln of the weight of the right document, or of the null key without one."""
    return np.asarray(-np.maximum(outcomes.likelihood, LEAST_LOG))


def _bootstrap_error(confidence: Array, right: Array) -> float:
    random = np.random.default_rng(0)  # a fixed seed, so that equal labels give equal results
    draws = random.integers(len(right), size=(BOOTSTRAP_SAMPLES, len(right)))
    return float(np.std([calibration_error(confidence[draw], right[draw]) for draw in draws], ddof=1))


COVERAGE = 0.9
"""The coverage of the conformal sets that are evaluated."""


@dataclass(frozen=True)
class PreviousWeighting:
    """The settings of a calibrated collection from before its calibration.

    Attributes:
        temperature: the temperature, one of those in the profiles.
        null_logits: float64[q], the logits of the null key at that temperature; −∞ for none.
    """

    temperature: float
    null_logits: Array


class Gain(NamedTuple):
    """By how much a calibration lowers the losses on held-out questions, as means over the questions.

    Attributes:
        label_loss: the fall of the label loss.
        log_loss: the fall of the log-loss of the confidences.
    """

    label_loss: Metric
    log_loss: Metric

    @classmethod
    def between(cls, before: Outcomes, after: Outcomes) -> Gain:
        """Return the gain of one prediction of the same questions on another."""
        return cls(
            Metric.mean(label_losses(before) - label_losses(after)),
            Metric.mean(log_losses(before) - log_losses(after)),
        )

    @property
    def suffices(self) -> bool:
        """Whether the calibration may be applied.

        It may if the label loss falls by more than its standard error. It also may if the log-loss of the
        confidences falls by more than its standard error, while the label loss rises by at most two. By chance alone a
        loss rises by more than one standard error in one case of six.
        """
        (gained, error), (surer, doubt) = self.label_loss.pair, self.log_loss.pair
        return gained > error or (surer > doubt and gained > -2 * error)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation: the fits to labelled questions, and the metrics of the collection before and after.

    Attributes:
        plain: the fit without full text.
        words: the fit with full text, at the fitted weight λ; None if full text does not gain.
        before: metrics as served: the first match's weight is its confidence, and `top_p` makes the set.
        after, after_words: metrics of either fit on held-out questions.
        gain: the gain of the fit without full text on the collection as served.
        previous_gain: its gain on the collection before it was calibrated; None if it is not calibrated.
    """

    plain: Fit
    words: Fit | None
    before: Metrics
    after: Metrics
    after_words: Metrics | None
    gain: Gain
    previous_gain: Gain | None = None

    @property
    def gains(self) -> bool:
        """Whether the calibration may be applied: it suffices beside what is served, and beside no calibration."""
        return self.gain.suffices and (self.previous_gain is None or self.previous_gain.suffices)


def previous_outcomes(profiles: Profiles, previous: PreviousWeighting) -> Outcomes:
    """Return the outcomes of questions in the collection before it was calibrated."""
    return Outcomes.current(
        profiles, previous.null_logits, COVERAGE, temperature=profiles.nearest(previous.temperature)
    )


def _find_refused(off_topic: OffTopic | None, stored: Variant | None) -> Array:
    """Return bool[m], whether made off-topic questions have the verdict "none" as the collection is served."""
    if off_topic is None:
        return NOTHING_REFUSED
    return Outcomes.current(off_topic.profiles, off_topic.served, COVERAGE, stored).none


def evaluate(
    profiles: Profiles,
    order: Array,
    null_logits: float | Array,
    stored: Variant | None = None,
    previous: PreviousWeighting | None = None,
    off_topic: OffTopic | None = None,
) -> Evaluation:
    """Fit a calibration to labelled questions, and measure on held-out questions how much it improves on the
    collection.

    Args:
        profiles: tables of the logarithmic weights that matter for each question, at each temperature to try.
        order: int[q], the order in which questions are distributed over folds. It is a hash, because the order in which
            they were sent may have a meaning.
        null_logits: float64[q], the logits of the current null key at the collection's temperature; −∞ for none. A
            scalar applies to all.
        stored: the collection's calibration at that temperature; None if it has none.
        previous: the collection's settings before it was calibrated; None if it is not calibrated.
        off_topic: made off-topic questions, of which the calibration refuses all but one; None without any.
    """
    folds = assign_folds(order, profiles.present)
    validation = CrossValidation.run(profiles, folds, COVERAGE, off_topic)
    plain, words = fit_all(profiles, validation, off_topic)
    served = Outcomes.current(profiles, null_logits, COVERAGE, stored)
    return Evaluation(
        plain,
        words,
        Metrics.of(served, _find_refused(off_topic, stored)),
        Metrics.of(validation.plain, validation.refused[0]),
        None if words is None else Metrics.of(validation.words, validation.refused[1]),
        Gain.between(served, validation.plain),
        None if previous is None else Gain.between(previous_outcomes(profiles, previous), validation.plain),
    )


class RerankEvaluation(NamedTuple):
    """The result of an evaluation of a reranker; both are None if it does not gain.

    Attributes:
        fit: the fit with the reranker, whose index of λ is that of the reranker's weight.
        after: its metrics on held-out questions.
    """

    fit: Fit | None
    after: Metrics | None


def evaluate_reranked(profiles: Profiles, order: Array, off_topic: OffTopic | None = None) -> RerankEvaluation:
    """Fit a reranker's weight as λ is fitted, and measure on held-out questions whether it gains.

    Args:
        profiles: tables of the reranked weights, at one temperature, with a reranker's weights in place of λ.
        order: int[q], the order in which questions are distributed over folds.
        off_topic: made off-topic questions, in the same way; None without any.
    """
    validation = CrossValidation.run(profiles, assign_folds(order, profiles.present), COVERAGE, off_topic)
    _, fit = fit_all(profiles, validation, off_topic)
    return RerankEvaluation(fit, None if fit is None else Metrics.of(validation.words, validation.refused[1]))
