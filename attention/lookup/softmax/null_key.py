"""The null key: an additional key that means "none of these"."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attention.errors import ParameterError

MIN_WARMTH = 0.45
"""In deviations of the background: below this temperature its few nearest keys carry the sum, and not its mean."""


@dataclass(frozen=True)
class NullKey:
    """A key that means "none of these".

    It weighs as much as e^`log_count` keys of the same similarity.

    Attributes:
        similarity: the similarity of each of these keys.
        log_count: the logarithm of their number.
    """

    similarity: float
    log_count: float = 0.0

    def logit(self, best: float, temperature: float) -> float:
        """Return the null key's logit minus that of a key with similarity `best`, at a temperature above 0."""
        return (self.similarity - best) / temperature + self.log_count

    def level(self, temperature: float) -> float:
        """Return s₀, the similarity that a single key needs to weigh as much as the null key.

        It is infinite if it exceeds float64.
        """
        return self.similarity + temperature * self.log_count if self.log_count else self.similarity


@dataclass(frozen=True)
class Background:
    """The similarities of unrelated queries and keys, as a normal distribution.

    The null key competes with the sum over all documents. So "none of these" gets the weight that n unrelated
    documents would have together. For normal similarities that sum is known from the random energy model (Derrida
    1981): on average n·exp(μ/T + σ²/2T²), which is n keys of similarity μ + σ²/2T. So

        s₀ = μ + σ²/(2t) + t·ln n,  t = max(T, 0.45·σ).

    At low temperatures the few best of n carry the sum, so the average is not typical. And real similarities have more
    large values than a normal distribution. So s₀ stays at its value for T = 0.45·σ (measured on labelled texts).

    Attributes:
        mean: μ, in the similarity that queries are compared by.
        deviation: σ, not below 0.

    Raises:
        ParameterError: either is not finite, or σ is below 0.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.deviation) and self.deviation >= 0):
            raise ParameterError(
                f"a background has a finite mean and a deviation from 0 on, got {self.mean!r} and {self.deviation!r}"
            )

    def null_key(self, temperature: float, documents: int) -> NullKey:
        """Return the null key that weighs as much as `documents` unrelated documents, at least 2.

        Args:
            temperature: 0 or more, infinity included.
            documents: n, the number that a query may attend to.
        """
        coldest, log_count = MIN_WARMTH * self.deviation, math.log(max(documents, 2))
        warmth = max(temperature, coldest)
        tilted = self.mean + (self.deviation * (self.deviation / (2 * warmth)) if warmth > 0 else 0.0)
        if temperature > 0 and temperature >= coldest:
            return NullKey(tilted, log_count)
        return NullKey(tilted + warmth * log_count)
