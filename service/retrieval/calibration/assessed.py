"""A calibration of labelled questions, and what it gains: of each question it is judged without having seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.retrieval.calibration.figures import Figure, Figures, label_losses, log_losses
from service.retrieval.calibration.fitted import Fit, Held, Outcomes, Variant, fitted_fits, folds_of
from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

PROMISE = 0.9
"""Of the sets whose coverage is told."""


@dataclass(frozen=True)
class Assessed:
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
    before: Figures
    after: Figures
    after_words: Figures | None
    gained: Figure
    surer: Figure

    @property
    def gains(self) -> bool:
        """Whether labels became likelier by more than the standard error of that, whatever confidences became.

        Or confidences better by more than theirs, and labels not less likely by more than twice theirs: by once they
        are, of chance alone, one time in six.
        """
        (gained, error), (surer, doubt) = self.gained.known, self.surer.known
        return gained > error or (surer > doubt and gained > -2 * error)


def assess(profiles: Profiles, order: Array, null_logits: float | Array, kept: Variant | None = None) -> Assessed:
    """Fit to labelled questions.

    Args:
        profiles: of the questions.
        order: int[q], in which they are dealt out to folds: not their own, which may mean something.
        null_logits: float64[q], of the null key as served, at the collection's own temperature; −∞ for none. One
            number is that of all.
        kept: what the collection is calibrated to already, at that temperature; None where it is not.
    """
    held = Held.out(profiles, folds_of(order, profiles.present), PROMISE)
    plain, words = fitted_fits(profiles, held)
    served = Outcomes.served(profiles, null_logits, PROMISE, kept)
    return Assessed(
        plain,
        words,
        Figures.of(served),
        Figures.of(held.plain),
        None if words is None else Figures.of(held.words),
        Figure.mean(label_losses(served) - label_losses(held.plain)),
        Figure.mean(log_losses(served) - log_losses(held.plain)),
    )
