"""Bounds on the error of a similarity, computed in float64 or scanned in 8-bit codes.

In float64, let u = 2⁻⁵³ and γ_m = m·u / (1 − m·u) (Higham, Accuracy and Stability of Numerical Algorithms, §3.1). A
product of two vectors of width d is off by at most γ_d·‖q‖·‖k‖ in any order of summation, plus 2⁻¹⁰⁷⁴ for each term,
which may underflow. The factor √d adds two roundings. Cosine divides by two norms, each off by γ_(d/2 + 1) relative,
with three more roundings. Gaussian sums terms of one sign, so its relative error is at most γ_(d + 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from softkv_attention.arrays import F32, F64, I64, norm
from softkv_attention.kernels import kernels
from softkv_attention.lookup.codes.moments import Grams
from softkv_attention.lookup.codes.quantisation import QueryCodes
from softkv_attention.lookup.memory.view import View

UNIT_ROUNDOFF = 2.0**-53
SMALLEST = 2.0**-1074


@dataclass(frozen=True)
class Slack:
    """A bound on the error of a computed similarity or logit s: `absolute` + `relative`·|s|.

    Attributes:
        absolute: the part that is the same for every row.
        relative: the part in proportion to |s|.
    """

    absolute: float
    relative: float

    def at(self, similarity: float) -> float:
        """Return the bound on the error of one computed similarity."""
        return self.absolute + self.relative * abs(similarity)

    def in_logits(self, temperature: float, largest: float) -> Slack:
        """Return the bound for logits z = (s − c)/T + bias, if this is a bound for the similarities s.

        c is one of the computed similarities, or 0. The error of s is at most that at the largest |s|. s − c adds
        2u·largest to it, the quotient adds as much again, all over T; and the last sum adds u·|z|.

        Args:
            temperature: T, above 0.
            largest: an upper bound of |s|, for every row and for the null key.
        """
        return Slack((self.at(largest) + 8 * UNIT_ROUNDOFF * largest) / temperature, 2 * UNIT_ROUNDOFF)


def similarity_slack(similarity: str, query: F64, key_norm: float) -> Slack:
    """Return a bound on the rounding error of a similarity that is computed in float64.

    Args:
        similarity: the similarity's name.
        query: float64[d].
        key_norm: the largest length ‖k‖ of a key.
    """
    d = query.size
    if similarity == "gaussian":
        # Terms of one sign do not cancel, so the error is relative.
        return Slack(0.0, _gamma(d + 4))
    if similarity == "cosine":
        # Relative to ‖q‖·‖k‖, which the product is divided by.
        return Slack(_gamma(2 * d + 8), 0.0)
    absolute = _gamma(d + 2) * norm(query) * key_norm * (1 + _gamma(2 * d)) + d * SMALLEST
    return Slack(absolute / math.sqrt(d) if similarity == "scaled_dot" else absolute, 0.0)


def _gamma(m: int) -> float:
    return m * UNIT_ROUNDOFF / (1 - m * UNIT_ROUNDOFF)


@dataclass(frozen=True)
class QuantisationError:
    """Bounds on the errors of the similarities of a scan, which are products of 8-bit codes.

    k̂ and q̂ are the vectors that the codes of a key k and a query q stand for.

    q·k − q̂·k̂ = q̂·(k − k̂) + (q − q̂)·k. For one row, by Cauchy–Schwarz, that is at most ‖q̂‖·‖k − k̂‖ + ‖q −
    q̂‖·‖k‖. Over all rows, the squares of the two parts add up to q̂ᵀ·G·q̂ and (q − q̂)ᵀ·K·(q − q̂), with the Gram
    matrices G = Σ (k − k̂)(k − k̂)ᵀ and K = Σ k kᵀ. So by Minkowski, the squares of the whole error add up to at most
    the square of the sum of their roots. If the query's code has 16 bits, q − q̂ is so small that trace(K)·‖q − q̂‖²
    suffices. float32 rounds the code product times the scales by 2⁻²¹ of ‖q̂‖·‖k̂‖, and a stored scale by 2⁻²⁴ of it.

    Attributes:
        largest: a bound on any one row's error.
        squares: a bound on the sum of squared errors over all rows, without float32's part; infinite if no bound is
            known.
        uniform: a bound on the part of any one row's error that float32 causes.
    """

    largest: float
    squares: float
    uniform: float

    def widen(self, width: float) -> QuantisationError:
        """Return these bounds with every row's error larger by up to `width`."""
        return QuantisationError(self.largest + width, self.squares, self.uniform + width)

    def mean(self, tail: float, tail_square: float) -> float:
        """Bound Σŵ|ε|, the weighted mean of the errors' sizes, over the tail, the rows scanned as 8-bit codes.

        By Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²), which is sharp if the tail's weights ŵ are nearly equal.

        Args:
            tail: Σŵ over the tail.
            tail_square: Σŵ² over the tail.
        """
        if not math.isfinite(self.squares):
            return math.inf
        return math.sqrt(1.001 * tail_square * self.squares) + tail * self.uniform


