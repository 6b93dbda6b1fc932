"""How far similarities that a scan makes of thin codes are from the true ones: by the law of one random rotation.

Let R be uniform over the orthogonal group, and q chosen without knowledge of it. For a key k, given R·k, the part of q
that is at right angles to k is turned into a uniform direction at right angles to R·k: R's law stays the same under
rotations that leave k alone. With `codes.thin`, the error ŝ − s = ‖k‖·tan θ·⟨u, R·q⟩, where θ and u are functions of
R·k; so ⟨u, R·q⟩ over the length of that part of q, at most ‖q‖, is a coordinate of a uniform point of the unit sphere
in d − 1 dimensions. That law is exact. Errors of different keys are dependent, and nothing here takes them for
independent: all of them together are bounded by a union.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64
from attention.lookup.codes.queries import QueryCodes


def tail(dimension: int, far: float) -> float:
    """ln of at least the chance that a coordinate of a uniform point on the unit sphere of so many dimensions m is
    beyond ±far.

    Its density is C·(1 − x²)^((m − 3)/2) with C = Γ(m/2) / (√π·Γ((m − 1)/2)). As x/far ≥ 1 beyond `far`, the integral
    from there on is at most that of x/far times it: C·(1 − far²)^((m − 1)/2) / (far·(m − 1)).
    """
    factor = math.lgamma(dimension / 2) - math.lgamma((dimension - 1) / 2) - math.log(math.pi) / 2
    power = (dimension - 1) / 2 * math.log1p(-far * far)
    return factor + power - math.log(far * (dimension - 1)) + math.log(2)


def reach(width: int, chance: float) -> float:
    """How far a coordinate of a uniform point on the sphere in width − 1 dimensions is from 0, but for a chance."""
    low, high, wanted = 1e-3, 1 - 1e-12, math.log(chance)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(width - 1, middle) > wanted else (low, middle)
    return high


@dataclass(frozen=True, eq=False)
class ThinErrors:
    """How far scanned similarities ŝ can be from the true ones s, of q queries.

    Attributes:
        above: float64[q], s − ŝ is at most this.
        below: float64[q], ŝ − s is at most this.
        units: float32[q], what rows above the usual spread are raised by, for each one of spread.
    """

    above: F64
    below: F64
    units: F32


def thin_errors(queries: QueryCodes, usual: float, largest: float, length: float, far: float) -> ThinErrors:
    """The bounds for keys whose errors are within `far`.

    ŝ is off by at most far·spread·‖q‖. A row whose spread is above the usual one is scanned with ŝ raised by the rest,
    far·(spread − usual)·‖q‖: so s − ŝ is at most far·usual·‖q‖ for all, which is what heads and draws depend on; and
    ŝ − s at most far·(2·largest − usual)·‖q‖.

    By the query's own code ŝ moves by f·⟨c, R·q − q̂⟩, at most ‖k‖/cos θ times its residual. float32 holds a code
    product times factors to 2⁻²¹ of ‖k‖/cos θ·‖q‖, and a stored factor to 2⁻²⁴ of it; what float64 loses in the
    rotation is far less.

    Args:
        queries: coded, after the rotation.
        usual, largest: of ‖k‖·tan θ.
        length: the largest ‖k‖.
        far: see `reach`.
    """
    lengths = (queries.norms + queries.residuals_norm) * (1 + 1e-9)
    secant = math.hypot(length, largest) * (1 + 1e-6)
    uniform = 2.0**-20 * lengths * secant + queries.residuals_norm * secant
    units = np.nextafter((far * lengths).astype(np.float32), np.float32(np.inf))
    wide = units.astype(np.float64) * (1 + 1e-6)
    return ThinErrors(wide * usual + uniform, wide * max(2 * largest - usual, largest) + uniform, units)


@dataclass(frozen=True)
class ThinError:
    """Of one query: s − ŝ is at most `above`, ŝ − s at most `below`, and either is typically about `typical`."""

    above: float
    below: float
    typical: float
