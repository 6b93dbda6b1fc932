"""How much the collection knew, and the verdict: one document stands out, several share the weight, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Evidence:
    """How much the collection knew, at one temperature.

    It is told of keys: where documents have several, as if each key were a document by itself.

    Attributes:
        temperature: at which.
        null_weight: the null key's share; 0 without one.
        null_similarity: of the null key, s₀; None without one.
        log_partition: logsumexp of all logits, the null key's included; at temperature 0 the logarithm of
            the number of ties; −∞ where nothing passes and there is no null; None unless the normaliser is
            softmax.
        entropy: of the keys' weights, the null left out and the rest renormalised, in nats.
        effective_documents: exp(entropy): how many keys the answer rests on; 0 where no document passes.
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
    """Whether one document stands out, and whether the error of the weights leaves room for another verdict.

    Attributes:
        stands: "none" where the null key has at least half of all weight, or no document passes; else "one" where the
            heaviest document has more than half; else "several".
        certain: whether the true weights give the same verdict, if the bound on their total variation holds.
    """

    stands: Stands
    certain: bool

    @classmethod
    def of(
        cls, evidence: Evidence, heaviest: float, variation: float, *, documents: int, at_most: float | None = None
    ) -> Verdict:
        """Return the verdict of weights whose total variation from the true weights is bounded.

        The true weight of any set of documents differs from the returned one by at most that bound.

        Args:
            evidence: its null weight and null similarity are read.
            heaviest: the weight of the heaviest document, 0 if no document passes.
            variation: the bound on the total variation.
            documents: how many pass.
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
