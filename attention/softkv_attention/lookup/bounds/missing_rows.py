"""Bounds on Σ exp(s/T) over rows that were not read, from the mean, the variance and the maximum of their s."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, norm
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF
from softkv_attention.lookup.codes.summary import KeySummary
from softkv_attention.similarity import unit

SUM_ERROR = 2.0**-33
"""A bound on the error of Σx and of a product with it, relative to the lengths: room for 2¹⁹ additions a component."""

GRAM_ERROR = 2.0**-21
"""A bound on the error of Σx·xᵀ, relative to its trace.

float32 rounds each element by 2⁻²⁴ of its size, and the matrix of these sizes has no eigenvalue above the trace. The
bound has room for seven roundings, because parts are added up and sent on.
"""


@dataclass(frozen=True)
class MissingRows:
    """Proven limits of the similarities s of one query with n rows that cannot be read, for example on a lost machine.

    They follow from sums over the keys that were stored earlier, and include rounding errors.

    Attributes:
        n: the number of rows.
        highest: b, an upper bound of every s.
        mean_low, mean_high: a lower and an upper bound of the mean μ of s.
        variance: an upper bound of the variance σ² of s.
    """

    n: int
    highest: float
    mean_low: float
    mean_high: float
    variance: float

    @classmethod
    def of(cls, summary: KeySummary, query: F64) -> MissingRows:
        """Compute the limits from a summary of the rows' keys, which must have at least one row.

        For cosine b is 1, for dot ‖q‖·max‖k‖, for gaussian −½·max(0, ‖q‖ − max‖k‖)². Also no s lies farther from the
        mean than √(n − 1) deviations (Samuelson 1968). For the other rows balance its distance from the mean, so that
        n·σ² ≥ (s − μ)² + (s − μ)²/(n − 1).

        Args:
            summary: sums over the keys.
            query: float64[d]; not zero for cosine.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            vector, key, offset, highest = _query_vector(summary, query)
            size = float(np.sqrt(np.einsum("i,i", vector, vector)))
            mean = float(np.einsum("i,i", vector, summary.total)) / summary.n
            # Not through BLAS, whose threads would wait for a busy core.
            square = float(np.einsum("i,i", np.einsum("ij,j->i", summary.gram, vector), vector)) / summary.n
            gram_error = GRAM_ERROR * size * size * float(np.trace(summary.gram)) / summary.n
            # Σx is off in proportion to n·max‖x‖, so its mean is off in proportion to max‖x‖.
            sum_error = SUM_ERROR * (size * key + abs(offset))
            # E[s²] − E[s]² may cancel. With the errors of both terms added, it stays an upper bound.
            variance = max(0.0, square - mean * mean) + gram_error + 2 * abs(mean) * sum_error + sum_error * sum_error
        if not math.isfinite(variance + mean + sum_error):
            # Sums that overflowed bound nothing. The largest similarity follows from lengths alone.
            highest = highest if math.isfinite(highest) else math.inf
            return cls(summary.n, highest, -math.inf, math.inf, math.inf)
        farthest = mean + offset + sum_error + math.sqrt((summary.n - 1) * variance) * (1 + 1e-9)
        return cls(
            summary.n,
            min(highest + sum_error, farthest),
            mean + offset - sum_error,
            mean + offset + sum_error,
            variance * (1 + 1e-9),
        )

    def max_log_mass(self, temperature: float) -> float:
        """Return an upper bound of ln Σ exp(s/T) over the rows, at a temperature T above 0.

        Let y = b − s ≥ 0, ν the mean of y, S the mean of y² and z = S/(ν·T). Then the mean of exp(−y/T) is at most 1 −
        (ν²/S)·(1 − exp(−z)), its mean under the two-point law with y = 0 and y = S/ν.

        Proof: let p be the parabola that has the value of exp(−y/T) at 0, and its value and slope at S/ν. The
        difference of the two has no other zero, because its second derivative has only one. So p is nowhere below
        exp(−y/T) on y ≥ 0. And p = 1 − α·y + β·y² with α, β ≥ 0. Its mean is the value above, and does not grow if the
        true ν is larger, or the true S smaller, than the one that was used.
        """
        # Limits of ν. The bound takes the smallest ν and the largest S, and the true ones only lower it.
        nearest, widest = self.highest - self.mean_high, self.highest - self.mean_low
        if not (nearest > 0 and math.isfinite(self.variance)):
            # The mean may be as large as the maximum, and then every row may have it.
            share, steps = 0.0, 0.0
        else:
            spread = self.variance + (widest - nearest) * (widest + nearest)
            square = nearest * nearest + spread
            steps = (nearest + spread / nearest) / temperature
            # 1 − (ν²/S)·(1 − exp(−z)) as the logarithm of two terms, because exp(−z) may vanish beside 1.
            share = float(np.logaddexp(_log(spread / square), _log(nearest * nearest / square) - steps))
        level = self.highest / temperature
        return level + share + math.log(self.n) + _rounding(abs(level) + steps)

    def min_log_mass(self, temperature: float) -> float:
        """Return a lower bound of ln Σ exp(s/T) over the rows, at a temperature T above 0.

        It is ln(n·exp(μ/T)) for the mean similarity μ, by Jensen's inequality.
        """
        level = self.mean_low / temperature if math.isfinite(self.mean_low) else -math.inf
        return level + math.log(self.n) - (_rounding(abs(level)) if math.isfinite(level) else 0.0)


def _query_vector(summary: KeySummary, query: F64) -> tuple[F64, float, float, float]:
    """Return a vector q′ and an offset such that the similarity of every summarised row is q′·x + offset.

    x is the vector of the row that a `KeySummary` sums: k for dot, k/‖k‖ for cosine, (k, −½‖k‖²) for gaussian.

    Args:
        summary: sums over the rows.
        query: float64[d].

    Returns:
        q′, an upper bound of ‖x‖ over the rows, the offset, and an upper bound of the similarity.
    """
    key = summary.key_norm
    if summary.similarity == "cosine":
        return unit(query), 1.0, 0.0, 1.0
    length = norm(query)
    if summary.similarity == "gaussian":
        distance = max(0.0, length - key)
        return np.append(query, 1.0), math.hypot(key, key * key / 2), -0.5 * length * length, -0.5 * distance * distance
    if summary.similarity == "scaled_dot":
        query, length = query / math.sqrt(query.size), length / math.sqrt(query.size)
    return query, key, 0.0, length * key * (1 + 1e-9)


def _rounding(size: float) -> float:
    """Return a bound on the rounding error of ln Σ exp(logit).

    Args:
        size: the sum of the absolute values of the terms that the logits are made of.
    """
    return 1e-12 + 16 * UNIT_ROUNDOFF * size


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
