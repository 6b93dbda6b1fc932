"""Queries in codes, as a scan multiplies them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I16
from attention.kernels.layout import FINE_LEVELS, LEVELS
from attention.lookup.codes.quantisation import residual_lengths, to_codes

FINE, FINE_WITH_OUTPUT = 4, 8
"""Up to so many queries at a time are coded in 16 bits, because memory is what a scan of few waits for. The second
number is for questions with outputs: the weights of their values have 16 bits then too."""


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


def query_codes(similarity: str, vectors: F64, *, outputs: bool) -> QueryCodes:
    """Code queries so that code·code·scales of what a scan multiplies is the similarity.

    Args:
        similarity: cosine, dot or scaled_dot.
        vectors: float64[q, d].
        outputs: whether values are to be summed as well.
    """
    if similarity == "cosine":
        vectors = vectors / np.sqrt((vectors * vectors).sum(axis=1))[:, None]
    elif similarity == "scaled_dot":
        vectors = vectors / np.sqrt(vectors.shape[1])
    return in_codes(vectors, fine=len(vectors) <= (FINE_WITH_OUTPUT if outputs else FINE))


def in_codes(queries: F64, *, fine: bool) -> QueryCodes:
    """Code queries float64[q, d], in 16 bits where they are to be fine, as far as 32 bits hold the products."""
    norms = np.sqrt((queries * queries).sum(axis=1))
    levels = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * queries.shape[1])) if fine else LEVELS
    codes, scales, residuals = to_codes(queries, levels)
    return QueryCodes(codes.astype(np.int16), scales, norms, residuals, residual_lengths(residuals), fine)
