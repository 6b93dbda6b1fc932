"""When to answer: the null weight from which the verdict is "none", and confidences that keep a promised error.

A bound on wrong answers holds for 19 of 20 calibrations, whatever the distribution of the questions is, if later
questions are like the labelled ones. It is a test on the labelled questions, whose confidences come from fits to other
questions.

- Of all questions, at most a share may get a wrong answer. This risk falls as the required confidence rises, so its
  binomial bound holds at the confidence that the labels choose (Bates et al. 2021).
- Of the answers, at most a share may be wrong. This risk does not always fall. So growing sets of the most confident
  answers are tested in order, up to the first that fails. One wrong answer among the most confident would end that
  early. So with enough labels there are several such sequences, which begin at the smallest set, at all answers, at
  half of them and so on (fixed sequences with several starts, Angelopoulos et al. 2021). The first has half of the
  doubt; the others share the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from softkv_attention.lookup import HALF

Array = np.ndarray[Any, Any]

KEPT = 0.95
"""The share of the questions with an answer that do not get the verdict "none"."""

ERRORS = (0.01, 0.02, 0.05, 0.1, 0.2)
DOUBT = 0.05
"""The probability that the labelled questions give a bound that does not hold."""

_BISECTIONS = 40

GROWTH = 1.2
"""The factor between the sizes of the tested sets of answers."""

Of = Literal["answers", "questions"]


@dataclass(frozen=True)
class ErrorBound:
    """A confidence that keeps a promised share of wrong answers.

    Attributes:
        error: the largest share that is wrong.
        of: whether it is a share of the answers, or of all questions.
        min_confidence: the first match needs at least this confidence.
        answered: the share of the labelled questions that have it.
    """

    error: float
    of: Of
    min_confidence: float
    answered: float


def fit_none_from(leads: Array) -> float:
    """Return the null weight from which the verdict is "none", at least ½.

    It is a quantile at the rank of split conformal prediction (Vovk, Gammerman, Shafer 2005): a later question with an
    answer has less null weight with probability KEPT.

    Args:
        leads: float64[q], the logit of the documents' weight against the null key, of the questions with an answer.
    """
    rank = math.floor(round((len(leads) + 1) * (1 - KEPT), 6))
    return HALF if rank < 1 else lead_to_null_weight(float(np.sort(leads)[rank - 1]))


def lead_to_null_weight(lead: float) -> float:
    """Return the null weight of the logit of the documents' weight against the null key; at least ½."""
    return 0.5 * (1 + math.tanh(max(-lead, 0.0) / 2))


def fit_error_bounds(confidence: Array, right: Array) -> tuple[ErrorBound, ...]:
    """Return the bounds that the labelled questions can give; the errors that need more labels are left out.

    Args:
        confidence: float64[q], of the first match, from a fit to other questions.
        right: bool[q], whether the first match is right.
    """
    bounds = list[ErrorBound]()
    for error in ERRORS:
        for of, choose in (("answers", _bound_answers), ("questions", _bound_questions)):
            least = choose(confidence, right, error)
            if least is not None:
                bounds.append(ErrorBound(error, of, least, float(np.mean(confidence >= least))))  # type: ignore[arg-type]
    return tuple(bounds)


def _bound_questions(confidence: Array, right: Array, error: float) -> float | None:
    """Return the least confidence at which few enough of all questions get a wrong answer; None with too few labels."""
    allowed = -1
    while allowed + 1 < len(right) and log_binomial(allowed + 1, len(right), error) <= math.log(DOUBT):
        allowed += 1
    if allowed < 0:
        return None
    wrong = np.sort(confidence[~right])[::-1]
    return math.nextafter(float(wrong[allowed]), 2.0) if len(wrong) > allowed else 0.0


def _bound_answers(confidence: Array, right: Array, error: float) -> float | None:
    """Return the least confidence at which few enough of the answers are wrong; None with too few labels."""
    order = np.argsort(-confidence, kind="stable")
    wrong, largest = np.cumsum(~right[order]), 0
    for size, doubt in _starts(len(right), error):
        while log_binomial(int(wrong[size - 1]), size, error) <= math.log(doubt):
            largest = max(largest, size)
            if size == len(right):
                return 0.0
            size = min(math.ceil(GROWTH * size), len(right))
    return float(confidence[order[largest - 1]]) if largest else None


def _starts(n: int, error: float) -> list[tuple[int, float]]:
    """Return the sizes of the sets of answers at which sequences of tests begin, and the doubt of each sequence.

    The first begins at the smallest set that passes without a wrong answer. The others begin at n, n/2, n/4 and so on,
    while these are at least twice that size. Empty if even n answers would not pass.
    """
    alone, beside_others = (math.ceil(math.log(doubt) / math.log1p(-error)) for doubt in (DOUBT, DOUBT / 2))
    sizes = list[int]()
    while n >> len(sizes) >= 2 * beside_others:
        sizes.append(n >> len(sizes))
    if not sizes:
        return [(alone, DOUBT)] if n >= alone else []
    return [(beside_others, DOUBT / 2), *((size, DOUBT / 2 / len(sizes)) for size in sizes)]


def log_binomial(wrong: int, n: int, error: float) -> float:
    """Return the logarithm of the probability of at most `wrong` errors among n, each with probability `error`."""
    counts = np.arange(wrong + 1)
    steps = np.log(n - counts[:-1]) - np.log(counts[1:])  # of neighbouring binomial coefficients
    logs = np.concatenate([[0.0], np.cumsum(steps)]) + counts * math.log(error) + (n - counts) * math.log1p(-error)
    return float(np.logaddexp.reduce(logs))


def binomial_range(wrong: int, n: int) -> tuple[float, float]:
    """Return a range of the probability of an error, after `wrong` errors among n; it is outside 1 time of 10.

    Clopper and Pearson (1934), by bisection.
    """
    low = _find_error(wrong - 1, n, math.log1p(-DOUBT)) if wrong else 0.0
    return low, _find_error(wrong, n, math.log(DOUBT)) if wrong < n else 1.0


def _find_error(wrong: int, n: int, log_share: float) -> float:
    """Return the probability of an error at which at most `wrong` among n have this log-probability."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if log_binomial(wrong, n, middle) > log_share else (low, middle)
    return (low + high) / 2
