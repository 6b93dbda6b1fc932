"""Bounds on the distance of an output from the true one, even if keys, values and weights were 8-bit codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, QuantisationError
from softkv_attention.lookup.bounds.weights import bound_moved_mass, largest_slope
from softkv_attention.lookup.codes.moments import Residuals, Spread
from softkv_attention.lookup.softmax.mixture import Mixture

MAX_ROWS = 1e18
MAX_EXPONENT = 8.0


def bound_exact_output(total_variation: float, value_norm: float, terms: float) -> float:
    """Bound ‖o − ô‖, the error of an output ô = Σ ŵ·v (weighted sum of values) that is summed in float64.

    ‖Σ (w − ŵ)·v‖ ≤ 2·TV·max‖v‖, and the sum itself adds γ_terms·max‖v‖.

    Args:
        total_variation: a bound on TV, the total variation between the true weights w and the computed weights ŵ.
        value_norm: the largest length ‖v‖ of a value.
        terms: the number of additions for one component.
    """
    return (2 * total_variation + 2 * terms * UNIT_ROUNDOFF) * value_norm


def bound_quantised_output(
    spread: Spread | None,
    residuals: Residuals | None,
    value_norm: float,
    mixture: Mixture,
    error: QuantisationError,
    length: float,
    from_mean: float,
    value_errors: Sequence[float],
    variation: float,
    exact: float,
) -> float:
    """Bound ‖o − ô‖, the error of an output (weighted sum of values) that was computed from 8-bit codes.

    The rounding of sums in float64 is not included. The tail are the rows that were only scanned as codes; the others
    were read in float64. Two sums lie between ô and o: true values with computed weights, and true values with weights
    that are true in the tail. `bound_value_codes` bounds the first step and `bound_tail_output` the second. The last
    step is the rounding of the weights of the other rows: 2·TV·max‖v‖, as for any two distributions.

    Args:
        spread: the spread of the values; None if it is unknown.
        residuals: Σ (v − v̂) over a set of rows that contains all summed rows, where v̂ is what the code of v stands
            for; None if the spread is unknown.
        value_norm: the largest ‖v‖.
        mixture: the computed weights.
        error: bounds on the errors of the similarities of the tail.
        length, from_mean: upper bounds of ‖ô‖ and of the distance of ô from the mean of all values.
        value_errors: five bounds on the errors of coded values and weights, in units of weight, see
            `scan.VALUE_ERRORS`.
        variation: a bound on the total variation between true and computed weights.
        exact: the part of `variation` that does not come from the tail.
    """
    # This holds for any two distributions over values of at most this length.
    simple = 2 * variation * value_norm
    if mixture.tail == 0 or spread is None or residuals is None:
        return simple + sum(value_errors[:3])
    code_error = bound_value_codes(value_errors, mixture, spread, residuals, value_norm)
    temperature = mixture.evidence.temperature
    mean = error.mean(mixture.tail, mixture.tail_square)
    shift = bound_tail_output(
        error.largest / temperature,
        mixture.tail,
        mixture.tail_gap,
        mean / temperature if math.isfinite(mean) else math.inf,
        [
            # Two centres: ô itself, and the mean of all values, around which they spread least. ō is within code_error
            # of ô.
            Centre(
                bound_directional_shift(mixture, error, square, value_norm + length) / temperature,
                distance + code_error,
            )
            for length, square, distance in (
                (length, spread.around(from_mean), 0.0),
                (spread.mean_length, spread.around_mean, from_mean),
            )
        ],
        value_norm,
        length + code_error,
    )
    # The codes of values move ô by up to code_error whichever bound the weights have.
    return min(simple, 2 * exact * value_norm + shift) + code_error


@dataclass(frozen=True)
class Centre:
    """A point c near the values v, and a bound on how far errors ε of logits move the output relative to c.

    ō is the output, the sum of true values with computed weights ŵ. The tail are the rows whose logits have errors.

    Attributes:
        directional_shift: an upper bound of Σŵ·|ε·(v − c)·y| over the tail, for any unit vector y.
        distance: an upper bound of ‖c − ō‖.
    """

    directional_shift: float
    distance: float


def bound_tail_output(
    b: float,
    tail: float,
    tail_gap: float,
    mean_error: float,
    centres: Sequence[Centre],
    longest: float,
    length: float,
) -> float:
    """Bound how far the errors of the tail's logits move the output Σ w·v.

    The tail are the rows whose similarities come from 8-bit codes. `bound_tail` bounds the error of their weights.

    With ŵ, Y, E and b of `bound_tail` and ō = Σŵ·v: o − ō = Σŵ·(Y/E[Y] − 1)·v = Σŵ·(Y − 1)·(v − ō) / E[Y], because E[Y]
    − 1 = Σŵ·(Y − 1). Let D_i = ŵ_i·(Y_i − 1), which is 0 outside the tail. Then, for any centre c, ‖ΣD·(v − ō)‖ ≤
    ‖ΣD·(v − c)‖ + |ΣD|·‖c − ō‖. In the first term, errors in different directions do not add up, see `Centre`. And
    ‖ΣD·(v − ō)‖ ≤ Σ|D|·max‖v − ō‖. In all of them |Y − 1| ≤ |ε|·(exp(b) − 1)/b. The smallest of these bounds holds.

    Rounding in float32 is added. A tail term, which is also its value's factor, has an error of 10⁻⁶ + 2⁻²²·|x|. The
    sum of 64 terms that normalises the weights has a relative error of 2⁻¹⁸, which only scales the output.

    Args:
        b: a bound on |ε|.
        tail: the tail's weight.
        tail_gap: Σŵ|x| over the tail.
        mean_error: a bound on Σŵ|ε| over the tail.
        centres: any number of points c, possibly zero.
        longest: the largest length ‖v‖ of a value.
        length: an upper bound of ‖ō‖.

    Returns:
        A bound on ‖o − ō‖; infinite if b is above 8, because the bound on total variation is then about 1 anyway.
    """
    if not b <= MAX_EXPONENT:
        return math.inf
    moved_mass = bound_moved_mass(b, tail, mean_error)
    from_centres = (centre.directional_shift * largest_slope(b) + moved_mass * centre.distance for centre in centres)
    shift = min([moved_mass * (longest + length), *from_centres])
    # A term may truly be exp(b) times as large as computed, and its rounding with it.
    terms, sums = math.exp(b) * (1e-6 * tail + 2.0**-22 * tail_gap), 5e-6 * tail
    least_mean = 1 - min(-tail * math.expm1(-b), moved_mass) - terms - sums  # at most E[Y]
    return (shift + terms * (longest + length) + sums * length) / least_mean if least_mean > 0 else math.inf


def bound_directional_shift(mixture: Mixture, error: QuantisationError, square: float, longest: float) -> float:
    """Bound Σŵ·|ε·p| over the tail, where ε are the errors of similarities, and p any numbers with Σp² ≤ λ and |p| ≤ R.

    The tail are the rows whose similarities come from 8-bit codes. p stands for the components of values, relative to a
    centre, along one direction. Each error is at most b, and the squares of all errors add up to at most Q. So by
    Cauchy–Schwarz the sum is at most √Σ(ŵ·error)²·√λ: the worst case has b on the heaviest Q/b² rows and 0 elsewhere.
    It is also at most √Q·√Σ(ŵp)²: the worst case has R on the heaviest λ/R² rows. float32 adds at most `error.uniform`
    to each error.

    Args:
        mixture: the computed weights ŵ.
        error: bounds on the errors of similarities: b, Q and the part of float32.
        square: λ.
        longest: R.
    """
    if error.largest == 0 or longest == 0:
        return 0.0
    # The most rows that can have the largest error until the sum of squares is used up.
    rows = min(error.squares / error.largest**2, MAX_ROWS)
    bounds = [error.largest * _root(mixture.heaviest(rows)) * _root(square)]
    if math.isfinite(error.squares):
        # This is the other bound, with the roles of ε and p exchanged.
        bounds.append(longest * _root(mixture.heaviest(square / longest**2)) * _root(error.squares))
    return 1.001 * (min(bounds) + error.uniform * _root(mixture.tail_square) * _root(square))


def bound_value_codes(
    value_errors: Sequence[float], mixture: Mixture, spread: Spread, residuals: Residuals, longest: float
) -> float:
    """Bound the error of Σ a·v over the summed rows that comes from coding values v and weights a in 8 bits.

    ô is the sum as computed from codes, so the bound is on ‖Σ a·v − ô‖, with the weights a before they are rounded.

    A value v whose code stands for v̂ has the residual r = v − v̂. Let λ be the largest eigenvalue of Σ r·rᵀ over all
    rows: then ‖Σ b·r‖ ≤ ‖b‖·√λ. The mean ā of the weights causes no error. For Σ r is known of n rows, all rows summed
    in codes among them, and ô contains ā·Σ r, see `estimate`. So the error is Σ(a − ā)·r over these n rows, with a = 0
    for rows that were not summed. With ā = Σa/n the sum of squares is Σa² − (Σa)²/n, which is small if the weights are
    nearly equal. Rounding the weights by δ moves the sum by ‖Σ δ·v̂‖, at most ‖δ‖ times the sum of √λ for v and √λ for
    r. The sums of the norms are bounds too, and the smaller one of each pair holds.

    Stored scales are rounded to float32, which moves v̂ by 2⁻²⁴ of itself. Σa and Σa² were summed in float32, up to
    1,024 terms at a time.

    Args:
        value_errors: five bounds from the scan, in units of weight, see `scan.VALUE_ERRORS`.
        mixture: the computed weights, which give Σa² over all summed rows.
        spread: the spread of the values of all rows.
        residuals: Σ r over n rows, and n.
        longest: the largest length ‖v‖ of a value.
    """
    left_out, residual, rounding, mass, rounding_square = value_errors
    mean = mass / max(residuals.count, 1)
    # Σ(a − ā)² = Σa² − ā·Σa cancels. So the first term is rounded up, and the second down.
    deviations = max(1.0001 * mixture.summed_square - (1 - 2e-4) * mean * mass, 0.0)
    residual_error = _root(deviations) * _root(spread.residual_spread)
    scale_error = mixture.tail * (2.0**-23 * longest + 2.0**-140 * math.sqrt(len(spread.mean)))
    roots = _root(spread.around_zero) + _root(spread.residual_spread)
    level_error = 1.0001 * _root(rounding_square) * roots
    coded = min(residual + mean * residuals.length, residual_error + scale_error)
    return left_out + coded + min(rounding, level_error)


def _root(square: float) -> float:
    """Return the square root, rounded up to cover the rounding error of its argument."""
    return math.sqrt(square) * (1 + 1e-9)
