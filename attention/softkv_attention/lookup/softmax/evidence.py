"""The null key and the evidence: how much of the weight the collection's own keys earned."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from softkv_attention.errors import ParameterError


@dataclass(frozen=True)
class Evidence:
    """Numbers that show how well the keys match a query, at one temperature.

    They count keys. If documents have several keys, each key counts as a document.

    Attributes:
        temperature: the temperature of the softmax.
        null_weight: the weight of the null key, which means "none of these"; 0 without a null key.
        null_similarity: s₀, the similarity at which a single key weighs as much as the null key; None without a null
            key.
        log_partition: ln Σ exp(logit) over all keys and the null key. At temperature 0, the logarithm of the number of
            ties. Without a null key, −∞ if no key passes the mask. None unless the normaliser is softmax.
        entropy: the entropy of the keys' weights in nats, renormalised without the null key.
        effective_documents: exp(entropy), the number of keys that share the weight; 0 if no key passes the mask.
    """

    temperature: float
    null_weight: float
    null_similarity: float | None
    log_partition: float | None
    entropy: float
    effective_documents: float

    @property
    def competing_null(self) -> float | None:
        """The weight of the null key ("none of these"); None if no null key competes with the documents."""
        return None if self.null_similarity is None else self.null_weight


MIN_WARMTH = 0.45
"""In deviations of the background: below this temperature its few nearest keys carry the sum, and not its mean."""


@dataclass(frozen=True)
class NullKey:
    """A key that means "none of these".

    In the softmax it competes with the real keys. It weighs as much as e^`log_count` keys of the same similarity.

    Attributes:
        similarity: the similarity of each of these keys.
        log_count: the logarithm of their number.
        temperature: the temperature of the softmax, which counts only if `log_count` is not 0.
        level: s₀, the similarity at which a single key weighs as much as the null key; infinite if it exceeds float64.
    """

    similarity: float
    log_count: float = 0.0
    temperature: float = 0.0
    level: float = field(init=False)

    def __post_init__(self) -> None:
        level = self.similarity + self.temperature * self.log_count if self.log_count else self.similarity
        object.__setattr__(self, "level", level)

    def logit(self, best: float, temperature: float) -> float:
        """Return the logit of the null key ("none of these") minus that of a key with similarity `best`.

        Args:
            best: a similarity.
            temperature: above 0.
        """
        return (self.similarity - best) / temperature + self.log_count


@dataclass(frozen=True)
class Background:
    """The distribution of similarities between unrelated queries and keys, as a normal distribution.

    It sets the similarity s₀ of the null key, which means "none of these" and competes with the sum over all documents.
    So "none of these" gets the weight that n unrelated documents would have together. For normal similarities that sum
    is known from the random energy model (Derrida 1981): on average n·exp(μ/T + σ²/2T²), which is n keys of similarity
    μ + σ²/2T. So

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
        for name in ("mean", "deviation"):  # so that evidence has no numbers of NumPy
            object.__setattr__(self, name, float(getattr(self, name)))

    def shift(self, similarity: float) -> Background:
        """Return the background whose mean is higher by a similarity."""
        return Background(self.mean + similarity, self.deviation)

    def null_key(self, temperature: float, documents: int) -> NullKey:
        """Return the null key ("none of these") that weighs as much as n unrelated documents together.

        Args:
            temperature: 0 or more, infinity included.
            documents: n, the number of documents that a query may attend to; fewer than 2 count as 2.
        """
        coldest, log_count = MIN_WARMTH * self.deviation, math.log(max(documents, 2))
        warmth = max(temperature, coldest)
        # σ·(σ/2t) instead of σ²/2t, which could overflow or vanish.
        tilted = self.mean + (self.deviation * (self.deviation / (2 * warmth)) if warmth > 0 else 0.0)
        # Below the coldest temperature s₀ is fixed: ln n, times that temperature, becomes part of the similarity.
        if temperature > 0 and temperature >= coldest:
            return NullKey(tilted, log_count, temperature)
        return NullKey(tilted + warmth * log_count)


@dataclass(frozen=True)
class BoundedBackground(Background):
    """A background with bounds: its null similarity s₀ is at most that of another one, and at least that of a third.

    The least counts up to a temperature T₀ and fades out until 2T₀. At higher temperatures the sum counts every key
    alike, and the least says little about the few that match.

    Attributes:
        at_most: the background whose s₀ counts if it is lower; None for no such bound.
        at_least: the background whose s₀ counts if it is higher, also above `at_most`; None for no such bound.
        fades_from: T₀, above 0.

    Raises:
        ParameterError: as of a background, or T₀ is not above 0.
    """

    at_most: Background | None = None
    at_least: Background | None = None
    fades_from: float = math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fades_from > 0:
            raise ParameterError(f"a bound fades from a temperature above 0, got {self.fades_from!r}")

    def shift(self, similarity: float) -> BoundedBackground:
        """Return the background whose mean is higher by a similarity, and so is that of its upper bound."""
        at_most = None if self.at_most is None else self.at_most.shift(similarity)
        return replace(self, mean=self.mean + similarity, at_most=at_most)

    def null_key(self, temperature: float, documents: int) -> NullKey:
        """Return the null key ("none of these") within the bounds; see `Background.null_key`."""
        key = super().null_key(temperature, documents)
        if self.at_most is not None:
            highest = self.at_most.null_key(temperature, documents)
            key = highest if highest.level < key.level else key
        share = min(max(2 - temperature / self.fades_from, 0.0), 1.0)
        if self.at_least is None or share == 0:
            return key
        least = self.at_least.null_key(temperature, documents)
        above = least.level - key.level
        return replace(least, similarity=least.similarity - (1 - share) * above) if above > 0 else key