@dataclass(frozen=True, eq=False)
class CodeErrors:
    """The part of a view's rows in the errors of scanned similarities; `QuantisationError` adds that of a query.

    Attributes:
        residual: an upper bound on ‖k − k̂‖ of every key.
        key: the largest length of a key; 1 under cosine, where codes stand for keys of length 1.
        grams: upper bounds on the Gram matrices, as `View.grams` has them.
        underflow: a bound on what underflow took from an element of a Gram matrix, times d.
    """

    residual: float
    key: float
    grams: Grams | None
    underflow: float

    @classmethod
    def of(cls, view: View) -> CodeErrors:
        """Return those of all rows of a view."""
        residual = max(segment.key_residual for segment in view.segments)
        key = 1.0 if view.similarity == "cosine" else view.facts.key_norm
        # Each of n products in an element of the Gram matrix may lose up to 2⁻¹²⁶ to underflow, and a form over a unit
        # vector has up to d times as much.
        underflow = sum(segment.block.capacity for segment in view.segments) * (view.dimension or 1) * 2.0**-125
        return cls(residual, key, view.grams, underflow)

    def of_query(self, coded: F64, norm: float, squared_residual: float) -> QuantisationError:
        """Return bounds for one query q with a code of 16 bits; its numbers are those of `quantisation_errors`.

        Args:
            coded: float64[1, d], q̂.
            norm: ‖q‖.
            squared_residual: ‖q − q̂‖².
        """
        residual_norm = math.sqrt(squared_residual) * (1 + 1e-9)
        length = (norm + residual_norm) * (1 + 1e-9)
        uniform = 2.0**-20 * length * (self.key + self.residual)
        largest = (length * self.residual + residual_norm * self.key) * (1 + 1e-9) + uniform
        squares = math.inf
        if self.grams is not None:
            (unit, _), (trace, key_trace) = self.grams.unit, self.grams.traces
            form = float(_bound_forms(coded, unit, trace, self.underflow)[0])
            root = math.sqrt(max(form, 0.0)) + math.sqrt(_bound_by_trace(squared_residual, key_trace, self.underflow))
            squares = root * root
        return QuantisationError(largest, squares, uniform)


def quantisation_errors(view: View, queries: QueryCodes) -> F64:
    """Return float64[q, 3], for each query bounds on the errors of its scanned similarities, from the 8-bit codes.

    The columns are the fields `largest`, `squares` and `uniform` of `QuantisationError`.

    Args:
        view: the rows.
        queries: q queries as integer codes.
    """
    rows = CodeErrors.of(view)
    # ‖q̂‖ ≤ ‖q‖ + ‖q − q̂‖.
    lengths = (queries.norms + queries.residuals_norm) * (1 + 1e-9)
    uniform = 2.0**-20 * lengths * (rows.key + rows.residual)
    largest = (lengths * rows.residual + queries.residuals_norm * rows.key) * (1 + 1e-9) + uniform
    squares = np.full(len(lengths), np.inf)
    if (grams := rows.grams) is not None:
        (unit, key_unit), (trace, key_trace) = grams.unit, grams.traces
        forms = _bound_forms(queries.codes * queries.scales[:, None], unit, trace, rows.underflow)
        if queries.fine:
            left = _bound_by_trace((queries.residuals * queries.residuals).sum(axis=1), key_trace, rows.underflow)
        else:
            left = _bound_forms(queries.residuals, key_unit, key_trace, rows.underflow)
        # Minkowski. A form may be slightly below 0 by rounding.
        squares = (np.sqrt(np.maximum(forms, 0)) + np.sqrt(np.maximum(left, 0))) ** 2
    return np.stack([largest, squares, uniform], axis=1)


