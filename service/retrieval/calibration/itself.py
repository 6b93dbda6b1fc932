"""Calibration from the collection itself: questions that are made of its own keys, for the time before labels.

Half of a key's words, or three in a row, are asked; of every other question the document is hidden. Such questions show
three things of a collection: whether its weights are better probabilities at another temperature, how much documents
resemble each other, and how little weight documents have beside a question that belongs here but has no answer. They
are easier than people's questions. So the curve starts from one that was fitted to people's sentences in other
collections (the sets `debian`, `python` and `unicode` of `benchmarks.abstention`, with two encoders), and all made
questions together count as a few labels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xxhash import xxh3_64_intdigest

from service.retrieval.calibration.abstention import lead_to_null_weight
from service.retrieval.calibration.confidence import Curve, CurvePrior, weight_logits
from service.retrieval.calibration.evaluation import (
    COVERAGE,
    LEAST_LOG,
    Evaluation,
    Former,
    Gain,
    Metric,
    Metrics,
    former_outcomes,
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

DOCUMENTS = 512
"""The number of documents of which questions are made, two of each."""

WINDOW_WORDS, ROW_WORDS = 24, 3
"""The most words of a key from which a question is made, and the words of the shorter of its two questions."""

COPY_COSINE = 0.95
"""From this cosine on, two keys are copies: if one answers a question, so does the other."""

USUAL_CURVE = CurvePrior((0.81, 0.61, 1.05, 0.14, -0.58), (0.5, 0.5, 0.5, 0.5, 1.0))
"""The curve of people's questions, and how much it differs between collections."""

MADE_LABELS = 40
"""The number of labels that all made questions together count for."""

HIDDEN_SHARE, MAX_LEAD = 0.05, -0.5
"""The verdict is "none" if documents weigh less than beside this share of the questions whose document is hidden.

The lead is at most this, since a question that a person asks may use other words than the documents.
"""

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class MadeQuestion:
    """A question that is made of a document's key.

    Attributes:
        text: a part of the key.
        id: the document.
        hidden: whether the document is left out when the question is asked, so that it has no answer.
    """

    text: str
    id: str
    hidden: bool


def make_questions(keys: Sequence[tuple[str, str]]) -> list[MadeQuestion]:
    """Return two questions of each document whose key has enough words; different texts, the same every time.

    Args:
        keys: the id and key of each document, in an order that means nothing.
    """
    made = dict[str, MadeQuestion]()
    for i, (identity, key) in enumerate(keys):
        joint = "" if _UNSPACED.search(key) else " "
        words = key.split() if joint else [*"".join(key.split())]
        random = np.random.default_rng(xxh3_64_intdigest(identity.encode()))
        start = int(random.integers(max(1, len(words) - WINDOW_WORDS + 1)))
        window = words[start : start + WINDOW_WORDS]
        half = np.sort(random.permutation(len(window))[: (len(window) + 1) // 2])
        first = int(random.integers(max(1, len(window) - ROW_WORDS + 1)))
        parts = [window[j] for j in half], window[first : first + ROW_WORDS]
        for part, fewest, hidden in zip(parts, (2, ROW_WORDS + 1), (i % 2 > 0, i // 2 % 2 > 0), strict=True):
            if len(window) >= fewest:
                text = joint.join(part)
                made.setdefault(text, MadeQuestion(text, identity, hidden))
    return [*made.values()]


def fit_itself(profiles: Profiles, log_counts: Array) -> Fit:
    """Fit a calibration to made questions. It has no conformal sets, because people's questions are harder.

    Args:
        profiles: the profiles of the questions.
        log_counts: float64[T], at each temperature the log weight of the null key `auto`.
    """
    cell = (0, _choose_temperature(profiles, log_counts))
    log_count = float(log_counts[cell[1]])
    best, partition = profiles.best[:, *cell], profiles.log_partition[:, *cell]
    leads = partition - log_count
    share = math.sqrt(min(1.0, MADE_LABELS / len(leads)))  # a narrower prior, instead of a weight for each question
    prior = CurvePrior(USUAL_CURVE.mean, tuple(share * deviation for deviation in USUAL_CURVE.deviation))
    curve = Curve.fit(weight_logits(best, partition), leads, profiles.rank[:, *cell] == 1, prior)
    lead = min(float(np.quantile(leads[~profiles.present], HIDDEN_SHARE)), MAX_LEAD)
    temperature = float(profiles.temperatures[cell[1]])
    level = temperature * (log_count - math.log(max(profiles.keys, 2)))
    return Fit(cell, Variant(level, curve, {}, lead_to_null_weight(lead)), log_count)


def _choose_temperature(profiles: Profiles, log_counts: Array) -> int:
    """Return the index of the temperature: the collection's own, or the one that made questions want.

    The own one stays unless the label loss falls by more than its standard error, beside the null key `auto`.
    """
    current, fitted = profiles.own_index, fit_temperature(profiles)
    losses = [-np.maximum(log_likelihoods(profiles, (0, t), log_counts[t]), LEAST_LOG) for t in (current, fitted)]
    gained, error = Metric.mean(losses[0] - losses[1]).pair
    return fitted if gained > error else current


def evaluate_itself(
    profiles: Profiles,
    order: Array,
    log_counts: Array,
    null_logits: float | Array,
    stored: Variant | None = None,
    former: Former | None = None,
) -> Evaluation:
    """Fit a calibration to made questions, and measure on held-out ones how much it improves on the collection.

    Args:
        profiles: the profiles of the questions.
        order: int[q], the order in which questions are distributed over folds.
        log_counts: float64[T], at each temperature the log weight of the null key `auto`.
        null_logits: float64[q], the logits of the current null key at the collection's temperature.
        stored: the collection's calibration at that temperature; None if it has none.
        former: the collection's settings before it was calibrated; None if it is not calibrated.
    """
    folds, parts = assign_folds(order, profiles.present), list[tuple[Array, Outcomes]]()
    for fold in range(FOLDS):
        held_out = np.flatnonzero(folds == fold)
        fit = fit_itself(profiles.of(folds != fold), log_counts)
        parts.append((held_out, fit.predict(profiles.of(held_out), COVERAGE)))
    after = Outcomes.join(parts, len(folds))
    served = Outcomes.current(profiles, null_logits, COVERAGE, stored)
    return Evaluation(
        fit_itself(profiles, log_counts),
        None,
        Metrics.of(served),
        Metrics.of(after),
        None,
        Gain.between(served, after, former is None, made=True),
        None if former is None else Gain.between(former_outcomes(profiles, former), after, True, made=True),
    )
