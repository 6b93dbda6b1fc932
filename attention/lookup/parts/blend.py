"""What a scan brought home becomes the blended values of many questions, each with how far it can be off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64
from attention.lookup.bounds.output import bound_quantised
from attention.lookup.bounds.quantisation import QuantisationError
from attention.lookup.bounds.rounding import UNIT_ROUNDOFF
from attention.lookup.bounds.weights import bound_counted
from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.head.candidates import Rescored
from attention.lookup.parts.gathered import Gathered
from attention.lookup.parts.whole import Whole
from attention.lookup.scan.accumulator import ERROR_DEGREES, VALUE_ERRORS
from attention.lookup.softmax.mixture import Mixture

MASS, ROUNDING_SQUARE = (VALUE_ERRORS.index(name) for name in ("mass", "rounding_square"))

SEEN = 2e-4
"""Of a blend's own length: what is about as far off for a cause that can be taken away is made better."""

COARSE = 5e-4
"""Of a blend's own length: so far off by 8 bits of queries and weights, about, it is made anew with 16."""


@dataclass(frozen=True, eq=False)
class Draft:
    """The rows known for one question, and their distribution.

    Attributes:
        total_variation: the bound on it.
        exact_variation: the part of that which the tail has no share in.
    """

    rescored: Rescored
    found: Mixture
    total_variation: float
    exact_variation: float

    @property
    def counted_variation(self) -> float:
        """The bound where the documents of the answer are counted anew, all of their keys in float64."""
        return min(1.0, self.exact_variation + bound_counted(self.total_variation - self.exact_variation))


@dataclass(frozen=True, eq=False)
class Blend:
    """A blended value.

    Attributes:
        output: float64[d_v], Σ weight·value over all rows.
        error: how far it can be off, summing in float64 included.
        coarse: whether it is an average of so many rows that 8 bits of queries and weights are about to be seen in it.
    """

    output: F64
    error: float
    coarse: bool


def blended(part: Whole, gathered: Gathered, wanted: Mapping[int, Draft]) -> dict[int, Blend]:
    """Those of the questions with these numbers, of all that were scanned for."""
    if not wanted or gathered.outputs is None:
        return {}
    facts, spread = part.facts, part.facts.value_spread
    outputs = np.zeros((len(gathered.outputs), facts.value_dimension or 0))
    rescored = [made.rescored for made in wanted.values()]
    places = np.concatenate([places for each in rescored for places in (each.places, each.candidate_places)])
    weights = np.concatenate([w for made in wanted.values() for w in (made.found.known, made.found.candidates)])
    counts = [len(each.places) + len(each.candidate_places) for each in rescored]
    part.add_values(places, np.repeat(np.array(list(wanted)), counts), weights, outputs)
    blends = {}
    for (index, made), count in zip(wanted.items(), counts, strict=True):
        output, found, error = outputs[index], made.found, gathered.error(index)
        factor = float(found.factors.sum())  # of the only part
        value_errors = factor**ERROR_DEGREES * gathered.value_errors[index]
        output += factor * gathered.outputs[index]
        residuals, coarse = None, False
        if found.tail > 0 and spread is not None:
            residuals = _common(part, gathered, index, value_errors[MASS], output, spread)
            output += value_errors[MASS] / max(residuals.count, 1) * residuals.total
            coarse = gathered.bits == 8 and _shift(found, error, value_errors, spread) > COARSE * _length(output)
        bound = bound_quantised(
            spread if found.tail > 0 else None,
            residuals,
            facts.value_norm,
            found,
            error,
            output,
            value_errors,
            made.total_variation,
            made.exact_variation,
        )
        terms = count + 64 * facts.blocks + found.tail * facts.n
        blends[index] = Blend(output, bound + 4 * terms * UNIT_ROUNDOFF * facts.value_norm, coarse)
    return blends


def _common(part: Whole, gathered: Gathered, index: int, mass: float, output: F64, spread: Spread) -> Residuals:
    """What is left out by the codes of rows among which are all that were summed.

    It is known of all rows there are. Where few of them pass, or many are listed, the mean of all weights is not that
    of the rows that were summed: then it is found of those that pass, once a mask, and of all but the listed ones.
    Residuals of n vectors add up to √n times one of them, about; so what this mends is known beforehand.
    """
    length = math.sqrt(spread.residual_square / max(spread.count, 1))
    worth = SEEN * _length(output)

    def mended(these: int, those: int) -> bool:
        return those > 0 and mass * length * math.sqrt(max(1 / those - 1 / max(these, 1), 0.0)) > worth

    found = spread.residuals
    if mended(found.count, part.keys):
        found = part.value_residuals
    first, last = gathered.starts[index : index + 2].tolist()
    if mended(found.count, found.count - (last - first)):
        found -= part.residuals_at(gathered.places[first:last])
    return found


def _shift(found: Mixture, error: QuantisationError, value_errors: F64, spread: Spread) -> float:
    """About how far 8 bits of a query and of weights move a blend.

    What a query's code leaves out is common to all keys: so it moves the blend by what keys and values have to do with
    one another, at most what each of them spreads in its direction. Weights are each rounded by themselves, evenly.
    """
    rows, temperature = max(spread.count, 1), found.evidence.temperature
    turned = found.tail * math.sqrt(error.squares / rows * spread.around_mean / rows) / 2 / temperature
    rounded = math.sqrt(value_errors[ROUNDING_SQUARE] / 3 * spread.square / rows)
    shift = math.hypot(turned, rounded)
    return shift if math.isfinite(shift) else 0.0


def _length(vector: F64) -> float:
    return math.sqrt(float(np.einsum("i,i", vector, vector)))
