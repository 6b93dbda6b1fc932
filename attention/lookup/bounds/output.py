"""How far a blended output can be from the true one, where keys, values and weights were all in bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attention.lookup.bounds.similarities import UNIT_ROUNDOFF, QuantisationError
from attention.lookup.bounds.weights import largest_slope, moved_weight
from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.softmax.mixture import Mixture

MAX_ROWS = 1e18
MAX_EXPONENT = 8.0


def bound_summed(total_variation: float, value_norm: float, terms: float) -> float:
    """How far Σ w·v can be off: ‖Σ (w − ŵ)·v‖ ≤ 2·TV·max‖v‖, and γ_terms·max‖v‖ for the sum itself.

    Args:
        total_variation: of the weights.
        value_norm: the largest ‖v‖.
        terms: how many additions stand behind one component.
    """
    return (2 * total_variation + 2 * terms * UNIT_ROUNDOFF) * value_norm


def bound_quantised(
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
    """A bound on ‖o − ô‖, sums in float64 left out.

    On the way from ô to o lie the blend of true values by the weights as computed (`bound_value_codes`), that by
    weights which are true in the tail (`bound_blend`), and what float64 leaves open in the head: 2·TV·max‖v‖, as for
    any two distributions.

    Args:
        spread: of the values; None where it is not known.
        residuals: of rows among which are all that were summed, see `bound_value_codes`; None with the spread.
        value_norm: the largest ‖v‖.
        mixture: the distribution.
        error: of similarities that were only scanned.
        length, from_mean: at least ‖ô‖, and how far ô is from the mean of all values.
        value_errors: see `accumulator.VALUE_ERRORS`, in weights.
        variation: the total variation between true and computed weights, at most.
        exact: the part of it that the tail has no share in.
    """
    plain = 2 * variation * value_norm
    if mixture.tail == 0 or spread is None or residuals is None:
        return plain + sum(value_errors[:3])
    off = bound_value_codes(value_errors, mixture, spread, residuals, value_norm)
    temperature = mixture.evidence.temperature
    mean = error.mean(mixture.tail, mixture.tail_square)
    moved = bound_blend(
        error.largest / temperature,
        mixture.tail,
        mixture.tail_gap,
        mean / temperature if math.isfinite(mean) else math.inf,
        [
            Centre(bound_turn(mixture, error, square, value_norm + length) / temperature, distance + off)
            for length, square, distance in (
                (length, spread.around(from_mean), 0.0),
                (spread.mean_length, spread.around_mean, from_mean),
            )
        ],
        value_norm,
        length + off,
    )
    return min(plain, 2 * exact * value_norm + moved) + off


@dataclass(frozen=True)
class Centre:
    """A point c among values v, and how far errors ε of logits can turn a blend that is seen from there.

    Attributes:
        bound_turn: at least Σŵ·|ε·(v − c)·y| over the tail, for any y of length 1.
        distance: at least ‖c − ō‖, ō the blend.
    """

    bound_turn: float
    distance: float


def bound_blend(
    b: float,
    tail: float,
    tail_gap: float,
    mean_error: float,
    centres: Sequence[Centre],
    longest: float,
    length: float,
) -> float:
    """How far the blend Σ w·v moves where `bound_tail` bounds how far the weights do.

    With ŵ, Y, E and b of `bound_tail` and ō = Σŵ·v: o − ō = Σŵ·(Y/E[Y] − 1)·v = Σŵ·(Y − 1)·(v − ō) / E[Y], because
    E[Y] − 1 = Σŵ·(Y − 1). Let D_i = ŵ_i·(Y_i − 1), which is 0 outside the tail. Then, for any centre c,
    ‖ΣD·(v − ō)‖ ≤ ‖ΣD·(v − c)‖ + |ΣD|·‖c − ō‖, where errors that do not all point one way do not add up, see `Centre`.
    And ‖ΣD·(v − ō)‖ ≤ Σ|D|·max‖v − ō‖. In all of them |Y − 1| ≤ |ε|·(exp(b) − 1)/b; the least holds.

    Rounding in float32 comes on top: a tail term, by which its value is multiplied too, is off by 10⁻⁶ + 2⁻²²·|x|, and
    the sum of 64 terms that makes the weights add up to one by 2⁻¹⁸ of itself, which moves the blend along itself.

    Args:
        b: a bound on |ε|.
        tail: the tail's weight.
        tail_gap: Σŵ|x| over the tail.
        mean_error: a bound on Σŵ|ε| over the tail.
        centres: some, or none.
        longest: the largest ‖v‖.
        length: at least ‖ō‖.

    Returns:
        A bound on ‖o − ō‖; infinite where b is above 8, and nothing below 1 is to be expected.
    """
    if not b <= MAX_EXPONENT:
        return math.inf
    moved = moved_weight(b, tail, mean_error)
    seen_from = (some.bound_turn * largest_slope(b) + moved * some.distance for some in centres)
    apart = min([moved * (longest + length), *seen_from])
    terms, sums = math.exp(b) * (1e-6 * tail + 2.0**-22 * tail_gap), 5e-6 * tail
    left = 1 - min(-tail * math.expm1(-b), moved) - terms - sums
    return (apart + terms * (longest + length) + sums * length) / left if left > 0 else math.inf


def bound_turn(mixture: Mixture, error: QuantisationError, square: float, longest: float) -> float:
    """Σŵ·|error·p| over the tail, at most, for any p with Σp² ≤ λ and |p| ≤ R.

    Such are values seen from a centre along one direction. Errors are at most b each, and their squares add up to Q.
    So by Cauchy–Schwarz the sum is at most √Σ(ŵ·error)²·√λ, at worst with b on the heaviest Q/b² rows and 0 elsewhere;
    and √Q·√Σ(ŵp)², at worst with R on the heaviest λ/R² rows. What float32 adds to each error is at most `uniform`.

    Args:
        mixture: for the weights.
        error: of similarities.
        square: λ.
        longest: R.
    """
    if error.largest == 0 or longest == 0:
        return 0.0
    rows = min(error.squares / error.largest**2, MAX_ROWS)
    bounds = [error.largest * _root(mixture.heaviest(rows)) * _root(square)]
    if math.isfinite(error.squares):
        bounds.append(longest * _root(mixture.heaviest(square / longest**2)) * _root(error.squares))
    return 1.001 * (min(bounds) + error.uniform * _root(mixture.tail_square) * _root(square))


def bound_value_codes(
    value_errors: Sequence[float], mixture: Mixture, spread: Spread, residuals: Residuals, longest: float
) -> float:
    """A bound on ‖Σ a·v − ô‖ over the rows that were summed, a their weights before they were rounded to levels.

    A coded value is off by r = v − v̂, and Σ r·rᵀ has a largest eigenvalue λ over all rows: ‖Σ b·r‖ ≤ ‖b‖·√λ. What
    weights have in common is no loss, for Σ r is known of n rows among which are all that were summed in codes: ô has
    ā·Σ r in it, see `blending`, and what is left out is Σ(a − ā)·r over these n, a = 0 for those that were not
    summed. With ā = Σa/n the sum of squares is Σa² − (Σa)²/n: little where weights are much alike. Rounding weights by
    δ moves the blend by ‖Σ δ·v̂‖, at most ‖δ‖ times the sum of the roots of λ for v and r. Sums of the norms are bounds
    as well, and the least holds.

    Stored scales are rounded to float32, which moves v̂ by 2⁻²⁴ of itself; Σa and Σa² were summed in float32, up to
    1,024 terms at a time.

    Args:
        value_errors: see `accumulator.VALUE_ERRORS`, in weights.
        mixture: for Σa² over all rows that were summed.
        spread: of the values of all rows.
        residuals: Σ r, and n.
        longest: the largest ‖v‖.
    """
    left_out, residual, rounding, mass, rounding_square = value_errors
    mean = mass / max(residuals.count, 1)
    uneven = max(1.0001 * mixture.summed_square - (1 - 2e-4) * mean * mass, 0.0)
    apart = _root(uneven) * _root(spread.residual_spread)
    scales = mixture.tail * (2.0**-23 * longest + 2.0**-140 * math.sqrt(len(spread.mean)))
    every = _root(spread.around_zero) + _root(spread.residual_spread)
    levels = 1.0001 * _root(rounding_square) * every
    return left_out + min(residual + mean * residuals.length, apart + scales) + min(rounding, levels)


def _root(square: float) -> float:
    """The square root, with room for the rounding of what stands under it."""
    return math.sqrt(square) * (1 + 1e-9)
