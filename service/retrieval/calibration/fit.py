"""Fits to labelled questions: a temperature, and for each λ a null level, a confidence curve and thresholds.
 Temperature, null level and λ maximise the likelihood of "the right document, or none of these". Z is the partition of
the documents and R the share of the right ones. The null key weighs as much as n keys of similarity c: N = n·exp(c/T).
A question with an answer has the likelihood R/(Z + N), one without an answer N/(Z + N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.lookup import HALF
from service.retrieval.calibration.confidence import FULL_CURVE_LABELS, Curve, fit_thresholds, weight_logits
from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

TEMPERATURE_DEVIATION = 0.7
"""How far the fitted ln T is expected from the collection's own, as a deviation: weighs less than a question or two."""

NULL_DEVIATION = 5.0
"""How far the null key's logit is expected from that of the documents, as a deviation."""

_BISECTIONS = 60


@dataclass(frozen=True)
class FittedNull:
    """A null key fitted at one cell of the tables.

    Attributes:
        cell: of λ and T.
        log_count: ln N, in the unit of the log-partitions.
        likelihood: the logarithm of what all labels have, with what was expected beforehand.
    """

    cell: tuple[int, int]
    log_count: float
    likelihood: float

    def level(self, profiles: Profiles) -> float:
        """c, a similarity: n keys of it weigh as the null key does."""
        temperature = float(profiles.temperatures[self.cell[1]])
        return temperature * (self.log_count - math.log(max(profiles.keys, 2)))


def fit_null(profiles: Profiles, cell: tuple[int, int]) -> FittedNull:
    """The best null key where λ and T are given: the likelihood is concave in ln N, so its slope has one root."""
    partitions, absent = profiles.log_partition[:, *cell], np.count_nonzero(~profiles.present)
    middle = float(np.median(partitions))
    low, high = middle - 40.0, middle + 40.0
    for _ in range(_BISECTIONS):
        tried = (low + high) / 2
        slope = absent - _sigmoid(tried - partitions).sum() - (tried - middle) / NULL_DEVIATION**2
        low, high = (tried, high) if slope > 0 else (low, tried)
    log_count = (low + high) / 2
    likelihood = float(log_likelihoods(profiles, cell, log_count).sum()) - (log_count - middle) ** 2 / (
        2 * NULL_DEVIATION**2
    )
    return FittedNull(cell, log_count, likelihood)


def fit_temperature(profiles: Profiles) -> int:
    """The temperature, by its place, at which the labels are likeliest without words."""
    shift = np.log(profiles.temperatures / profiles.temperatures[profiles.served]) / TEMPERATURE_DEVIATION
    found = [fit_null(profiles, (0, t)).likelihood for t in range(len(shift))]
    return int(np.argmax(np.array(found) - shift**2 / 2))


def fit_full_text(profiles: Profiles, temperature: int) -> int:
    """λ, by its place, at which the labels are likeliest at a temperature."""
    found = [fit_null(profiles, (i, temperature)).likelihood for i in range(len(profiles.words))]
    return int(np.argmax(found))


def log_likelihoods(profiles: Profiles, cell: tuple[int, int], log_count: float | Array) -> Array:
    """float64[q]: of each question's label."""
    whole = np.logaddexp(profiles.log_partition[:, *cell], log_count)
    return np.asarray(np.where(profiles.present, profiles.right[:, *cell], log_count) - whole)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


LOG_HALF = float(np.log(HALF))


@dataclass(frozen=True)
class Variant:
    """What was fitted at one λ and T.

    Attributes:
        level: c; the null key weighs as much as n keys of this similarity.
        curve: from the weight of the best document, and the documents' lead, to the confidence that it is right.
        thresholds: by promise, the least logarithm of a weight of the set; the null key left out of both.
    """

    level: float
    curve: Curve
    thresholds: dict[float, float]


@dataclass(frozen=True)
class Fit:
    """A variant, and the cell of λ and T that it is of.

    Attributes:
        log_count: of the null key, in the unit of the log-partitions.
    """

    cell: tuple[int, int]
    variant: Variant
    log_count: float | Array

    @classmethod
    def of(cls, profiles: Profiles, cell: tuple[int, int], few: bool) -> Fit:
        """Fitted to all labels at a cell; of `few` labels the curve has two parameters."""
        null = fit_null(profiles, cell)
        best, partition = profiles.best[:, *cell], profiles.log_partition[:, *cell]
        right = (profiles.best_right[:, *cell] - partition)[profiles.present]
        logits, first = weight_logits(best, partition), profiles.rank[:, *cell] == 1
        curve = Curve.of_few(logits, first) if few else Curve.fitted(logits, partition - null.log_count, first)
        return cls(cell, Variant(null.level(profiles), curve, fit_thresholds(right)), null.log_count)

    def held(self, profiles: Profiles, promise: float) -> Outcomes:
        """What it says of questions that it was not fitted to."""
        best, partition = profiles.best[:, *self.cell], profiles.log_partition[:, *self.cell]
        threshold = self.variant.thresholds.get(promise, np.nan)
        return Outcomes(
            present=profiles.present,
            confidence=self.variant.curve(weight_logits(best, partition), partition - self.log_count),
            right=profiles.rank[:, *self.cell] == 1,
            reciprocal=1 / profiles.rank[:, *self.cell],
            one=best - np.logaddexp(partition, self.log_count) > LOG_HALF,
            covered=_covered(profiles.best_right[:, *self.cell] - partition, threshold),
            likelihood=log_likelihoods(profiles, self.cell, self.log_count),
        )


