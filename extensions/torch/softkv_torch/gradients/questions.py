"""Questions as a flat list: scaled queries with their temperatures and null keys, and what makes them invalid."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from attention.errors import ParameterError
from attention.lookup import View
from softkv_torch.gradients.similarity import ScaledQueries
from softkv_torch.gradients.tensors import NO_NUMBERS, broadcast, kind_of

LEAST_TEMPERATURE = 1e-30
"""Lower temperatures would overflow float32."""

LARGEST = {torch.float32: 1e30, torch.float64: 1e150}
"""Larger similarities, keys or values might overflow, or their squares."""


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