def widen_for_addends(errors: F64, thresholds: F64, starts: I64, logits: F64) -> F64:
    """Widen the bounds float64[q, 3] on scanned similarities to bounds on logits, to which a scan adds a bias.

    The bias is rounded to float32 and added in float32. That moves a logit z by 2⁻²⁴ of the bias, whose size is at most
    |z| plus that of the product, and by 2⁻²⁴ of z. Both are at most a quarter of float32's part without bias, plus 2⁻²²
    of |z|. Underflow in float32 adds far less than 10⁻²⁸.

    The bound for |z| is the largest among three: listed rows, the threshold, and 128 below the threshold. It covers all
    rows in between. A row further below has a larger error, but by at most 2⁻²² of the further distance. So it cannot
    be among the best, and it weighs less than e⁻¹²⁷ of the best, truly and as computed.

    Args:
        errors: float64[q, 3], the bounds without the bias, from `quantisation_errors`, whose columns the result has
            too.
        thresholds: float64[q], the highest scanned logit that a row can have without being listed; −∞ if all are.
        starts, logits: int64[q + 1] and float64[l], the listed rows' logits, each query's best first.
    """
    ends = np.append(logits, 0.0)
    first, last = (ends[np.clip(index, 0, len(logits))] for index in (starts[:-1], starts[1:] - 1))
    # The best listed row is first and the worst is last, so |z| is largest at one of the two.
    listed = np.where(starts[1:] > starts[:-1], np.maximum(np.abs(first), np.abs(last)), 0.0)
    level = np.maximum(listed, np.abs(np.where(np.isfinite(thresholds), thresholds, 0.0))) + 128
    # The columns `largest` and `uniform` are errors of single rows; `squares` excludes the part of float32.
    extra = errors[:, 2] / 4 + 2.0**-22 * (level + errors[:, 0]) + 1e-28
    return errors + extra[:, None] * (1.0, 0.0, 1.0)


def _bound_forms(vectors: F64, unit_gram: F32, trace: float, underflow: float) -> F64:
    """Return float64[q], upper bounds of the quadratic form xᵀ·M·x for each vector x, with a Gram matrix M.

    M was summed in float32, up to 1,024 rows at a time. So its error is at most γ₁₀₂₄ of the trace, plus `underflow`,
    that of all elements. Its largest eigenvalue is at most its trace, and so is that of the matrix of its elements'
    sizes. The form is computed in float32 too, from vectors of length 1 and M over its trace: its error is γ of d + 8 ≤
    1,032 terms. Both together are less than 2.02·2⁻¹⁴.

    Args:
        vectors: float64[q, d], the x.
        unit_gram, trace: float32[d, d], M divided by its trace, and the trace.
        underflow: a bound on what underflow took from M.
    """
    squares, forms = kernels().quadratic_forms(vectors, unit_gram)
    return np.asarray(squares * (trace * (forms + 1.01 * 2.0**-13) + underflow))


_Squares = TypeVar("_Squares", float, F64)


def _bound_by_trace(squares: _Squares, trace: float, underflow: float) -> _Squares:
    """Return upper bounds of the forms that `_bound_forms` bounds, from ‖x‖² and the trace alone."""
    return squares * (trace * (1 + 2.0**-13) + underflow)
