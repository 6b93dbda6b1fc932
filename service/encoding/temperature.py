"""The temperature that an encoder's similarities want: its maker's, or one that is measured.

Encoders are trained by a softmax over similarities at some temperature, and weights mean what they were trained to
mean only near it: 0.05 for all-MiniLM, 0.01 for encoders whose cosines all lie between 0.7 and 1. Where a model's
folder does not say it, it is measured: the temperature at which each question of `topics` gives its own text, among
the texts of all topics, the greatest likelihood. Those pairs are easier than the questions that people ask, so the
temperature is doubled: on labelled collections the best one was about twice as high. It is rounded to 1, 2 or 5 times
a power of ten, for it is a start and no more exact than that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Similarity = Literal["cosine", "dot", "gaussian"]
"""What an encoder's vectors may be compared by: cosine, dot product, or −‖q − k‖²/2."""

Matrix = NDArray[np.float64]

EASIER = 2.0  # how much colder than real questions the topics are
LEAST, MOST = 0.01, 0.2  # for vectors of length one
UNIT = 0.01  # how far from one a length may be, and the vector count as normalised; bfloat16 needs 4e-3
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature, and who says so."""

    value: float
    source: Literal["model card", "measured"]


Temperatures = Mapping[Similarity, Temperature]


def temperatures(
    questions: NDArray[np.float32],
    texts: NDArray[np.float32],
    *,
    similarity: Similarity,
    known: tuple[Similarity, float] | None = None,
) -> Temperatures:
    """The temperatures of an encoder: of cosine, of dot, and of the similarity that its maker means.

    Args:
        questions, texts: float32 [n, d]; question i belongs to text i, and to no other.
        similarity: what the maker compares by.
        known: a similarity, and the maker's own temperature of it.
    """
    q, k = questions.astype(np.float64), texts.astype(np.float64)
    lengths = np.linalg.norm(q, axis=1), np.linalg.norm(k, axis=1)
    length = float(lengths[0].mean() * lengths[1].mean())
    dots: Matrix = q @ k.T  # [n, n]
    products = np.outer(*lengths)
    cosines: Matrix = np.divide(dots, products, out=np.zeros_like(dots), where=products > 0)
    found: dict[Similarity, Temperature] = {
        "cosine": _measured(cosines, 1.0),
        "dot": _measured(dots, length),
    }
    if similarity == "gaussian":
        squares = lengths[0][:, None] ** 2 + lengths[1] ** 2
        found["gaussian"] = _measured(dots - squares / 2, length)
    if known is not None:
        kind, value = known
        unit = has_unit_length(questions) and has_unit_length(texts)
        for name in found:
            if name == kind or unit:  # of vectors of length one all three differ by a constant, which softmax ignores
                found[name] = Temperature(value, "model card")
    return found


def has_unit_length(vectors: NDArray[np.float32]) -> bool:
    """Whether vectors float32 [n, d] are normalised, as far as bfloat16 lets them be."""
    return bool((np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1) <= UNIT).all())


def likeliest(similarity: Matrix) -> float:
    """The T at which softmax(similarity / T) gives the diagonal the greatest likelihood; 0 or ∞ at the ends.

    Args:
        similarity: float64 [n, n], of each question to each text; the diagonal is of the pairs.
    """
    scale = float(similarity.std())
    if scale == 0:
        return math.inf
    own = np.diagonal(similarity)
    coldest, hottest = 1e-4 * scale, 1e4 * scale
    if _too_cold(similarity, own, hottest):
        return math.inf
    if not _too_cold(similarity, own, coldest):
        return 0.0
    for _ in range(BISECTIONS):  # the likelihood is concave in 1/T
        middle = math.sqrt(coldest * hottest)
        if _too_cold(similarity, own, middle):
            coldest = middle
        else:
            hottest = middle
    return math.sqrt(coldest * hottest)


def _too_cold(similarity: Matrix, own: Matrix, temperature: float) -> bool:
    """Whether the likelihood grows with T: the expected similarity is above that of the pairs."""
    logits = similarity / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return bool((weights * similarity).sum(axis=1).mean() > own.mean())


def _measured(similarity: Matrix, length: float) -> Temperature:
    """From similarities of vectors whose lengths multiply to about `length`."""
    value = min(max(EASIER * likeliest(similarity), LEAST * length), MOST * length)
    return Temperature(_rounded(value), "measured")


def _rounded(value: float) -> float:
    """The nearest of …, 0.01, 0.02, 0.05, 0.1, 0.2, …, as ratios go."""
    if not (math.isfinite(value) and value > 0):
        return 1.0  # of vectors that are all zero
    power = math.floor(math.log10(value))
    series = [float(f"{digit}e{exponent}") for exponent in (power, power + 1) for digit in (1, 2, 5)]
    return min(series, key=lambda each: abs(math.log(each / value)))
