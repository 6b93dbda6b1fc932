"""How far a blended output can be from the true one, where keys, values and weights were all in bytes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from attention.lookup.bounds.weights import Centre, coarsely_blended
from attention.lookup.codes.moments import Spread
from attention.lookup.memory.view import View
from attention.lookup.scan.error import CodingError
from attention.lookup.softmax.mixture import Mixture

Array = NDArray[np.float64]

MOST_ROWS = 1e18


def output_error(
    view: View, found: Mixture, error: CodingError, output: Array, coding: Array, variation: float, exact: float
) -> float:
    """A bound on ‖o − ô‖, sums in float64 left out.

    On the way from ô to o lie the blend of true values by the weights as computed (`coded`), that by weights which are
    true in the tail (`coarsely_blended`), and what float64 leaves open in the head: 2·TV·max‖v‖, as for any two
    distributions.

    Args:
        view: for its values.
        found: the distribution.
        error: of similarities that were only scanned.
        output: float64[d_v], ô.
        coding: float64[5], see `harvest.CODING`, in weights.
        variation: the total variation between true and computed weights, at most.
        exact: the part of it that the tail has no share in.
    """
    plain = 2 * variation * view.value_norm
    spread = None if found.tail == 0 else view.value_spread
    if spread is None:
        return plain + float(coding[:3].sum())
    off = coded(coding, found, spread, view.value_norm)
    temperature = found.evidence.temperature
    mean = error.mean(found.tail, found.tail_square)
    moved = coarsely_blended(
        error.largest / temperature,
        found.tail,
        found.tail_depth,
        mean / temperature if np.isfinite(mean) else np.inf,
        [
            Centre(turned(found, error, square, view.value_norm + _length(centre)) / temperature, distance + off)
            for centre, square, distance in (
                (output, spread.around(output), 0.0),
                (spread.mean, spread.around_mean, _length(spread.mean - output)),
            )
        ],
        view.value_norm,
        _length(output) + off,
    )
    return min(plain, 2 * exact * view.value_norm + moved) + off


def turned(found: Mixture, error: CodingError, square: float, reach: float) -> float:
    """Σŵ·|error·p| over the tail, at most, for any p with Σp² ≤ λ and |p| ≤ R.

    Such are values seen from a centre along one direction. Errors are at most b each, and their squares add up to Q.
    So by Cauchy–Schwarz the sum is at most √Σ(ŵ·error)²·√λ, at worst with b on the heaviest Q/b² rows and 0 elsewhere;
    and √Q·√Σ(ŵp)², at worst with R on the heaviest λ/R² rows. What float32 adds to each error is at most `uniform`.

    Args:
        found: for the weights.
        error: of similarities.
        square: λ.
        reach: R.
    """
    if error.largest == 0 or reach == 0:
        return 0.0
    rows = min(error.squares / error.largest**2, MOST_ROWS)
    bounds = [error.largest * _root(found.heaviest(rows)) * _root(square)]
    if np.isfinite(error.squares):
        bounds.append(reach * _root(found.heaviest(square / reach**2)) * _root(error.squares))
    return 1.001 * (min(bounds) + error.uniform * _root(found.tail_square) * _root(square))


def coded(coding: Array, found: Mixture, spread: Spread, longest: float) -> float:
    """A bound on ‖Σ a·v − ô‖ over the rows of the bulks, a their weights before they were rounded to levels.

    A coded value is off by r = v − v̂, and Σ r·rᵀ has a largest eigenvalue λ over all rows: ‖Σ a·r‖ ≤ ‖a‖·√λ. Any mean
    ā can be taken out of the weights, ‖Σ a·r‖ ≤ ā·‖Σ r‖ + √Σ(a − ā)²·√λ with sums over all n rows there are, a = 0 for
    those that are not in a bulk. With ā = Σa/n the sum under the root is Σa² − (Σa)²/n: little where weights are much
    alike. Rounding weights by δ moves the blend by ‖Σ δ·v̂‖, at most ‖δ‖ times the sum of the roots of λ for v and r.
    Sums of the norms are bounds as well, and the least holds.

    Stored scales are rounded to float32, which moves v̂ by 2⁻²⁴ of itself; Σa and Σa² were summed in float32, up to
    1,024 terms at a time.

    Args:
        coding: float64[5], see `harvest.CODING`, in weights.
        found: for Σa² over all rows of the bulks.
        spread: of the values.
        longest: the largest ‖v‖.
    """
    left_out, residual, rounding, mass, rounding_square = map(float, coding)
    mean = mass / max(spread.count, 1)
    uneven = max(1.0001 * found.bulk_square - (1 - 2e-4) * mean * mass, 0.0)
    lengths = _root(1.0001 * found.bulk_square) * _root(spread.of_left)
    apart = mean * spread.left * (1 + 1e-9) + _root(uneven) * _root(spread.of_left)
    scales = found.tail * (2.0**-23 * longest + 2.0**-140 * math.sqrt(len(spread.mean)))
    every = _root(spread.around(np.zeros_like(spread.mean))) + _root(spread.of_left)
    levels = 1.0001 * _root(rounding_square) * every
    return left_out + min(residual, min(lengths, apart) + scales) + min(rounding, levels)


def _root(square: float) -> float:
    """The square root, with room for the rounding of what stands under it."""
    return math.sqrt(square) * (1 + 1e-9)


def _length(vector: Array) -> float:
    return math.sqrt(float(vector @ vector)) * (1 + 1e-9)
