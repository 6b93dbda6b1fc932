"""How far rounding in float64 can carry a computed similarity.

u = 2⁻⁵³, γ_m = m·u / (1 − m·u) (Higham, Accuracy and Stability of Numerical Algorithms, §3.1): a product of two vectors
of width d is off by at most γ_d·‖q‖·‖k‖ in any order of summation. √d adds two roundings; cosine divides by two norms,
each off by γ_(d/2 + 1) relative, with three roundings more; gaussian sums terms of one sign, so it is off by γ_(d + 4)
relative to itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64, I64
from attention.kernels import kernels
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.view import View

UNIT_ROUNDOFF = 2.0**-53


@dataclass(frozen=True)
class Slack:
    """How far a computed similarity or logit s can be from the true one: `absolute` + `relative`·|s|."""

    absolute: float
    relative: float

    def at(self, similarity: float) -> float:
        """The bound for one computed similarity."""
        return self.absolute + self.relative * abs(similarity)

    def in_logits(self, temperature: float, largest: float) -> Slack:
        """The bound on a logit z = (s − c)/T + bias that is computed of computed similarities, c any of them or 0.

        s is off by no more than at the largest, s − c by 2u·largest on top of it, the quotient by as much again over T;
        and the sum by u·|z|.

        Args:
            temperature: above 0.
            largest: at least |s|, and the size of a null key's similarity.
        """
        return Slack((self.at(largest) + 8 * UNIT_ROUNDOFF * largest) / temperature, 2 * UNIT_ROUNDOFF)


def similarity_slack(similarity: str, query: F64, key_norm: float) -> Slack:
    """The bound on a similarity that is computed in float64.

    Args:
        query: float64[d].
        key_norm: the largest ‖k‖.
    """
    d = query.size
    if similarity == "gaussian":
        return Slack(0.0, _gamma(d + 4))
    if similarity == "cosine":
        return Slack(_gamma(2 * d + 8), 0.0)
    absolute = _gamma(d + 2) * float(np.sqrt((query * query).sum())) * key_norm * (1 + _gamma(2 * d))
    return Slack(absolute / np.sqrt(d) if similarity == "scaled_dot" else absolute, 0.0)


def _gamma(m: int) -> float:
    return m * UNIT_ROUNDOFF / (1 - m * UNIT_ROUNDOFF)


@dataclass(frozen=True)
class QuantisationError:
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

    def widen(self, width: float) -> QuantisationError:
        """The same with so much more room for every row."""
        return QuantisationError(self.largest + width, self.squares, self.uniform + width)

    def mean(self, tail: float, tail_square: float) -> float:
        """Σŵ|error| over a tail of weight `tail` whose squared weights add up to `tail_square`, at most.

        By Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²): sharp where the tail's weights are much alike.
        """
        if not math.isfinite(self.squares):
            return math.inf
        return math.sqrt(1.001 * tail_square * self.squares) + tail * self.uniform


def quantisation_errors(view: View, queries: QueryCodes) -> F64:
    """float64[q, 3]: the bounds for each query, in the order of `QuantisationError`."""
    residual = max(segment.key_residual for segment in view.segments)
    key = 1.0 if view.similarity == "cosine" else view.facts.key_norm
    lengths = (queries.norms + queries.residuals_norm) * (1 + 1e-9)
    uniform = 2.0**-20 * lengths * (key + residual)
    largest = (lengths * residual + queries.residuals_norm * key) * (1 + 1e-9) + uniform
    squares = np.full(queries.count, np.inf)
    if (grams := view.grams) is not None:
        seen = queries.codes * queries.scales[:, None]
        lost = sum(segment.block.capacity for segment in view.segments) * seen.shape[1] * 2.0**-125
        parts = [
            _bound_forms(vectors, gram, trace, lost, exact=exact)
            for vectors, gram, trace, exact in zip(
                (seen, queries.residuals), grams.unit, grams.traces, (True, not queries.fine), strict=True
            )
        ]
        squares = (np.sqrt(np.maximum(parts[0], 0)) + np.sqrt(np.maximum(parts[1], 0))) ** 2
    return np.stack([largest, squares, uniform], axis=1)


def widen_for_addends(errors: F64, thresholds: F64, starts: I64, logits: F64) -> F64:
    """Bounds on logits to which a scan added a bias: float64[q, 3], of those without it.

    To add a bias in float32, itself rounded to it, moves a logit z by 2⁻²⁴ of the bias, at most |z| and the product
    together, and 2⁻²⁴ of z: by no more than a quarter of what float32 left open already and 2⁻²² of |z|. What is too
    small for float32 is far less than 10⁻²⁸.

    |z| is taken for the largest there is among listed rows, at the threshold, and 128 below it: enough for all rows in
    between. One further below is off by more, but by no more than 2⁻²² of how much further; so it is not among the best
    either, and weighs less than e⁻¹²⁷ of the best, truly and as computed.

    Args:
        thresholds: float64[q], the highest that a row may have been scanned at without being listed; −∞ where all are.
        starts, logits: int64[q + 1] and float64[l], of those listed, each query's best first.
    """
    ends = np.append(logits, 0.0)
    first, last = (ends[np.clip(at, 0, len(logits))] for at in (starts[:-1], starts[1:] - 1))
    listed = np.where(starts[1:] > starts[:-1], np.maximum(np.abs(first), np.abs(last)), 0.0)
    level = np.maximum(listed, np.abs(np.where(np.isfinite(thresholds), thresholds, 0.0))) + 128
    more = errors[:, 2] / 4 + 2.0**-22 * (level + errors[:, 0]) + 1e-28
    return errors + more[:, None] * (1.0, 0.0, 1.0)


def _bound_forms(vectors: F64, unit_gram: F32, trace: float, lost: float, *, exact: bool) -> F64:
    """At least xᵀ·M·x of each of vectors float64[q, d]; from the trace of M alone where it need not be exact.

    The Gram matrix was summed in float32, up to 1,024 rows at a time: off by at most γ₁₀₂₄ of the trace, and in each
    element by what falls below float32, `lost` in all. Its largest eigenvalue is at most its trace, and so is that of
    the sizes of its elements. The form is taken in float32 as well, of vectors of length 1 and of M over its trace: off
    by γ of d + 8 ≤ 1,032 terms. Both together are less than 2.02·2⁻¹⁴.
    """
    if not exact:
        return np.asarray((vectors * vectors).sum(axis=1) * (trace * (1 + 2.0**-13) + lost))
    squares, forms = kernels().quadratic_forms(vectors, unit_gram)
    return np.asarray(squares * (trace * (forms + 1.01 * 2.0**-13) + lost))
