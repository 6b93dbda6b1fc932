"""Fits to labelled questions: a temperature, and for each λ a null level and a confidence curve.
 Temperature, null level and λ maximise the likelihood of "the right document, or none of these". Z is the partition of
the documents and R the share of the right ones. The null key weighs as much as n keys of similarity c: N = n·exp(c/T).
A question with an answer has the likelihood R/(Z + N), one without an answer N/(Z + N). Made off-topic questions keep N
from being so small that they pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softkv_attention.lookup import HALF, Background
from softkv_service.retrieval.calibration.abstention import (
    ErrorBound,
    fit_error_bounds,
    fit_none_from,
    lead_to_null_weight,
)
from softkv_service.retrieval.calibration.confidence import Curve, weight_logits
from softkv_service.retrieval.calibration.off_topic import OffTopic
from softkv_service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

TEMPERATURE_DEVIATION = 0.7
"""The standard deviation of the prior of ln T around the collection's own: it weighs less than one or two questions."""

NULL_DEVIATION = 5.0
"""The standard deviation of the prior of the null key's logit around that of the documents."""


def null_logit(null: float | Background | None, temperature: float, keys: int) -> float:
    """Return the logit of a null key ("none of these"); −∞ without one.

    Args:
        null: its similarity, or the background (similarities of unrelated texts) from which one follows; None without a
            null key.
        temperature: above 0.
        keys: the number of keys that queries attend to.
    """
    if null is None:
        return -math.inf
    if isinstance(null, Background):
        return null.null_key(temperature, keys).logit(0.0, temperature)
    return null / temperature


_BISECTIONS = 60


@dataclass(frozen=True)
class FittedNull:
    """A null key ("none of these") that was fitted for one λ (weight of full text) and one temperature T.

    Attributes:
        cell: the indices of λ and T in the tables of the profiles.
        log_count: ln N, the log weight of the null key, in the unit of the log-partitions.
        likelihood: the log-likelihood of all labels, with the prior.
    """

    cell: tuple[int, int]
    log_count: float
    likelihood: float

    def level(self, profiles: Profiles) -> float:
        """Return the similarity c of the null key: n keys of similarity c weigh as much as the null key.

        Args:
            profiles: the profiles to which it was fitted, which also have n.
        """
        temperature = float(profiles.temperatures[self.cell[1]])
        return temperature * (self.log_count - math.log(max(profiles.keys, 2)))


def fit_null(profiles: Profiles, cell: tuple[int, int], off_topic: OffTopic | None = None) -> FittedNull:
    """Fit the null key to labelled questions, for fixed λ (weight of full text) and temperature T.

    Args:
        profiles: the profiles of the questions.
        cell: the indices of λ and T in the profiles.
        off_topic: made off-topic questions, which the null key outweighs but for one; None without any.
    """
    (null,) = _fit_nulls(profiles, [cell], off_topic)
    return null


def _fit_nulls(profiles: Profiles, cells: Sequence[tuple[int, int]], off_topic: OffTopic | None) -> list[FittedNull]:
    """Fit a null key to labelled questions for each cell, all at once.

    The likelihood is concave in ln N, the null key's log weight, so the function bisects its slope. If that N is too
    small for the off-topic questions, the least one that is not is the best.
    """
    partitions = np.stack([profiles.log_partition[:, *cell] for cell in cells])
    middles, absent = np.median(partitions, axis=1), np.count_nonzero(~profiles.present)
    low, high = middles - 40.0, middles + 40.0
    for _ in range(_BISECTIONS):
        points = (low + high) / 2
        slopes = absent - _sigmoid(points[:, None] - partitions).sum(axis=1) - (points - middles) / NULL_DEVIATION**2
        low, high = np.where(slopes > 0, points, low), np.where(slopes > 0, high, points)
    log_counts, nulls = (low + high) / 2, list[FittedNull]()
    if off_topic is not None:
        log_counts = np.maximum(log_counts, [off_topic.least_log_count(cell) for cell in cells])
    for cell, log_count, middle in zip(cells, log_counts.tolist(), middles.tolist(), strict=True):
        likelihood = float(log_likelihoods(profiles, cell, log_count).sum())
        nulls.append(FittedNull(cell, log_count, likelihood - (log_count - middle) ** 2 / (2 * NULL_DEVIATION**2)))
    return nulls


