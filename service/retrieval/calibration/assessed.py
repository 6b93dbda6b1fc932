"""A calibration of labelled questions, and what it gains: of each question it is judged without having seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.retrieval.calibration.figures import Metric, Metrics, label_losses, log_losses
from service.retrieval.calibration.fitted import CrossValidation, Fit, Outcomes, Variant, assign_folds, fit_all
from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

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
