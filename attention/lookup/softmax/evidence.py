"""Evidence of how well a query's keys match it, and the verdict: one document, several, or none matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Evidence:
    """Numbers that show how well the keys match a query, at one temperature.

    They count keys. If documents have several keys, each key counts as a document.

    Attributes:
        temperature: the temperature of the softmax.
        null_weight: the null key's weight; 0 without a null key.
        null_similarity: s₀, the null key's similarity; None without a null key.
        log_partition: logsumexp of all logits, including the null key's. At temperature 0, the logarithm of the number
            of ties. Without a null key, −∞ if nothing passes. None unless the normaliser is softmax.
        entropy: the entropy of the keys' weights in nats, renormalised without the null key.
        effective_documents: exp(entropy), the number of keys that the answer rests on; 0 if no document passes.
    """

    temperature: float
    null_weight: float
    null_similarity: float | None
    log_partition: float | None
    entropy: float
    effective_documents: float


Stands = Literal["one", "several", "none"]

HALF = 0.5
"""A share of all weight. A null key with at least this much means "none"; a document with more stands out."""


@dataclass(frozen=True)
class Verdict:
    """The verdict that one document stands out, several share the weight, or none matches.

    Attributes:
        stands: "none" if the null key has at least half of all weight, or if no document passes; else "one" if the
            heaviest document has more than half; else "several".
        certain: whether the true weights give the same verdict, if the bound on their total variation holds.
    """

    stands: Stands
    certain: bool

    @classmethod
    def of(
        cls, evidence: Evidence, heaviest: float, variation: float, *, documents: int, at_most: float | None = None
    ) -> Verdict:
        """Return the verdict of computed weights, and whether the bound on their error allows another one.

        `variation` bounds their total variation from the true weights.

        The true weight of any set of documents differs from the returned one by at most that bound.

        Args:
            evidence: the evidence with the null key's weight and similarity.
            heaviest: the weight of the heaviest document; 0 if no document passes.
            variation: the bound on the total variation.
            documents: the number of documents that pass.
            at_most: the largest weight that a document can have; None if that is `heaviest`.
        """
        null = evidence.null_weight
        if not documents:
            return cls("none", variation == 0 or null - variation >= HALF)
        if null >= HALF:
            return cls("none", null - variation >= HALF)
        if heaviest > HALF:
            return cls("one", heaviest - variation > HALF)
        has_null = evidence.null_similarity is not None
        outweighed = not has_null or null + variation < HALF
        return cls("several", outweighed and max(heaviest, at_most or 0.0) + variation <= HALF)
