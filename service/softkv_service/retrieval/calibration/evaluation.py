"""Metrics of a calibration with their standard errors, measured on held-out questions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from softkv_service.retrieval.calibration.abstention import binomial_range
from softkv_service.retrieval.calibration.fit import (
    FOLDS,
    CrossValidation,
    Fit,
    Outcomes,
    Variant,
    Weighting,
    assign_folds,
    standard_error,
)
from softkv_service.retrieval.calibration.off_topic import OffTopic
from softkv_service.retrieval.calibration.profile import Profiles

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


def constant_losses(right: Array, folds: Array) -> Array:
    """Return float64[q] in nats: the log-losses if every confidence is the share that was right in the other folds.

    Args:
        right: bool[q], whether the first match is right.
        folds: int64[q], the fold of each question.
    """
    of_fold, rights = np.bincount(folds, minlength=FOLDS), np.bincount(folds, right, minlength=FOLDS)
    shares = ((right.sum() - rights + 0.5) / (len(right) - of_fold + 1))[folds]
    return np.asarray(-np.log(np.where(right, shares, 1 - shares)))


def label_losses(outcomes: Outcomes) -> Array:
    """Return float64[q] in nats: −ln of the weight of the right document, or of the null key without one."""
    return np.asarray(-np.maximum(outcomes.likelihood, LEAST_LOG))


def _bootstrap_error(confidence: Array, right: Array) -> float:
    random = np.random.default_rng(0)  # a fixed seed, so that equal labels give equal results
    draws = random.integers(len(right), size=(BOOTSTRAP_SAMPLES, len(right)))
    return float(np.std([calibration_error(confidence[draw], right[draw]) for draw in draws], ddof=1))


SURE, MIN_ANSWERS = (0.8, 0.7, 0.6, 0.5), 10
"""A calibration says what its labels bought with the first of these confidences that as many held-out questions have.
"""


MIN_FOUND, MIN_SHARE_FOUND = 3, 0.05
"""Of the questions with an answer, the least number and share whose first match is right; with fewer, the labels are
probably of another collection, and a calibration would say of each answer that it is wrong.
"""


@dataclass(frozen=True)
class Bought:
    """The gain of labels: how many questions like them are answered with a confidence, and how many of them wrongly.

    Attributes:
        confidence: the required confidence; None if too few questions have the least of SURE.
        answered: the share of the held-out questions that have it and are not refused.
        wrong: a range of the share of all questions that get a wrong answer, 9 times of 10.
        largest: the largest confidence that a held-out question has.
    """

    confidence: float | None
    answered: float
    wrong: tuple[float, float]
    largest: float

    @classmethod
    def measure(cls, outcomes: Outcomes) -> Bought:
        """Measure the outcomes of held-out questions."""
        largest = float(outcomes.confidence.max())
        for confidence in SURE:
            answers = (outcomes.confidence >= confidence) & ~outcomes.none
            n, wrong = int(answers.sum()), int((answers & ~outcomes.right).sum())
            if n >= MIN_ANSWERS:
                share, (low, high) = n / len(answers), binomial_range(wrong, n)
                return cls(confidence, share, (share * low, share * high), largest)
        return cls(None, 0.0, (0.0, 0.0), largest)

    @property
    def sentence(self) -> str:
        """The gain in one sentence."""
        if self.confidence is None:
            return (
                f"too few labels, or too few right answers: hardly a confidence above {min(self.largest, SURE[-1]):.2g}"
            )
        low, high = (round(100 * share) for share in self.wrong)
        return (
            f"with min_confidence {self.confidence:g}, of 100 such questions, {100 * self.answered:.0f} are answered, "
            f"{low} to {high} of them wrongly"
        )


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
        """Whether one calibration may replace another: a loss falls by more than its standard error.

        It is the label loss; or the log-loss of the confidences, while the label loss rises by at most two. By chance
        alone a loss rises by more than one standard error in one case of six.
        """
        (gained, error), (surer, doubt) = self.label_loss.pair, self.log_loss.pair
        return gained > error or (surer > doubt and gained > -2 * error)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation: the fits to labelled questions, and the metrics of the collection before and after.

    Attributes:
        plain: the fit without full text.
        words: the fit with full text, at the fitted weight λ; None if full text does not gain.
        keeps_null: whether the collection keeps its temperature and its null key, since others do not gain.
        before: metrics as served: the first match's weight is its confidence.
        after, after_words: metrics of either fit on held-out questions.
        gain: the gain of the fit without full text on the collection as served.
        log_loss, constant: the log-loss of the confidences on held-out questions, and if every confidence is the share
            that was right; with full text if that is the better of the two.
        replaces: whether the collection has a calibration, which this one has to gain on.
        bought: what the labels bought, in the same fit.
        found: of the questions with an answer, how many have it as their first match, and how many there are.
    """

    plain: Fit
    words: Fit | None
    keeps_null: bool
    before: Metrics
    after: Metrics
    after_words: Metrics | None
    gain: Gain
    log_loss: float
    constant: float
    replaces: bool
    bought: Bought
    found: tuple[int, int]

    @property
    def min_right(self) -> int:
        """The least number of questions whose first match is right."""
        return max(MIN_FOUND, math.ceil(MIN_SHARE_FOUND * self.found[1]))

    @property
    def gains(self) -> bool:
        """Whether the calibration may be applied.

        Enough first matches have to be right. One that replaces another has to gain on it. The first has to beat one
        confidence for all, or have weights that gain.
        """
        if self.found[0] < self.min_right:
            return False
        return self.gain.suffices if self.replaces else self.log_loss < self.constant or not self.keeps_null


