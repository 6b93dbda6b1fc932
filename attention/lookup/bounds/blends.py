"""How far the mean of vectors that were drawn is from their expectation, whatever their law: a bound in any dimension.

**Pinelis** (Annals of Probability 22, 1994, theorem 3.4; D = 1 in a Hilbert space). Let ξ₁ … ξₘ be independent vectors
of one law with mean μ, ‖ξ − μ‖ ≤ b and E‖ξ − μ‖² ≤ v. Then ‖Σ (ξᵢ − μ)‖ ≥ r with a chance of at most
2·exp(r/b − (r/b + m·v/b²)·ln(1 + r·b/(m·v))). By (1 + x)·ln(1 + x) − x ≥ x²/(2 + 2x/3) that is at most
2·exp(−r²/(2·m·v + 2·b·r/3)).
"""

from __future__ import annotations

import math

from attention.dtypes import F64
from attention.lookup.bounds.draws import bet_interval

VARIANCE = 4.0
"""Of squared lengths over the square of their mean, as foreseen: a wrong guess makes a bound wider, not wrong."""


def mean_distance(squares: F64, longest: float, foreseen: float, chance: float) -> float:
    """How far a mean of m vectors is from their expectation, but for a chance.

    Half of it is for v: ‖ξ − μ‖² is at most E‖ξ‖² in the mean, of which `squares` are m independent draws, so that
    `bet_interval` bounds it. The other half is for what Pinelis says, with b = 2·longest.

    Args:
        squares: float64[m], at least ‖ξ‖² of those that were drawn.
        longest: at least ‖ξ‖, whatever may be drawn.
        foreseen: about the mean of `squares`, above 0, as foreseen before anything was drawn.
        chance: of both together.
    """
    count, most = len(squares), max(longest * longest / foreseen, 2.0)
    second = foreseen * bet_interval(squares / foreseen, 0.0, most, VARIANCE, chance / 2).high
    wealth = math.log(2 / (chance / 2))
    # r² − (2·b·wealth/3)·r − 2·m·v·wealth = 0
    half = 2 * longest * wealth / 3
    return (half + math.sqrt(half * half + 2 * wealth * count * second)) / count
