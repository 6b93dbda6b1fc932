"""The temperature of an encoder's similarities: declared by its maker, or measured.

The training of an encoder applies a softmax to similarities at some temperature, and weights are calibrated only near
it: 0.05 for all-MiniLM, 0.01 for encoders whose cosines all lie between 0.7 and 1. If a model's folder does not declare
it, softkv measures it: the temperature at which the questions of `topics` give the greatest likelihood to their own
texts, among the texts of all topics.

Those pairs are easier than people's questions, so the temperature is doubled: on labelled collections the best one was
about twice as high. It is rounded to 1, 2 or 5 times a power of ten, because it is a rough starting value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Similarity = Literal["cosine", "dot", "gaussian"]
"""A similarity of two vectors: cosine, dot product, or −‖q − k‖²/2."""

Matrix = NDArray[np.float64]

TOPIC_FACTOR = 2.0  # the temperature of real questions, divided by that of the topics
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 0.2  # for vectors of length one
UNIT_TOLERANCE = 0.01  # the deviation from one at which a length still counts as one; bfloat16 needs 4e-3
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature of the softmax over similarities, and its source: declared by the model's maker, or measured."""

    value: float
    source: Literal["model card", "measured"]


Temperatures = Mapping[Similarity, Temperature]


def temperatures(
    questions: NDArray[np.float32],
    texts: NDArray[np.float32],
    *,
    similarity: Similarity,
    declared: tuple[Similarity, float] | None = None,
) -> Temperatures:
    """Return an encoder's temperatures for cosine, for dot, and for the similarity that its maker uses.

    Args:
        questions, texts: float32 [n, d]; question i belongs to text i, and to no other.
        similarity: the maker's similarity.
        declared: a similarity, and the temperature that the maker declares for it.
    """
    q, k = questions.astype(np.float64), texts.astype(np.float64)
    lengths = np.linalg.norm(q, axis=1), np.linalg.norm(k, axis=1)
    length = float(lengths[0].mean() * lengths[1].mean())
    dots: Matrix = q @ k.T  # [n, n]
    products = np.outer(*lengths)
    cosines: Matrix = np.divide(dots, products, out=np.zeros_like(dots), where=products > 0)
    measured: dict[Similarity, Temperature] = {"cosine": _measure(cosines, 1.0), "dot": _measure(dots, length)}
    if similarity == "gaussian":
        squares = lengths[0][:, None] ** 2 + lengths[1] ** 2
        measured["gaussian"] = _measure(dots - squares / 2, length)
    if declared is not None:
        kind, value = declared
        unit = has_unit_length(questions) and has_unit_length(texts)
        for name in measured:
            if name == kind or unit:  # at length one all three differ by a constant, which softmax ignores
                measured[name] = Temperature(value, "model card")
    return measured


def has_unit_length(vectors: NDArray[np.float32]) -> bool:
    """Return whether vectors float32 [n, d] are normalised, within the precision of bfloat16."""
    return bool((np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1) <= UNIT_TOLERANCE).all())


def fit_temperature(similarity: Matrix) -> float:
    """Return the temperature T at which softmax(similarity / T) gives the related pairs the greatest likelihood.

    T is 0 or ∞ if the likelihood has no maximum between.

    Args:
        similarity: float64 [n, n], of each question to each text; the diagonal has the related pairs.
    """
    scale = float(similarity.std())
    if scale == 0:
        return math.inf
    related = np.diagonal(similarity)
    coldest, hottest = 1e-4 * scale, 1e4 * scale
    if _too_cold(similarity, related, hottest):
        return math.inf
    if not _too_cold(similarity, related, coldest):
        return 0.0
    for _ in range(BISECTIONS):  # the likelihood is concave in 1/T
        middle = math.sqrt(coldest * hottest)
        if _too_cold(similarity, related, middle):
            coldest = middle
        else:
            hottest = middle
    return math.sqrt(coldest * hottest)


def _too_cold(similarity: Matrix, related: Matrix, temperature: float) -> bool:
    """Return whether the temperature T is below the one that gives the related pairs the greatest likelihood.

    It is too low if the mean similarity under softmax(similarity / T) is above that of the related pairs.

    Args:
        similarity: float64 [n, n], of each question to each text.
        related: the similarity of each question to its own text.
        temperature: T, above 0.
    """
    logits = similarity / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return bool((weights * similarity).sum(axis=1).mean() > related.mean())


def _measure(similarity: Matrix, length: float) -> Temperature:
    """Measure the best temperature for a similarity, from the similarities of questions and texts.

    Args:
        similarity: float64 [n, n]; the diagonal has the related pairs.
        length: the product of the typical lengths of two vectors, with which limits of the temperature scale.
    """
    value = min(max(TOPIC_FACTOR * fit_temperature(similarity), MIN_TEMPERATURE * length), MAX_TEMPERATURE * length)
    return Temperature(_round_to_series(value), "measured")


def _round_to_series(value: float) -> float:
    """Round a temperature to the nearest of …, 0.01, 0.02, 0.05, 0.1, 0.2, …, by ratio."""
    if not (math.isfinite(value) and value > 0):
        return 1.0  # the vectors are all zero
    power = math.floor(math.log10(value))
    series = [float(f"{digit}e{exponent}") for exponent in (power, power + 1) for digit in (1, 2, 5)]
    return min(series, key=lambda step: abs(math.log(step / value)))