def fit_temperature(profiles: Profiles, off_topic: OffTopic | None = None) -> int:
    """Return the index of the temperature that gives the labels the greatest likelihood, without full text.

    Args:
        profiles: the profiles of the labelled questions.
        off_topic: made off-topic questions, which limit the null key; None without any.
    """
    shift = np.log(profiles.temperatures / profiles.temperatures[profiles.own_index]) / TEMPERATURE_DEVIATION
    nulls = _fit_nulls(profiles, [(0, t) for t in range(len(shift))], off_topic)
    return int(np.argmax(np.array([null.likelihood for null in nulls]) - shift**2 / 2))


def fit_full_text(profiles: Profiles, temperature: int, off_topic: OffTopic | None = None) -> int:
    """Return the index of the λ (weight of full text) that gives the labels the greatest likelihood.

    Args:
        profiles: the profiles of the labelled questions.
        temperature: the index of the temperature.
        off_topic: made off-topic questions, which limit the null key; None without any.
    """
    nulls = _fit_nulls(profiles, [(i, temperature) for i in range(len(profiles.words))], off_topic)
    return int(np.argmax([null.likelihood for null in nulls]))


def log_likelihoods(profiles: Profiles, cell: tuple[int, int], log_count: float | Array) -> Array:
    """Return float64[q], the log-likelihood of each question's label: the right documents, or "none of these".

    Args:
        profiles: the profiles of the labelled questions.
        cell: the indices of λ (weight of full text) and temperature in the profiles.
        log_count: the log weight of the null key.
    """
    log_total = np.logaddexp(profiles.log_partition[:, *cell], log_count)
    return np.asarray(np.where(profiles.present, profiles.right[:, *cell], log_count) - log_total)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


LOG_HALF = float(np.log(HALF))


@dataclass(frozen=True)
class Variant:
    """The parameters of a calibration that were fitted for one λ (weight of full text) and one temperature T.

    Attributes:
        level: c; the null key weighs as much as n keys of this similarity.
        curve: returns the confidence that the best document is right, from its weight and from the documents' lead.
        none_from: the weight of this null key from which the verdict is "none".
        bounds: confidences that keep a promised error.
    """

    level: float
    curve: Curve
    none_from: float = HALF
    bounds: tuple[ErrorBound, ...] = ()


@dataclass(frozen=True)
class Fit:
    """A variant (the parameters of a calibration), and the λ and temperature for which it was fitted.

    Attributes:
        cell: the indices of λ (weight of full text) and of the temperature in the profiles.
        variant: the fitted parameters.
        log_count: the log weight of the null key, in the unit of the log-partitions.
    """

    cell: tuple[int, int]
    variant: Variant
    log_count: float | Array

    @classmethod
    def of(
        cls,
        profiles: Profiles,
        cell: tuple[int, int],
        off_topic: OffTopic | None = None,
        *,
        keeps_null: bool = False,
    ) -> Fit:
        """Fit a variant to all labelled questions of some profiles.

        Args:
            profiles: the profiles of the questions.
            cell: the indices of λ (weight of full text) and of the temperature in the profiles.
            off_topic: made off-topic questions, which have the verdict "none" but for one; None without any.
            keeps_null: whether the collection keeps its null key, beside which "none" begins at ½.
        """
        null = fit_null(profiles, cell, off_topic)
        best, partition = profiles.best[:, *cell], profiles.log_partition[:, *cell]
        logits, leads, first = weight_logits(best, partition), partition - null.log_count, profiles.rank[:, *cell] == 1
        curve = Curve.fit(logits, leads, first, profiles.score[:, *cell])
        none_from = HALF if keeps_null else fit_none_from(leads[profiles.present])
        if off_topic is not None:
            none_from = min(none_from, lead_to_null_weight(off_topic.least_log_count(cell) - null.log_count))
        return cls(cell, Variant(null.level(profiles), curve, none_from), null.log_count)

    def with_bounds(self, held_out: Outcomes) -> Fit:
        """Return this fit with the confidences that keep a promised error on held-out questions."""
        bounds = fit_error_bounds(held_out.confidence, held_out.right)
        return replace(self, variant=replace(self.variant, bounds=bounds))

    def predict(self, profiles: Profiles, nulls: float | Array | None = None) -> Outcomes:
        """Return the outcomes that this fit predicts for questions to which it was not fitted.

        Args:
            profiles: the profiles of these questions.
            nulls: float64[q], the log weight of the null key beside each question; None if it is the fitted one.
        """
        nulls = self.log_count if nulls is None else nulls
        best, partition = profiles.best[:, *self.cell], profiles.log_partition[:, *self.cell]
        return Outcomes(
            present=profiles.present,
            confidence=self.variant.curve(
                weight_logits(best, partition), partition - self.log_count, profiles.score[:, *self.cell]
            ),
            right=profiles.rank[:, *self.cell] == 1,
            reciprocal=1 / profiles.rank[:, *self.cell],
            one=best - np.logaddexp(partition, nulls) > LOG_HALF,
            none=np.exp(nulls - np.logaddexp(partition, nulls)) >= self.variant.none_from,
            likelihood=log_likelihoods(profiles, self.cell, nulls),
        )