def _find_refused(off_topic: OffTopic | None, stored: Variant | None) -> Array:
    """Return bool[m], whether made off-topic questions have the verdict "none" as the collection is served."""
    if off_topic is None:
        return NOTHING_REFUSED
    return Outcomes.current(off_topic.profiles, off_topic.served, stored).none


def _both_losses(outcomes: Outcomes) -> Array:
    return label_losses(outcomes) + log_losses(outcomes)


def evaluate(
    profiles: Profiles,
    groups: Array,
    null_logits: Array,
    stored: Variant | None = None,
    off_topic: OffTopic | None = None,
    *,
    may_keep_null: bool = True,
) -> Evaluation:
    """Fit a calibration to labelled questions, and measure on held-out questions how much it improves on the
    collection.

    The curve is fitted to the weights as they are. Another temperature and null key are taken only if the sum of both
    losses falls by more than its standard error.

    Args:
        profiles: tables of the logarithmic weights that matter for each question, at each temperature to try.
        groups: int[q], the group of each question, which is in one fold; neighbours are in the same group.
        null_logits: float64[q], the logits of the current null key at the collection's temperature; −∞ for none.
        stored: the collection's calibration at that temperature; None if it has none.
        off_topic: made off-topic questions, of which a fitted null key refuses all but one; None without any.
        may_keep_null: False if the collection has the null key of `stored`, which this fit replaces.
    """
    folds = assign_folds(groups, profiles.present)
    served = Outcomes.current(profiles, null_logits, stored)
    weighting, other = Weighting(null_logits, off_topic), Weighting(None, off_topic)
    validation, of_other = (CrossValidation.run(profiles, folds, one) for one in (weighting, other))
    fell, error = Metric.mean(_both_losses(validation.plain) - _both_losses(of_other.plain)).pair
    keeps_null = may_keep_null and fell <= error
    if not keeps_null:
        weighting, validation = other, of_other
    plain, words = validation.fit_all(profiles, weighting)
    held_out = [validation.plain] if words is None else [validation.plain, validation.words]
    fits = [(float(log_losses(one).mean()), float(constant_losses(one.right, folds).mean()), one) for one in held_out]
    log_loss, constant, best = min(fits, key=lambda fit: fit[0] - fit[1])
    return Evaluation(
        plain,
        words,
        keeps_null,
        Metrics.of(served, _find_refused(off_topic, stored)),
        Metrics.of(validation.plain, validation.refused[0]),
        None if words is None else Metrics.of(validation.words, validation.refused[1]),
        Gain.between(served, validation.plain),
        log_loss,
        constant,
        stored is not None,
        Bought.measure(best),
        (max(int(one.right.sum()) for one in held_out), int(profiles.present.sum())),
    )


class RerankedEvaluation(NamedTuple):
    """The result of an evaluation of a reranker; all are None if it does not gain.

    Attributes:
        fit: the fit with the reranker, whose index of λ is that of the reranker's weight.
        after: its metrics on held-out questions.
        bought: what the labels bought with it.
    """

    fit: Fit | None = None
    after: Metrics | None = None
    bought: Bought | None = None


def evaluate_reranked(profiles: Profiles, groups: Array, off_topic: OffTopic | None = None) -> RerankedEvaluation:
    """Fit a reranker's weight as λ is fitted, and measure on held-out questions whether it gains.

    What it says of the best document is also one more feature of the curve. If only that gains, because the log-loss
    falls by more than its standard error, its weight is 0. If one weight alone is to try, it need not gain.

    Args:
        profiles: tables of the reranked weights, at one temperature, with a reranker's weights in place of λ.
        groups: int[q], the group of each question.
        off_topic: made off-topic questions, in the same way; None without any.
    """
    weighting, folds = Weighting(None, off_topic), assign_folds(groups, profiles.present)
    validation = CrossValidation.run(profiles, folds, weighting)
    plain, fit = validation.fit_all(profiles, weighting)
    if fit is not None:
        return RerankedEvaluation(
            fit, Metrics.of(validation.words, validation.refused[1]), Bought.measure(validation.words)
        )
    result = RerankedEvaluation(
        plain, Metrics.of(validation.plain, validation.refused[0]), Bought.measure(validation.plain)
    )
    if len(profiles.words) == 1:
        return result
    unread = CrossValidation.run(replace(profiles, score=np.zeros_like(profiles.score)), folds, weighting)
    fell, error = Metric.mean(log_losses(unread.plain) - log_losses(validation.plain)).pair
    return RerankedEvaluation() if fell <= error else result
