"""What a scan brought home becomes the blended values of many questions, each with how far it can be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.bounds.output import bound_quantised_output
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF
from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.drafts import Drafts
from attention.lookup.expected import MASS, expected_coarse, expected_fine
from attention.lookup.scan.accumulator import ERROR_DEGREES
from attention.lookup.shards import Shard
from attention.lookup.shards.scan_result import ScanResult
from attention.lookup.shards.uncoded import TILE_ROWS
from attention.lookup.softmax.mixture import Mixture

SEEN = 2e-4
"""Of a blend's own length: what is about as far off for a cause that can be taken away is made better."""

COARSE, SHORT = 5e-4, 7e-4
"""Of a blend's own length: expected to be so far off by 8 bits of queries and weights, it is made anew with 16; and by
16, which is foreseen more closely, of the originals."""


@dataclass(frozen=True, eq=False)
class Blend:
    """A blended value.

    Attributes:
        output: float64[d_v], Σ weight·value over all rows.
        error: how far it can be off, summing in float64 included.
        coarse: whether it is an average so short that what the bits of queries, weights and rows leave out is about to
            be seen in it, and another way is to make it.
    """

    output: F64
    error: float
    coarse: bool


def blended(part: Shard, drafts: Drafts, asked_for: Sequence[int]) -> dict[int, Blend]:
    """Those of the questions with these numbers, as far as the scan can tell of them."""
    gathered = drafts.gathered
    if gathered.outputs is None:
        return {}
    wanted = {index: made for index in asked_for if (made := drafts[index]) is not None}
    if not wanted:
        return {}
    facts, spread, asked = part.facts, part.facts.value_spread, np.array(list(wanted))
    outputs = np.zeros((len(gathered.outputs), facts.value_dimension or 0))
    rescored = [made.rescored for made in wanted.values()]
    places = np.concatenate([places for each in rescored for places in (each.places, each.candidate_places)])
    weights = np.concatenate([w for made in wanted.values() for w in (made.found.known, made.found.candidates)])
    counts = [len(each.places) + len(each.candidate_places) for each in rescored]
    part.add_values(places, np.repeat(asked, counts), weights, outputs)
    factors = np.array([[made.found.factors.sum()] for made in wanted.values()])  # of the only part
    summed = factors * gathered.outputs[asked]
    outputs = outputs[asked] + summed
    apart = _from_blend([made.found for made in wanted.values()], summed, outputs) if gathered.bits == 8 else None
    value_errors = factors**ERROR_DEGREES * gathered.value_errors[asked]
    common: list[Residuals | None] = [None] * len(asked)
    from_mean = np.zeros(len(asked))
    if spread is not None:
        common = _put_back(part, gathered, asked, value_errors[:, MASS], outputs, spread)
        from_mean = _lengths(outputs - spread.mean)
    blends = {}
    for at, (length, away, errors) in enumerate(
        zip(_lengths(outputs).tolist(), from_mean.tolist(), value_errors.tolist(), strict=True)
    ):
        index = int(asked[at])
        made, error = wanted[index], gathered.error(index)
        found = made.found
        bound = bound_quantised_output(
            spread if found.tail > 0 else None,
            common[at],
            facts.value_norm,
            found,
            error,
            length,
            away,
            errors,
            made.total_variation,
            made.exact_variation,
        )
        if part.method == "exact":  # few tiles are added one by one, and what these come to in pairs
            terms = counts[at] / 2 + found.tail * min(facts.n, TILE_ROWS)
        else:
            terms = counts[at] + 64 * facts.blocks + found.tail * facts.n
        bound += 4 * terms * UNIT_ROUNDOFF * facts.value_norm
        coarse, put_back = False, common[at]
        if spread is not None and put_back is not None:
            known = (found, error, errors, spread, put_back, away)
            if apart is not None:
                coarse = expected_coarse(*known, apart[at], part.keys) > COARSE * length
            elif not part.beyond_memory:
                coarse = expected_fine(*known) > SHORT * length
        blends[index] = Blend(outputs[at], bound, coarse)
    return blends


def _put_back(
    part: Shard, gathered: ScanResult, asked: I64, masses: F64, outputs: F64, spread: Spread
) -> list[Residuals | None]:
    """Add to blends float64[w, d_v] what codes leave out of rows among which are all that were summed → of which rows.

    It is known of all rows there are. Where few of them pass, or many are listed, the mean of all weights is not that
    of the rows that were summed: then it is found of those that pass, once a mask, and of all but the listed ones.
    Residuals of n vectors add up to √n times one of them, about; so what this mends is known beforehand.

    Args:
        asked: int64[w], the numbers of the questions.
        masses: float64[w], the weight of all that was summed.
    """
    every, rows = spread.residuals, max(spread.count, 1)
    outputs += masses[:, None] / rows * every.total
    length = math.sqrt(spread.residual_square / rows)
    found: list[Residuals | None] = [every] * len(asked)
    worth = (SEEN * _lengths(outputs)).tolist()
    for at, (index, mass) in enumerate(zip(asked.tolist(), masses.tolist(), strict=True)):
        first, last = gathered.starts[index : index + 2].tolist()
        some = every
        if mass * length * _apart(some.count, part.keys) > worth[at]:
            some = part.value_residuals
        if mass * length * _apart(some.count, some.count - (last - first)) > worth[at]:
            some -= part.residuals_at(gathered.places[first:last])
        if some is not every:
            outputs[at] += mass * (some.total / some.count - every.total / rows)
            found[at] = some
    return found


def _apart(these: int, those: int) -> float:
    """How far the mean of independent numbers is from that of some of them, relative to one of them."""
    return math.sqrt(max(1 / those - 1 / max(these, 1), 0.0)) if those > 0 else 0.0


def _from_blend(found: Sequence[Mixture], summed: F64, outputs: F64) -> list[float]:
    """‖Σ ŵ·(v − ô)‖ over the rows that were summed to each of `summed` float64[w, d_v], of blends ô like them."""
    masses = np.array([each.tail - each.candidates.sum() for each in found])
    lengths: list[float] = _lengths(summed - masses[:, None] * outputs).tolist()
    return lengths


def _lengths(vectors: F64) -> F64:
    """float64[w], at least ‖x‖ of each of float64[w, d]."""
    return np.asarray(np.sqrt(np.einsum("wd,wd->w", vectors, vectors)) * (1 + 1e-9))
