"""Every similarity as a product: (scaled query)·key · factor + addend, plus a shift that depends on the query alone.

             scaled query   factor   addend      shift
dot          q
scaled_dot   q/√d
cosine       q/‖q‖          1/‖k‖
gaussian     q                       −‖k‖²/2     −‖q‖²/2
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from attention.arrays import F64

Numbers = TypeVar("Numbers", F64, Tensor)


def key_terms(similarity: str, norms: Numbers) -> tuple[Numbers | None, Numbers | None]:
    """Return the factors and the addends of keys of these lengths, each [r]; None for factors of 1, addends of 0."""
    return (
        1 / norms if similarity == "cosine" else None,
        norms * norms / -2 if similarity == "gaussian" else None,
    )


class ScaledQueries(NamedTuple):
    """Queries float64[q, d], scaled for products with keys.

    Attributes:
        vectors: float64[q, d]
        reach: float64[q], the largest change of a scaled query for a change of the query of length 1; ∞ if it is zero
            under cosine.
        shift: float64[q], the part of a similarity that depends on the query alone.
    """

    vectors: Tensor
    reach: Tensor
    shift: Tensor

    @classmethod
    def of(cls, similarity: str, vectors: Tensor) -> ScaledQueries:
        """Return queries float64[q, d] scaled, with gradients to them."""
        reach, shift = vectors.new_ones(len(vectors)), vectors.new_zeros(len(vectors))
        if similarity == "cosine":
            # Powers of two keep all digits, and squares of scaled queries neither overflow nor vanish.
            scales = torch.exp2(-vectors.detach().abs().amax(dim=1, keepdim=True).log2().floor().clamp(-1000, 1000))
            lengths = torch.linalg.vector_norm(vectors * scales, dim=1, keepdim=True)
            vectors, reach = vectors * scales / lengths, (scales / lengths.detach())[:, 0]
        elif similarity == "scaled_dot":
            root = math.sqrt(vectors.shape[1])
            vectors, reach = vectors / root, reach / root
        elif similarity == "gaussian":
            shift = -(vectors * vectors).sum(dim=1) / 2
        return cls(vectors, reach, shift)
