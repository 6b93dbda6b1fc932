"""A fit to synthetic questions, which are made of a collection's own keys: for the time before labels.

They show whether the weights are better probabilities at a lower temperature, and how much documents resemble each
other. They use the words of the documents, as people's questions often do not. So they never raise the temperature, and
the null key stays as it is. The curve starts from one that was fitted to people's
sentences in other collections (the sets `debian`, `python` and `unicode` of `benchmarks.abstention`, with two
encoders). All synthetic questions together count as a few labels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.retrieval.calibration.confidence import Curve, CurvePrior, weight_logits
from service.retrieval.calibration.evaluation import (
    COVERAGE,
    LEAST_LOG,
    Evaluation,
    Gain,
    Metric,
    Metrics,
    PreviousWeighting,
    previous_outcomes,
)
from service.retrieval.calibration.fit import (
    FOLDS,
    Fit,
    Outcomes,
    Variant,
    assign_folds,
    fit_temperature,
    log_likelihoods,
)
from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

USUAL_CURVE = CurvePrior((0.81, 0.61, 1.05, 0.14, -0.58), (0.5, 0.5, 0.5, 0.5, 1.0))
"""The curve of people's questions, and how much it differs between collections."""

SYNTHETIC_LABELS = 40
"""The number of labels that all synthetic questions together count for."""


def fit_itself(profiles: Profiles, log_counts: Array, nulls: Array) -> Fit:
    """Fit a calibration to synthetic questions. It has no conformal sets, because people's questions differ from them.

    Args:
        profiles: the profiles of the questions.
        log_counts: float64[T], at each temperature the log weight of the null key `auto`, from which the curve starts.
        nulls: float64[q, T], the same beside each question, as it is asked.
    """
    cell = (0, _choose_temperature(profiles, nulls))
    log_count = float(log_counts[cell[1]])
    best, partition = profiles.best[:, *cell], profiles.log_partition[:, *cell]
    leads = partition - log_count
    share = math.sqrt(min(1.0, SYNTHETIC_LABELS / len(leads)))  # a narrower prior, not a weight for each question
    prior = CurvePrior(USUAL_CURVE.mean, tuple(share * deviation for deviation in USUAL_CURVE.deviation))
    curve = Curve.fit(weight_logits(best, partition), leads, profiles.rank[:, *cell] == 1, prior)
    temperature = float(profiles.temperatures[cell[1]])
    level = temperature * (log_count - math.log(max(profiles.keys, 2)))
    return Fit(cell, Variant(level, curve, {}), log_count)


def _choose_temperature(profiles: Profiles, nulls: Array) -> int:
    """Return the index of the temperature: the collection's own, or the lower one that synthetic questions want.

    The own one stays unless the label loss falls by more than its standard error, beside the null key `auto`.
    """
    current = profiles.own_index
    fitted = min(fit_temperature(profiles), current)
    losses = [-np.maximum(log_likelihoods(profiles, (0, t), nulls[:, t]), LEAST_LOG) for t in (current, fitted)]
    gained, error = Metric.mean(losses[0] - losses[1]).pair
    return fitted if gained > error else current


def evaluate_itself(
    profiles: Profiles,
    order: Array,
    log_counts: Array,
    nulls: Array,
    null_logits: float | Array,
    stored: Variant | None = None,
    previous: PreviousWeighting | None = None,
) -> Evaluation:
    """Fit a calibration to synthetic questions, and measure on held-out ones how much it improves on the collection.

    Args:
        profiles: the profiles of the questions.
        order: int[q], the order in which questions are distributed over folds.
        log_counts: float64[T], at each temperature the log weight of the null key `auto`, from which the curve starts.
        nulls: float64[q, T], the same beside each question, as it is asked.
        null_logits: float64[q], the logits of the current null key at the collection's temperature.
        stored: the collection's calibration at that temperature; None if it has none.
        previous: the collection's settings before it was calibrated; None if it is not calibrated.
    """
    folds, parts = assign_folds(order, profiles.present), list[tuple[Array, Outcomes]]()
    for fold in range(FOLDS):
        held_out = np.flatnonzero(folds == fold)
        fit = fit_itself(profiles.of(folds != fold), log_counts, nulls[folds != fold])
        of_questions = nulls[held_out, fit.cell[1]]
        parts.append((held_out, fit.predict(profiles.of(held_out), COVERAGE, of_questions)))
    after = Outcomes.join(parts, len(folds))
    served = Outcomes.current(profiles, null_logits, COVERAGE, stored)
    return Evaluation(
        fit_itself(profiles, log_counts, nulls),
        None,
        Metrics.of(served),
        Metrics.of(after),
        None,
        Gain.between(served, after, previous is None, synthetic=True),
        None if previous is None else Gain.between(previous_outcomes(profiles, previous), after, True, synthetic=True),
    )