@dataclass(frozen=True)
class Outcomes:
    """Predictions for q labelled questions, and whether they came true.

    Attributes:
        present: bool[q], whether the question has an answer.
        confidence: float64[q], the predicted probability that the first match is right.
        right: bool[q], whether the first match is right.
        reciprocal: float64[q], 1 / the rank of the right document; 0 without one.
        one: bool[q], whether the first match has more than half of all weight, which is the verdict "one".
        none: bool[q], whether the null key has enough weight for the verdict "none".
        likelihood: float64[q], the log weight of the label: the right documents, or "none of these".
    """

    present: Array
    confidence: Array
    right: Array
    reciprocal: Array
    one: Array
    none: Array
    likelihood: Array

    @classmethod
    def current(
        cls,
        profiles: Profiles,
        null_logits: float | Array,
        stored: Variant | None = None,
    ) -> Outcomes:
        """Return the outcomes of labelled questions under the collection's current settings.

        Args:
            profiles: the profiles of the questions.
            null_logits: float64[q], the logits of the null key at the temperature; −∞ without one. A scalar applies to
                all.
            stored: the collection's calibration at that temperature, which then gives the confidence; None if it has
                none.
        """
        cell = (0, profiles.own_index)
        if stored is not None:
            temperature_of_cell = float(profiles.temperatures[cell[1]])
            log_count = stored.level / temperature_of_cell + math.log(max(profiles.keys, 2))
            return Fit(cell, stored, log_count).predict(profiles, null_logits)
        log_total = np.logaddexp(profiles.log_partition[:, *cell], null_logits)
        return cls(
            present=profiles.present,
            confidence=np.exp(np.minimum(profiles.best[:, *cell] - log_total, 0.0)),
            right=profiles.rank[:, *cell] == 1,
            reciprocal=1 / profiles.rank[:, *cell],
            one=profiles.best[:, *cell] - log_total > LOG_HALF,
            none=null_logits - log_total >= LOG_HALF,
            likelihood=np.where(profiles.present, profiles.right[:, *cell], null_logits) - log_total,
        )

    @classmethod
    def join(cls, parts: list[tuple[Array, Outcomes]], q: int) -> Outcomes:
        """Join the outcomes of all folds of a cross-validation.

        Args:
            parts: for each fold the indices of its questions, and their outcomes.
            q: the number of questions in all folds.
        """
        columns = {name: np.empty(q, dtype=column.dtype) for name, column in vars(parts[0][1]).items()}
        for indices, part in parts:
            for name, column in vars(part).items():
                columns[name][indices] = column
        return cls(**columns)


FOLDS = 5


def assign_folds(groups: Array, present: Array) -> Array:
    """Return int64[q], the fold of each question: its outcome is predicted by a fit to all other folds.

    A group of questions is in one fold. Questions with and without an answer are spread evenly over the folds.

    Args:
        groups: int[q], the group of each question; neighbours are in the same one.
        present: bool[q], whether the question has an answer.
    """
    _, groups = np.unique(groups, return_inverse=True)
    counts = np.stack([np.bincount(groups, ~present), np.bincount(groups, present)], axis=1)
    folds, load = np.empty(len(counts), dtype=np.int64), np.zeros((FOLDS, 2))
    for group in np.argsort(-counts.sum(axis=1), kind="stable"):
        kind = int(counts[group].argmax())
        folds[group] = np.lexsort((load.sum(axis=1), load[:, kind]))[0]
        load[folds[group]] += counts[group]
    return folds[groups]