@dataclass(frozen=True)
class Outcomes:
    """Of q questions what was said, and whether it was so.

    Attributes:
        present: bool[q], whether it has an answer.
        confidence: float64[q], that the first match is right.
        right: bool[q], whether it is.
        reciprocal: float64[q], 1 / the rank of the right one; 0 where there is none.
        one: bool[q], the verdict: the first match has more than half of all weight.
        covered: float64[q], 1 where the right one is in the set with a promise, else 0; NaN where there is no set.
        likelihood: float64[q], the logarithm of what the label has.
    """

    present: Array
    confidence: Array
    right: Array
    reciprocal: Array
    one: Array
    covered: Array
    likelihood: Array

    @classmethod
    def served(
        cls, profiles: Profiles, null_logits: float | Array, promise: float, kept: Variant | None = None
    ) -> Outcomes:
        """What the collection says as it is.

        Args:
            null_logits: float64[q], of its null key at its temperature; −∞ for none. One number is that of all.
            promise: the `top_p` that stands for the set.
            kept: what it is calibrated to at that temperature, if it is: then confidence and set are that one's.
        """
        cell = (0, profiles.served)
        if kept is not None:
            return Fit(cell, kept, null_logits).held(profiles, promise)
        whole = np.logaddexp(profiles.log_partition[:, *cell], null_logits)
        return cls(
            present=profiles.present,
            confidence=np.exp(np.minimum(profiles.best[:, *cell] - whole, 0.0)),
            right=profiles.rank[:, *cell] == 1,
            reciprocal=1 / profiles.rank[:, *cell],
            one=profiles.best[:, *cell] - whole > LOG_HALF,
            covered=(profiles.present & (profiles.ahead < promise)).astype(np.float64),
            likelihood=np.where(profiles.present, profiles.right[:, *cell], null_logits) - whole,
        )

    @classmethod
    def together(cls, parts: list[tuple[Array, Outcomes]], q: int) -> Outcomes:
        """Those of q questions, from folds: where each one's stand, and they."""
        whole = {name: np.empty(q, dtype=column.dtype) for name, column in vars(parts[0][1]).items()}
        for places, part in parts:
            for name, column in vars(part).items():
                whole[name][places] = column
        return cls(**whole)


FOLDS = 5


def assign_folds(order: Array, present: Array) -> Array:
    """int64[q]: which of five folds each question is held out in; both kinds are spread evenly, in a fixed order."""
    folds = np.empty(len(order), dtype=np.int64)
    for kind in (present, ~present):
        places = np.flatnonzero(kind)
        folds[places[np.argsort(order[places], kind="stable")]] = np.arange(len(places)) % FOLDS
    return folds


@dataclass(frozen=True)
class CrossValidation:
    """What was said of each question by a fit without it; `words` where λ was chosen by the others, too."""

    plain: Outcomes
    words: Outcomes

    @classmethod
    def out(cls, profiles: Profiles, folds: Array, promise: float) -> CrossValidation:
        """Each fold by a fit to the others."""
        plain, words = list[tuple[Array, Outcomes]](), list[tuple[Array, Outcomes]]()
        few = len(folds) < FULL_CURVE_LABELS
        for fold in range(FOLDS):
            others, held = profiles.of(folds != fold), np.flatnonzero(folds == fold)
            temperature = fit_temperature(others)
            share = fit_full_text(others, temperature)
            fits = [Fit.of(others, (0, temperature), few)]
            fits += [Fit.of(others, (share, temperature), few)] if share else fits
            for fit, parts in zip(fits, (plain, words), strict=True):
                parts.append((held, fit.held(profiles.of(held), promise)))
        return cls(Outcomes.together(plain, len(folds)), Outcomes.together(words, len(folds)))

    @property
    def words_gain(self) -> bool:
        """Whether words make the labels likelier by more than the standard error of that, and rank better.

        Where they rank alike the labels are to be likelier by twice that.
        """
        gain = self.words.likelihood - self.plain.likelihood
        ranks = (self.words.reciprocal - self.plain.reciprocal)[self.plain.present].mean()
        return bool(ranks >= 0 and gain.mean() > (1 if ranks > 0 else 2) * standard_error(gain))


def _covered(log_weights: Array, threshold: float) -> Array:
    return np.where(log_weights >= threshold, 1.0, 0.0) if np.isfinite(threshold) else np.full(len(log_weights), np.nan)


def standard_error(values: Array) -> float:
    """Of the mean of values float64[q]."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def fit_all(profiles: Profiles, held: CrossValidation) -> tuple[Fit, Fit | None]:
    """Fitted to all labels: without words, and with them where they gain."""
    temperature = fit_temperature(profiles)
    share = fit_full_text(profiles, temperature) if held.words_gain else 0
    few = len(profiles.present) < FULL_CURVE_LABELS
    return Fit.of(profiles, (0, temperature), few), Fit.of(profiles, (share, temperature), few) if share else None
