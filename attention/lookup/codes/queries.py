"""Queries in codes, as a scan multiplies them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from attention.dtypes import F64, I16
from attention.kernels import kernels
from attention.kernels.layout import FINE_LEVELS, LEVELS
from attention.lookup.codes.quantisation import bound_norms, quantise

FINE_QUERIES, FINE_QUERIES_WITH_OUTPUT = 4, 8
"""Up to so many queries at a time are coded in 16 bits, because memory is what a scan of few waits for. The second
number is for questions with outputs: the weights of their values have 16 bits then too. Where 16 bits cost no more than
8, see `Kernels.WIDE`, all have them."""

HOT_TEMPERATURE = 1 / 16
"""Temperatures above this, where 1 is the largest similarity there can be, have averages of so many values that these
are short, and what a query's code leaves out, which is common to all keys, would be seen: outputs then take 16 bits."""


@dataclass(frozen=True, eq=False)
class QueryCodes:
    """Queries in codes: q ≈ scale·code.

    A query's residual is common to all keys, so it does not average out as theirs do: few queries are coded in 16 bits.

    Attributes:
        codes: int16[q, d]; within −127 to 127 where they are coarse.
        scales: float64[q].
        norms: float64[q], ‖q‖ of the queries themselves.
        residuals: float64[q, d], q − q̂.
        residuals_norm: float64[q], at least ‖q − q̂‖.
        fine: whether the codes have 16 bits.
    """

    codes: I16
    scales: F64
    norms: F64
    residuals: F64
    residuals_norm: F64
    fine: bool

    @property
    def count(self) -> int:
        """How many queries."""
        return len(self.scales)

    def over(self, temperature: float) -> QueryCodes:
        """Of the same queries divided by a temperature above 0, with the same codes."""
        return replace(
            self,
            scales=self.scales / temperature,
            norms=self.norms / temperature,
            residuals=self.residuals / temperature,
            residuals_norm=self.residuals_norm / temperature * (1 + 1e-15),
        )


def code_queries(
    similarity: str,
    vectors: F64,
    *,
    outputs: bool,
    temperatures: F64 | None = None,
    key_norm: float = 1.0,
    fine: bool = False,
) -> QueryCodes:
    """Code queries so that code·code·scales of what a scan multiplies is the similarity.

    Args:
        similarity: cosine, dot or scaled_dot.
        vectors: float64[q, d].
        outputs: whether values are to be summed as well.
        temperatures: float64[q], of the softmax whose weights these are summed with; None for all.
        key_norm: the largest ‖k‖, where the similarity is not cosine.
        fine: whether they are to have 16 bits whatever is asked.
    """
    if similarity == "cosine":
        vectors, key_norm = vectors / np.sqrt((vectors * vectors).sum(axis=1))[:, None], 1.0
    elif similarity == "scaled_dot":
        vectors = vectors / np.sqrt(vectors.shape[1])
    fine = fine or kernels().WIDE or len(vectors) <= (FINE_QUERIES_WITH_OUTPUT if outputs else FINE_QUERIES)
    if outputs and not fine and temperatures is not None:
        lengths = np.sqrt((vectors * vectors).sum(axis=1))
        fine = bool((temperatures > HOT_TEMPERATURE * key_norm * lengths).any())
    return quantise_queries(vectors, fine=fine)


def quantise_queries(queries: F64, *, fine: bool) -> QueryCodes:
    """Code queries float64[q, d], in 16 bits where they are to be fine, as far as 32 bits hold the products."""
    norms = np.sqrt((queries * queries).sum(axis=1))
    levels = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * queries.shape[1])) if fine else LEVELS
    codes, scales, residuals = quantise(queries, levels)
    return QueryCodes(codes.astype(np.int16), scales, norms, residuals, bound_norms(residuals), fine)