@dataclass(frozen=True)
class Weighting:
    """The temperature and the null key of a calibration: fitted ones, or those that the collection has.

    Attributes:
        nulls: float64[q], the logits of the collection's own null key beside each question; None to fit a null key and
            a temperature.
        off_topic: made off-topic questions; None without any.
    """

    nulls: Array | None
    off_topic: OffTopic | None

    def fit(self, profiles: Profiles, *, with_words: bool) -> tuple[Fit, Fit | None]:
        """Fit to labelled questions without full text, and at the likeliest λ; the second is None if λ is 0.

        Args:
            profiles: the profiles of the questions.
            with_words: whether to try full text.
        """
        temperature = profiles.own_index if self.nulls is not None else fit_temperature(profiles, self.off_topic)
        share = fit_full_text(profiles, temperature, self.off_topic) if with_words else 0
        plain, *words = (
            Fit.of(profiles, (weight, temperature), self.off_topic, keeps_null=self.nulls is not None)
            for weight in sorted({0, share})
        )
        return plain, words[0] if words else None

    def of(self, questions: Array, strange: Array) -> Weighting:
        """Return the same for some of the labelled and of the made questions."""
        nulls, off_topic = self.nulls, self.off_topic
        return Weighting(None if nulls is None else nulls[questions], off_topic and off_topic.of(strange))


@dataclass(frozen=True)
class CrossValidation:
    """Cross-validation: the outcome of each question, predicted by a fit to the questions of the other folds.

    Attributes:
        plain: the outcomes without full text.
        words: the outcomes with the weight of full text (λ) that the other folds choose.
        refused: bool[2, m], without and with full text: whether made off-topic questions have the verdict "none". They
            do not bound the fit that predicts it.
    """

    plain: Outcomes
    words: Outcomes
    refused: Array

    @classmethod
    def run(cls, profiles: Profiles, folds: Array, weighting: Weighting) -> CrossValidation:
        """For each fold, fit to the questions of all other folds, and predict the outcomes of its own.

        Args:
            profiles: the profiles of all questions.
            folds: int64[q], the fold of each question.
            weighting: whether temperature and null key are fitted.
        """
        plain, words = list[tuple[Array, Outcomes]](), list[tuple[Array, Outcomes]]()
        off_topic = weighting.off_topic
        strange = np.arange(0 if off_topic is None else len(off_topic.served)) % FOLDS
        refused = np.empty((2, len(strange)), dtype=np.bool_)
        for fold in range(FOLDS):
            held_out = np.flatnonzero(folds == fold)
            if not len(held_out):
                continue
            training = weighting.of(folds != fold, strange != fold)
            first, second = training.fit(profiles.of(folds != fold), with_words=True)
            tested = weighting.of(held_out, strange == fold)
            for i, (fit, parts) in enumerate(((first, plain), (second or first, words))):
                parts.append((held_out, fit.predict(profiles.of(held_out), tested.nulls)))
                if tested.off_topic is not None:
                    served = None if tested.nulls is None else tested.off_topic.served
                    refused[i, strange == fold] = fit.predict(tested.off_topic.profiles, served).none
        return cls(Outcomes.join(plain, len(folds)), Outcomes.join(words, len(folds)), refused)

    def fit_all(self, profiles: Profiles, weighting: Weighting) -> tuple[Fit, Fit | None]:
        """Fit to all labels without full text, and with it if that improved the held-out outcomes; else None."""
        plain, words = weighting.fit(profiles, with_words=self.words_gain)
        return plain.with_bounds(self.plain), words and words.with_bounds(self.words)

    @property
    def words_gain(self) -> bool:
        """Whether full text raises the likelihood by more than its standard error, without ranking worse.

        If it ranks equally well, the likelihood has to rise by more than two standard errors.
        """
        gain = self.words.likelihood - self.plain.likelihood
        ranks = (self.words.reciprocal - self.plain.reciprocal)[self.plain.present].mean()
        return bool(ranks >= 0 and gain.mean() > (1 if ranks > 0 else 2) * standard_error(gain))


def standard_error(values: Array) -> float:
    """Return the standard error of the mean of values float64[q]."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
