"""What comes back: the head, the evidence, the blended value and how sure all of it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.lookup.bounds.weights import Certificate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """How much the collection knew, at one temperature.

    Attributes:
        temperature: at which.
        null_weight: the null key's share; 0 without one.
        null_similarity: of the null key, s₀; None without one.
        answered: the documents outweigh the null key; at temperature 0, and where the normaliser is not softmax, the
            best similarity is strictly above the null key's; without a null key some document passes.
        log_partition: logsumexp of all logits, the null key's included; at temperature 0 the logarithm of
            the number of ties; −∞ where nothing passes and there is no null; None unless the normaliser is
            softmax.
        entropy: of the document weights, the null left out and the rest renormalised, in nats.
        effective_documents: exp(entropy); 0 where no document passes.
    """

    temperature: float
    null_weight: float
    null_similarity: float | None
    answered: bool
    log_partition: float | None
    entropy: float
    effective_documents: float


@dataclass(frozen=True, eq=False)
class Answer:
    """Attention of one query over every row that passes.

    Attributes:
        numbers: int64[k'], the head: the best rows by similarity, and all that tie with the last of them.
        similarities, logits, weights: float64[k'], aligned with `numbers`.
        matches: how many of the head are asked for (top_k, or the smallest set that holds top_p); the head
            is longer only by ties with the last one, of which any may be kept.
        complete: False where top_k came before top_p was reached.
        evidence: at the temperature used.
        best_similarity: the best that passes; None where none does.
        output: float64[d_v], Σ weight·value, not rescaled for the null; None where not asked for.
        certificate: a proven bound on the error of all this.
        documents: how many rows pass.
    """

    numbers: NDArray[np.int64]
    similarities: Array
    logits: Array
    weights: Array
    matches: int
    complete: bool
    evidence: Evidence
    best_similarity: float | None
    output: Array | None
    certificate: Certificate
    documents: int

    @property
    def temperature(self) -> float:
        """The temperature used; where `Auto` was asked, the one it found."""
        return self.evidence.temperature

    @property
    def null_weight(self) -> float:
        """The null key's weight; 0 without one."""
        return self.evidence.null_weight

    @property
    def log_partition(self) -> float | None:
        """See `Evidence`."""
        return self.evidence.log_partition

    @property
    def entropy(self) -> float:
        """See `Evidence`."""
        return self.evidence.entropy

    @property
    def effective_documents(self) -> float:
        """See `Evidence`."""
        return self.evidence.effective_documents


@dataclass(frozen=True, eq=False)
class Sweep:
    """One query at many temperatures, from one pass over the keys.

    Attributes:
        numbers: int64[k'], the head, the same at every temperature.
        similarities: float64[k'].
        weights: float64[t, k'].
        matches: how many of the head were asked for; more are ties with the last.
        evidence: one for each temperature, in the order asked.
        certificates: one for each temperature.
        best_similarity, documents: as in `Answer`.
    """

    numbers: NDArray[np.int64]
    similarities: Array
    weights: Array
    matches: int
    evidence: tuple[Evidence, ...]
    certificates: tuple[Certificate, ...]
    best_similarity: float | None
    documents: int
