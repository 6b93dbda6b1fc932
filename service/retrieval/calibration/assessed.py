"""A calibration of labelled questions, and what it gains: of each question it is judged without having seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.retrieval.calibration.figures import Figure, Figures, gain
from service.retrieval.calibration.fitted import Fit, Held, Outcomes, fitted_fits, folds_of
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
        gained: by how much the log-loss fell without words, question by question.
    """

    plain: Fit
    words: Fit | None
    before: Figures
    after: Figures
    after_words: Figures | None
    gained: Figure

    @property
    def gains(self) -> bool:
        """Whether the log-loss fell by more than the standard error of that."""
        value, error = self.gained
        return value is not None and error is not None and value > error


def assess(profiles: Profiles, order: Array, null_logit: float) -> Assessed:
    """Fit to labelled questions.

    Args:
        profiles: of the questions.
        order: int[q], in which they are dealt out to folds: not their own, which may mean something.
        null_logit: of the null key as served, at the collection's own temperature; −∞ for none.
    """
    held = Held.out(profiles, folds_of(order, profiles.present), PROMISE)
    plain, words = fitted_fits(profiles, held)
    served = Outcomes.served(profiles, null_logit, PROMISE)
    return Assessed(
        plain,
        words,
        Figures.of(served),
        Figures.of(held.plain),
        None if words is None else Figures.of(held.words),
        gain(served, held.plain),
    )
