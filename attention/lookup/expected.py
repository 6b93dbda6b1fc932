"""How far a blend is to be expected off: no bound, but what says whether another way is worth its time.

Codes round each component by itself, so what they leave out of rows points in all directions and adds up as squares
do. What a query's own code leaves out is one vector for all rows. All that is needed is known after a scan, but for the
values of single rows: for these stand the means over all values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from attention.lookup.bounds.similarities import QuantisationError
from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.scan.accumulator import VALUE_ERRORS
from attention.lookup.softmax.mixture import Mixture

MASS, ROUNDING_SQUARE = (VALUE_ERRORS.index(name) for name in ("mass", "rounding_square"))


def expected_fine(
    found: Mixture,
    error: QuantisationError,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
) -> float:
    """About ‖o − ô‖, o the true blend and ô what 16 bits of a query and of weights make of it.

    The similarities of the tail are off by q·(k − k̂), each by itself: by σ in the mean square. That leaves
    Σŵ·ε/T·(v − ô), about σ/T·√(Σŵ²) times how far values lie from ô. The codes of the values leave out Σ(a − ā)·r.

    Args:
        found: the distribution.
        error: of similarities.
        value_errors: see `accumulator.VALUE_ERRORS`, in weights.
        spread: of the values.
        residuals: what was put back of what their codes leave out.
        from_mean: how far ô is from the mean of all values.
    """
    return _finite(_rows(found, _deviation(error, found, spread), value_errors, spread, residuals, from_mean))


def expected_coarse(
    found: Mixture,
    error: QuantisationError,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
    apart: float,
    keys: int,
) -> float:
    """The same where query and weights have 8 bits.

    What the query's code leaves out is about as much as all that the keys' do. It turns the blend along what keys and
    values have to do with one another, at most what each of them spreads; and where keys have a direction in common it
    moves all that was summed by one factor, and so the blend by `apart`. Weights are rounded to levels evenly, but
    those below half a level are lost, each with about the mean value.

    Args:
        apart: ‖Σ ŵ·(v − ô)‖ over the rows that were summed.
        keys: how many rows pass.
    """
    deviation, rows = _deviation(error, found, spread) / 2, max(spread.count, 1)
    half_level = value_errors[ROUNDING_SQUARE] / rows
    mass = found.tail - float(found.candidates.sum())
    return _finite(
        math.hypot(
            _rows(found, deviation, value_errors, spread, residuals, from_mean),
            found.tail * deviation * math.sqrt(spread.usual / rows),
            deviation * apart,
            math.sqrt(value_errors[ROUNDING_SQUARE] / 3 * spread.square / rows),
            _mass_below(math.sqrt(half_level), mass, found.summed_square, keys) * spread.mean_length,
        )
    )


def _deviation(error: QuantisationError, found: Mixture, spread: Spread) -> float:
    """Of logits: about the root of their errors' mean square."""
    return math.sqrt(error.squares / max(spread.count, 1)) / found.evidence.temperature if found.tail > 0 else 0.0


def _rows(
    found: Mixture,
    deviation: float,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
) -> float:
    """What the codes of keys and values leave open, each row by itself."""
    rows = max(spread.count, 1)
    around = max(spread.square / rows - spread.mean_length**2, 0.0) + from_mean**2
    uneven = max(found.summed_square - value_errors[MASS] ** 2 / max(residuals.count, 1), 0.0)
    return math.hypot(
        deviation * math.sqrt(found.tail_square * around), math.sqrt(uneven * spread.residual_square / rows)
    )


def _mass_below(level: float, mass: float, square: float, rows: int) -> float:
    """About what weights below a level come to together, of so many rows whose weights and their squares add up so.

    Logits are about normal, so the logarithms of weights are taken to be.
    """
    if not (level > 0 and mass > 0):
        return 0.0
    variance = math.log(max(rows * square / mass / mass, 1.0))
    if variance < 1e-6:
        return 0.0
    above = math.log(level * rows / mass) - variance / 2  # of the middle of the mass
    return mass * math.erfc(-above / math.sqrt(2 * variance)) / 2


def _finite(length: float) -> float:
    """0 where nothing is known."""
    return length if math.isfinite(length) else 0.0
