"""What an answer says: that one document stands out, that several share it, or that there is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attention.lookup.softmax.evidence import Evidence

Stands = Literal["one", "several", "none"]

HALF = 0.5
"""Of all weight: a null key that has as much says that there is nothing; a document that has more stands out."""


@dataclass(frozen=True)
class Verdict:
    """What weights say of the documents that pass, and whether they can be trusted to say it.

    Attributes:
        stands: "none" where the null key has at least half of all weight, or no document passes; else "one" where the
            heaviest document has more than half; else "several".
        certain: whether the true weights say the same, as far as the bound on their total variation holds.
    """

    stands: Stands
    certain: bool

    @classmethod
    def of(
        cls, evidence: Evidence, heaviest: float, variation: float, *, documents: int, at_most: float | None = None
    ) -> Verdict:
        """The verdict of weights whose total variation from the true ones is bounded.

        No set of documents weighs more or less than told by more than that bound.

        Args:
            evidence: whose null key is meant.
            heaviest: the weight of the heaviest document, 0 where none passes.
            variation: the bound.
            documents: how many pass.
            at_most: what the heaviest document can weigh, where that is not known; None for `heaviest`.
        """
        null = evidence.null_weight
        if not documents:
            return cls("none", variation == 0 or null - variation >= HALF)
        if null >= HALF:
            return cls("none", null - variation >= HALF)
        if heaviest > HALF:
            return cls("one", heaviest - variation > HALF)
        always = evidence.null_similarity is None  # and no document can be the null key
        outweighed = always or null + variation < HALF
        return cls("several", outweighed and max(heaviest, at_most or 0.0) + variation <= HALF)
