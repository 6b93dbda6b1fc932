"""Queries in codes, and how far the similarities that a scan makes of codes can be from the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.kernels.engine import engine
from attention.lookup.codes.quantisation import QueryCodes, query_codes
from attention.lookup.memory.view import View
from attention.lookup.question import Question

Array = NDArray[np.float64]

FINE, FINE_WITH_OUTPUT = 4, 8
"""Up to so many queries at a time are coded in 16 bits, because memory is what a scan of few waits for. The second
number is for questions with outputs: the weights of their values have 16 bits then too."""

SMALLEST_REACH, LARGEST_REACH = 1e-30, 1e30


def fits(view: View, question: Question) -> bool:
    """Whether products of keys and query keep clear of float32's ends."""
    reach = view.key_norm * float(np.linalg.norm(question.vector))
    return view.similarity == "cosine" or SMALLEST_REACH < reach < LARGEST_REACH


def coded_queries(view: View, questions: Sequence[Question]) -> QueryCodes:
    """The questions' queries in codes, scaled so that q·k of what the scan multiplies is the similarity."""
    vectors = np.array([question.vector for question in questions])
    if view.similarity == "cosine":
        vectors /= np.sqrt((vectors * vectors).sum(axis=1))[:, None]
    elif view.similarity == "scaled_dot":
        vectors /= np.sqrt(vectors.shape[1])
    outputs = any(question.output for question in questions)
    return query_codes(vectors, fine=len(questions) <= (FINE_WITH_OUTPUT if outputs else FINE))


@dataclass(frozen=True)
class CodingError:
    """How far scanned similarities can be from the true ones.

    q·k − q̂·k̂ = q̂·(k − k̂) + (q − q̂)·k. For one row, by Cauchy–Schwarz, that is at most ‖q̂‖·‖k − k̂‖ + ‖q − q̂‖·‖k‖.
    Over all rows the squares of the two parts add up to q̂ᵀ·G·q̂ and (q − q̂)ᵀ·K·(q − q̂) with the Gram matrices
    G = Σ (k − k̂)(k − k̂)ᵀ and K = Σ k kᵀ, so by Minkowski those of the whole to the square of the sum of their roots.
    The part of a query in 16 bits is so small that trace(K)·‖q − q̂‖² does for it.
    float32 holds code product times scales to 2⁻²¹ of ‖q̂‖·‖k̂‖, and a stored scale to 2⁻²⁴ of it.

    Attributes:
        largest: for any one row.
        squares: a bound on the sum over all rows of the error squared, float32 left out; infinite where not known.
        uniform: for any one row, of float32 alone.
    """

    largest: float
    squares: float
    uniform: float

    def wider(self, width: float) -> CodingError:
        """The same with so much more room for every row."""
        return CodingError(self.largest + width, self.squares, self.uniform + width)

    def mean(self, tail: float, tail_square: float) -> float:
        """Σŵ|error| over a tail of weight `tail` whose squared weights add up to `tail_square`, at most.

        By Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²): sharp where the tail's weights are much alike.
        """
        if not np.isfinite(self.squares):
            return np.inf
        return float(np.sqrt(1.001 * tail_square * self.squares)) + tail * self.uniform


def coding_errors(view: View, queries: QueryCodes) -> list[CodingError]:
    """The bounds for each query."""
    residual = max(segment.key_residual for segment in view.segments)
    key = 1.0 if view.similarity == "cosine" else view.key_norm
    lengths = (queries.norms + queries.residuals_norm) * (1 + 1e-9)
    uniform = 2.0**-20 * lengths * (key + residual)
    largest = (lengths * residual + queries.residuals_norm * key) * (1 + 1e-9) + uniform
    squares = np.full(queries.count, np.inf)
    if view.grams is not None:
        coded = queries.codes * queries.scales[:, None]
        lost = sum(segment.block.room for segment in view.segments) * coded.shape[1] * 2.0**-125
        parts = [
            _form(vectors, gram, lost, exact=exact)
            for vectors, gram, exact in zip(
                (coded, queries.residuals), view.grams, (True, not queries.fine), strict=True
            )
        ]
        squares = (np.sqrt(np.maximum(parts[0], 0)) + np.sqrt(np.maximum(parts[1], 0))) ** 2
    return [CodingError(*map(float, bounds)) for bounds in zip(largest, squares, uniform, strict=True)]


def _form(vectors: Array, gram: Array, lost: float, *, exact: bool) -> Array:
    """At least xᵀ·M·x of each of vectors float64[q, d]; from the trace of M alone where it need not be exact.

    The Gram matrix was summed in float32, up to 1,024 rows at a time: off by at most γ₁₀₂₄ of the trace, and in each
    element by what falls below float32, `lost` in all. Its largest eigenvalue is at most its trace.
    """
    trace = float(np.trace(gram))
    lengths = (vectors * vectors).sum(axis=1)
    forms = engine().quadratic_forms(vectors, gram) if exact else lengths * trace
    return np.asarray(forms + lengths * (2.0**-13 * trace + lost))
