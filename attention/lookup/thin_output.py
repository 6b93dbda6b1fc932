"""The blended value of the thin path: of rows that are known one by one, and of the rest by its codes and by draws.

Where values are the keys, a scan adds up the codes of the rest as they weigh: y, the mean of v̂. What is drawn of the
rest tells how far X·v is from that on average, X the factor by which a row truly weighs more: that is a short vector,
so few draws are enough to bound it, and seldom enough to mend it. Where values are others there are only the draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.bounds.blends import mean_distance
from attention.lookup.bounds.draws import CHANCE, DEVIATIONS, MOST_DRAWN, PROVEN, ROUNDING, Basis, Interval
from attention.lookup.bounds.output import bound_summed
from attention.lookup.bounds.rounding import UNIT_ROUNDOFF
from attention.lookup.bounds.thin import ThinError
from attention.lookup.parts.thin import Drawn, ThinWhole
from attention.lookup.scan.thin import Foreseen
from attention.lookup.scan.thin_accumulator import ThinScan
from attention.lookup.softmax.mixture import Mixture

TARGET = 1e-3
"""Of the output's own length: an answer is given where its output is to be expected as near as this."""

NEAREST = 0.7
"""Of the largest similarity that there can be: as near is about the best row of a question that has one."""

HOPE, SURE_SHARE = 1.5, 0.8
"""Times the target that may be foreseen of codes and draws, and the part of it that the rest's mass may have."""

MOST_FOR_OUTPUT = 32_768
"""Rows that are drawn for one output at most."""

MOST_SHARE = 2.0001
"""At most so many times its term a row counts when codes are added up, as whole levels are the nearest."""

CHANCE_OF_OUTPUT = CHANCE / 4
"""As much is left to the mean of the factors where an output is asked for, and the half of `CHANCE` where none is."""


@dataclass(frozen=True)
class Rest:
    """What is known of the rows below the threshold, one query's.

    Attributes:
        found: the scan.
        drawn: rows of them.
        factors: float64[m], X = exp((s − ŝ)/T) of these.
        mean: of the factors.
        temperature: T.
        error: of similarities that were scanned.
    """

    found: ThinScan
    drawn: Drawn
    factors: F64
    mean: Interval
    temperature: float
    error: ThinError


@dataclass(frozen=True)
class _Mean:
    """The mean value of the rest, by what its rows truly weigh.

    Attributes:
        value: float64[d_v].
        expected: how far it is to be expected from the true one.
        error: how far it is at most, by what the basis says.
    """

    value: F64
    expected: float
    error: float


def draws_for_mass(error: ThinError, temperature: float, weight: float) -> float:
    """How many draws make twice the deviation of the rest's mass move an output by `SURE_SHARE` of the target.

    The rest's values have little in common, and the output is what the others weigh: so it is as much longer as they
    weigh less.
    """
    return (2 * weight / (SURE_SHARE * TARGET)) ** 2 * _moved(error, temperature)


def enough_for(
    part: ThinWhole, query: F64, foreseen: Foreseen, error: ThinError, temperature: float, basis: Basis
) -> float:
    """How many draws an output that is as near as `TARGET` needs, by what a sample says of the rows; 0 for no hope.

    The best rows are seldom in it, and weigh much: so one more is taken to be there, as near as `NEAREST`.

    Args:
        query: float64[d].
        error: of similarities.
    """
    asked, norm = _length(part.asked_for(query)), part.facts.value_norm
    best = NEAREST * asked * (1.0 if part.facts.similarity == "cosine" else part.facts.key_norm)
    logit = min((best - foreseen.threshold) / temperature, 300.0)
    everything = foreseen.mass + foreseen.listed + math.exp(logit)
    weight = foreseen.mass / everything
    mean = (
        foreseen.threshold + temperature * (foreseen.gap + foreseen.listed_gap + math.exp(logit) * logit) / everything
    )
    # No output is shorter than what it has in the query's direction.
    length = norm * NEAREST * min(abs(mean) / max(best, 1e-300), 1.0) if math.isfinite(mean) else 0.0
    moved = _moved(error, temperature)
    off = weight * norm / math.sqrt(MOST_DRAWN)
    if part.blends:
        alike = foreseen.mass**2 / max(foreseen.square, 1e-300)
        off = weight * math.sqrt((moved * norm * norm + part.typical_spread(basis.bits) ** 2) / max(alike, 1e-300))
    wanted = draws_for_mass(error, temperature, weight)
    if off > HOPE * TARGET * length or wanted > HOPE * MOST_FOR_OUTPUT:
        return 0.0
    return max(min(wanted, MOST_FOR_OUTPUT), 1.0)


