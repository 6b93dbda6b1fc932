"""Questions as a flat list: scaled queries with their temperatures and null keys, and what makes them invalid.

Every similarity as a product: (scaled query)·key · factor + addend, plus a shift that depends on the query alone.

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

from softkv_attention.arrays import F64
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import View
from softkv_attention.torch.tensors import NO_NUMBERS, broadcast, kind_of

Numbers = TypeVar("Numbers", F64, Tensor)

LEAST_TEMPERATURE = 1e-30
"""Lower temperatures would overflow float32."""

LARGEST = {torch.float32: 1e30, torch.float64: 1e150}
"""Larger similarities, keys or values might overflow, or their squares."""


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


class QuestionBatch(NamedTuple):
    """The questions of a call as a flat list: queries with their temperatures and null keys.

    Attributes:
        queries: float64[q, d], scaled as `ScaledQueries` are.
        inverse: float64[q], 1/T.
        null: float64[q], the null key's similarity less the shift; None without a null key.
        reach, shift: float64[q], of the scaled queries.
        kind: the type that lookups compute in, float32 or float64.
    """

    queries: Tensor
    inverse: Tensor
    null: Tensor | None
    reach: Tensor
    shift: Tensor
    kind: torch.dtype

    @classmethod
    def of(cls, queries: Tensor, view: View, temperature: float | Tensor, null: float | Tensor | None) -> QuestionBatch:
        """Return queries float[..., d] with their options as a flat list; `check_numbers` does the rest.

        Raises:
            ShapeError: a shape does not fit the view or the queries.
            ParameterError: the queries are not a dense tensor of a known type, or an option is not a number.
        """
        kind = kind_of(queries, view.dimension)
        leading = queries.shape[:-1]
        vectors = queries.reshape(leading.numel(), queries.shape[-1]).double()
        vectors, reach, shift = ScaledQueries.of(view.similarity, vectors)
        inverse = 1 / broadcast("temperature", temperature, leading, vectors.device).reshape(len(vectors))
        level = None if null is None else broadcast("null", null, leading, vectors.device).reshape(len(vectors)) - shift
        return cls(vectors, inverse, level, reach, shift, kind)


def check_numbers(
    view: View, kind: torch.dtype, queries: Tensor, inverse: Tensor, null: Tensor | None, reach: Tensor
) -> None:
    """Raise a ParameterError if numbers of a batch of questions are invalid, or might overflow."""
    try:
        has_zero = bool(reach.isinf().any())
    except RuntimeError as error:
        raise ParameterError(NO_NUMBERS) from error
    if has_zero:
        raise ParameterError("a query is a zero vector, for which cosine is not defined: send another one")
    if not bool(queries.isfinite().all()):
        raise ParameterError("queries must be finite: they hold NaN or infinity")
    is_valid = (inverse > 0) & (inverse <= 1 / LEAST_TEMPERATURE)
    if not bool(is_valid.all()):
        raise ParameterError(
            f"temperature must be finite and at least {LEAST_TEMPERATURE}, since attention has no gradient at 0; "
            f"got {float(1 / inverse[~is_valid][0])}"
        )
    longest = float(torch.linalg.vector_norm(queries, dim=1).max()) if len(queries) else 0.0
    key, value = view.facts.key_norm, view.facts.value_norm
    largest = max(key, value, longest, longest * key, key * key if view.similarity == "gaussian" else 0.0)
    if largest > LARGEST[kind]:
        raise ParameterError(
            f"similarities, keys and values must be at most {LARGEST[kind]} in {kind}, these may be {largest:.1e}: "
            "send queries of float64, or shorter ones"
        )
    if null is not None and not bool(null.isfinite().all()):
        wrong = float(null[~null.isfinite()][0])
        raise ParameterError(f"null must be a finite similarity, or None for no null key; got {wrong}")
