"""What rows can weigh that nobody read: bounds on Σ exp(s/T) by the mean, the spread and the upper end of their s."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF
from attention.lookup.codes.summary import KeySummary

SUM_ERROR = 2.0**-33
"""What Σx and a product with it can be off, relative to lengths: room for 2¹⁹ additions behind each component."""

GRAM_ERROR = 2.0**-21
"""What Σx·xᵀ can be off, relative to its trace: float32 has 2⁻²⁴ of each element, and the sizes of all elements have no
eigenvalue above the trace. That is room for seven roundings, of parts that were added up and sent on."""


@dataclass(frozen=True)
class MissingRows:
    """What is certain of the similarities of some rows for one query, rounding counted.

    Attributes:
        n: how many rows.
        highest: b, which no similarity is above.
        mean_low, mean_high: their mean μ lies between.
        variance: σ² is at most this.
    """

    n: int
    highest: float
    mean_low: float
    mean_high: float
    variance: float

    @classmethod
    def of(cls, summary: KeySummary, query: F64) -> MissingRows:
        """Of rows by their sums, which must be some.

        b is 1 for cosine, ‖q‖·max‖k‖ for dot, −½·max(0, ‖q‖ − max‖k‖)² for gaussian. And no row lies farther from the
        mean than √(n − 1) deviations (Samuelson 1968): the others have to make up for it, so that
        n·σ² ≥ (s − μ)² + (s − μ)²/(n − 1).

        Args:
            query: float64[d]; not zero for cosine.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(np.sqrt(np.einsum("i,i", query, query)))
            asked, key, offset, highest = _query_vector(summary, query, length)
            size = float(np.sqrt(np.einsum("i,i", asked, asked)))
            mean = float(np.einsum("i,i", asked, summary.total)) / summary.n
            # Not through BLAS, whose threads would wait for a busy core.
            square = float(np.einsum("i,i", np.einsum("ij,j->i", summary.gram, asked), asked)) / summary.n
            lost = GRAM_ERROR * size * size * float(np.trace(summary.gram)) / summary.n
            room = SUM_ERROR * (size * key + abs(offset))
            variance = max(0.0, square - mean * mean) + lost + 2 * abs(mean) * room + room * room
        if not math.isfinite(variance + mean + room):
            known = highest if math.isfinite(highest) else math.inf
            return cls(summary.n, known, -math.inf, math.inf, math.inf)
        farthest = mean + offset + room + math.sqrt((summary.n - 1) * variance) * (1 + 1e-9)
        return cls(
            summary.n, min(highest + room, farthest), mean + offset - room, mean + offset + room, variance * (1 + 1e-9)
        )

    def log_mass_at_most(self, temperature: float) -> float:
        """The logarithm of at least Σ exp(s/T), at a temperature above 0.

        With y = b − s ≥ 0, ν its mean, S that of y² and z = S/(ν·T), no mean of exp(−y/T) is above
        1 − (ν²/S)·(1 − exp(−z)): the two-point law with y = 0 and y = S/ν. For let p be the parabola that has
        exp(−y/T)'s value at 0 and value and slope at S/ν. The difference of the two has no other zero, its second
        derivative having one, so p is nowhere below on y ≥ 0; and p = 1 − α·y + β·y² with α, β ≥ 0, so its mean, which
        is that value, is not exceeded where ν is more or S is less than was taken.
        """
        nearest, widest = self.highest - self.mean_high, self.highest - self.mean_low
        if not (nearest > 0 and math.isfinite(self.variance)):
            share, steps = 0.0, 0.0
        else:
            spread = self.variance + (widest - nearest) * (widest + nearest)
            square = nearest * nearest + spread
            steps = (nearest + spread / nearest) / temperature
            share = float(np.logaddexp(_log(spread / square), _log(nearest * nearest / square) - steps))
        level = self.highest / temperature
        return level + share + math.log(self.n) + _rounding(abs(level) + steps)

    def log_mass_at_least(self, temperature: float) -> float:
        """The logarithm of at most Σ exp(s/T) over all of them: n·exp(μ/T), by Jensen's inequality."""
        level = self.mean_low / temperature if math.isfinite(self.mean_low) else -math.inf
        return level + math.log(self.n) - (_rounding(abs(level)) if math.isfinite(level) else 0.0)


def _query_vector(summary: KeySummary, query: F64, length: float) -> tuple[F64, float, float, float]:
    """(q′, at least the longest x, what is to be added to q′·x, b); see `attention.lookup.codes.summary`."""
    key = summary.key_norm
    if summary.similarity == "cosine":
        return query / length, 1.0, 0.0, 1.0
    if summary.similarity == "gaussian":
        apart = max(0.0, length - key)
        return np.append(query, 1.0), math.hypot(key, key * key / 2), -0.5 * length * length, -0.5 * apart * apart
    if summary.similarity == "scaled_dot":
        query, length = query / math.sqrt(query.size), length / math.sqrt(query.size)
    return query, key, 0.0, length * key * (1 + 1e-9)


def _rounding(size: float) -> float:
    """What a logarithm of a mass can be off, computed of logits whose sizes add up to `size`."""
    return 1e-12 + 16 * UNIT_ROUNDOFF * size


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