def output_of(
    part: ThinWhole,
    places: I64,
    mixture: Mixture,
    rest: Rest | None,
    factors: tuple[float, float],
    exact: float,
    basis: Basis,
) -> tuple[F64, float] | None:
    """(output float64[d_v], its error); None where it is not to be expected within `TARGET` of its own length.

    Let h be what the known rows add, w the rest's weight in the answer, and g the mean of the factors drawn. With the
    true mean of the rest's values in place of r, and γ its true mass over that in the answer, the true output is
    (h + w·r·γ)/(1 + w·(γ − 1)), and ô = h + w·r̂. So o − ô = w·(r·γ − r̂ − ô·(γ − 1)) / (1 + w·(γ − 1)).

    Args:
        places: int64[h], of the rows that are known.
        mixture: the distribution.
        rest: what was drawn; None where nothing was.
        factors: logarithms of the least and the largest γ.
        exact: total variation but for the rest's mass.
    """
    norm, weight = part.facts.value_norm, mixture.tail
    known, error = part.blended(places, mixture.known), bound_summed(exact, norm, len(places) + 4)
    if weight == 0 and mixture.log_tail == -math.inf:
        return known, error
    if rest is None:
        # Neither its mass nor its mean value is known: its weight is w in the answer, and at most γ·w/(1 − w).
        most = math.exp(min(mixture.log_tail + factors[1], 0.0))
        return (known, error + 6 * most * norm) if 6 * most * norm <= TARGET * _length(known) else None
    found = _mean_value(part, rest, basis)
    output = known + weight * found.value
    length = _length(output)
    drawn = len(rest.factors)
    mass = weight * float(rest.factors.std()) / math.sqrt(drawn) / rest.mean.found
    expected = math.hypot(weight * found.expected, 2 * mass * _length(found.value - output))
    if expected > TARGET * length:
        return None
    off = max(math.expm1(factors[1]), -math.expm1(factors[0]))
    left = 1 - weight * max(-math.expm1(factors[0]), 0.0)
    moved = weight * (found.error + length * off) / left
    rounding = (8 * ROUNDING * weight + 4 * (len(places) + drawn) * UNIT_ROUNDOFF) * norm
    return output, error + moved + rounding


def _mean_value(part: ThinWhole, rest: Rest, basis: Basis) -> _Mean:
    """What one of weight of the rest adds to an output, and how far r·γ may be from it."""
    drawn, x, found = rest.drawn, rest.factors, rest.found
    count, mean, norm = len(x), rest.mean.found, part.facts.value_norm
    sampled = part.blended(drawn.places, x / count)
    lengths, spreads, spreads_of_keys = part.spreads_at(drawn.places, basis.bits)
    highest = math.exp(rest.error.above / rest.temperature) * (1 + 1e-6)
    typical = rest.error.typical / rest.temperature
    if found.blend is None:
        squares = (x * lengths) ** 2
        noise = max(float(squares.mean()) - _length(sampled) ** 2, 0.0) / count
        bound = DEVIATIONS * math.sqrt(noise)
        if basis is PROVEN:
            foreseen = max(norm * norm * math.exp(min(typical * typical, 100.0)), 1e-300)
            bound = mean_distance(squares, highest * norm, foreseen, CHANCE_OF_OUTPUT)
        return _Mean(sampled / mean, math.sqrt(noise) / mean, bound / mean)
    mass, share = float(found.sums[0]), drawn.shares
    width = len(found.blend)
    blend = part.turned_back(found.blend) / mass
    off = sampled - part.turned_back(drawn.blend) / count
    data, codes = ((x - share) * lengths) ** 2 + 1e-6 * lengths * lengths, (share * spreads) ** 2
    squares = data + codes
    noise = max(float(squares.mean()) - _length(off) ** 2, 0.0) / count
    # An error along the query is in the weight as well: exp(e/T)·e is σ²/T on average, of each row.
    along = float((spreads * spreads_of_keys * share).mean()) / ((width - 1) * rest.temperature)
    modelled = (mean - 1) * blend - mean * along * part.asked_for(drawn.query)
    apart = off - modelled
    square = _length(apart) ** 2
    mended = max(0.0, 1 - noise / square) if square > 0 else 0.0  # James and Stein
    value = blend + modelled + mended * apart
    doubtful = 8 * noise * math.sqrt(2 / (width - 1))
    seen = min(square - noise, noise) if square > noise + doubtful else 0.0
    alike = mass * mass / max(float(found.sums[2]), 1e-300)
    expected = math.sqrt(noise * count / alike + seen)
    if basis is PROVEN:
        longest = math.hypot(norm * max(highest, MOST_SHARE), MOST_SHARE * part.largest_spread(basis.bits))
        foreseen = norm * norm * math.expm1(min(typical * typical, 100.0)) + part.typical_spread(basis.bits) ** 2
        foreseen = max(foreseen, 1e-12 * norm * norm, 1e-300)  # of no temperature, or no length
        bound = (1 - mended) * math.sqrt(square) + mean_distance(squares, longest, foreseen, CHANCE_OF_OUTPUT)
    else:
        level = math.sqrt(2) * (float(data.mean()) + float(codes.mean()) / math.sqrt(width - 1)) / count
        bound = min(math.sqrt(max(square - noise, 0.0) + DEVIATIONS * level), DEVIATIONS * math.sqrt(noise))
    return _Mean(value / mean, expected / mean, bound / mean)


def _moved(error: ThinError, temperature: float) -> float:
    """The variance of a factor, were errors normal."""
    return math.expm1(min((error.typical / temperature) ** 2, 100.0))


def _length(vector: F64) -> float:
    return math.sqrt(float(np.einsum("i,i", vector, vector))) * (1 + 1e-9)
