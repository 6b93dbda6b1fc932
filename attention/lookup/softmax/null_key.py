"""The null key: one more key that says "none of these"."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attention.errors import ParameterError

MIN_WARMTH = 0.45
"""Deviations of the background: the temperature below which its few nearest keys count, and no longer their mean."""


@dataclass(frozen=True)
class NullKey:
    """A key that means "none of these", as heavy as e^`log_count` keys of one similarity.

    Attributes:
        similarity: of each of them.
        log_count: the logarithm of how many they are.
    """

    similarity: float
    log_count: float = 0.0

    def logit(self, best: float, temperature: float) -> float:
        """Return its logit minus that of a key of similarity `best`, at a temperature above 0."""
        return (self.similarity - best) / temperature + self.log_count

    def level(self, temperature: float) -> float:
        """The similarity of a single key of this weight, s₀; infinite where no number is as large."""
        return self.similarity + temperature * self.log_count if self.log_count else self.similarity


@dataclass(frozen=True)
class Background:
    """Similarities that mean nothing, as a normal distribution.

    The null key competes with the sum over all documents, so "none of these" weighs what n documents of the background
    would weigh together. For normal similarities that sum is known, from the random energy model (Derrida 1981): on
    average n·exp(μ/T + σ²/2T²), which is n keys of similarity μ + σ²/2T. So

        s₀ = μ + σ²/(2t) + t·ln n,  t = max(T, 0.45·σ).

    In the cold the few best of n carry the sum, their average means nothing any more, and real similarities have more
    of them than a normal distribution: s₀ is held where it is at T = 0.45·σ (measured, on labelled texts).

    Attributes:
        mean: μ, of the similarity that queries are compared by.
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
        """Return the key that weighs as much as `documents` documents of the background, at least 2.

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
