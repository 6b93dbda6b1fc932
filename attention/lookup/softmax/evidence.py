"""How much the collection knew."""

from __future__ import annotations

from dataclasses import dataclass


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
