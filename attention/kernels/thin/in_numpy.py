"""The passes over thin codes in NumPy, for where there is no machine code, or none yet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attention.dtypes import F32, F64, I16, I64, U64
from attention.kernels.interface import CandidateLists, Draws, ThinBlends, ThinKeys
from attention.kernels.layout import LEVELS, fields_at

TOGETHER = 1024
"""Rows to a step, which are those that share a stream of random numbers."""

LEAST = 1e-30
"""Of rows of which none counts for more than this none is blended."""

GOLDEN, FIRST, SECOND = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class ThinQueries(NamedTuple):
    """Queries as the products want them: codes float64[q, d], every partial sum of products an exact integer."""

    codes: F64
    steps: F32
    units: F32
    usual: np.float32
    bits: int


def thin_queries(codes: I16, steps: F32, units: F32, usual: float, bits: int) -> ThinQueries:
    """See `Kernels`."""
    return ThinQueries(codes.astype(np.float64), steps, units, np.float32(usual), bits)


def _codes(keys: ThinKeys, places: I64, bits: int, width: int) -> F64:
    """float64[r, width], the odd numbers that the fields of some rows mean."""
    fields = fields_at(keys.high, places, width).astype(np.float64)
    if bits == 4:
        fields = 4 * fields + fields_at(keys.low, places, width)
    found: F64 = 2 * fields - (2**bits - 1)
    return found


def _similarities(keys: ThinKeys, part: slice, queries: ThinQueries) -> F32:
    """float32[q, r] of the rows of `part`."""
    codes = _codes(keys, np.arange(part.start, part.stop), queries.bits, queries.codes.shape[1])
    products = queries.codes @ codes.T
    found: F32 = products.astype(np.float32) * (keys.scales[part] * queries.steps[:, None])
    found += np.maximum(keys.spreads[part] - queries.usual, np.float32(0)) * queries.units[:, None]
    return found


def sample_top_thin(keys: ThinKeys, queries: ThinQueries, best: F32) -> None:
    """See `Kernels`."""
    s = _similarities(keys, slice(0, len(keys.scales)), queries)[:, keys.allowed]
    best[:] = np.sort(np.concatenate([best, s], axis=1), axis=1)[:, -best.shape[1] :]


def accumulate_thin(
    keys: ThinKeys,
    first: int,
    queries: ThinQueries,
    lists: CandidateLists,
    inverse: F32,
    sums: F64,
    draws: Draws,
    blends: ThinBlends,
) -> int:
    """See `Kernels`."""
    thresholds = lists.thresholds[:, None]
    while first < len(keys.scales):
        stop = min(first + TOGETHER, len(keys.scales))
        part = slice(first, stop)
        s = _similarities(keys, part, queries)
        hit = (s >= thresholds) & keys.allowed[part]
        if (lists.counts + hit.sum(axis=1) > lists.places.shape[1]).any():
            return first
        with np.errstate(over="ignore"):
            x = np.clip((s - thresholds) * inverse[:, None], -87, 0)
        e = np.exp(x)
        e[hit | ~keys.allowed[part]] = 0
        sums[:, 0] += e.sum(axis=1, dtype=np.float64)
        sums[:, 1] += (e * x).sum(axis=1, dtype=np.float64)
        sums[:, 2] += (e * e).sum(axis=1, dtype=np.float64)
        for j in range(len(s)):
            at = np.flatnonzero(hit[j])
            here = slice(lists.counts[j], lists.counts[j] + len(at))
            lists.places[j, here], lists.similarities[j, here] = keys.base + first + at, s[j, at]
            lists.counts[j] += len(at)
            before = min(int(draws.counts[j]), draws.places.shape[1])
            if draws.rates[j] > 0:
                _draw(draws, j, keys.base + first, e[j].astype(np.float64), s[j])
            if blends.sums.shape[1]:
                _blend(keys, part, queries.bits, e[j], j, blends, draws, before)
        first = stop
    return first


def _draw(draws: Draws, j: int, base: int, terms: F64, similarities: F32) -> None:
    """Put the points of one Poisson process on the line of some terms behind the draws of query `j`."""
    line = terms.cumsum()
    key = np.array([draws.keys[j]]) + np.array([base], dtype=np.uint64) * GOLDEN
    seed, count = _mixed(key), 64
    while True:  # numbers 1, 3, 5, … are gaps, 2, 4, 6, … marks
        numbers = _uniform(_mixed(seed + np.arange(1, 2 * count + 1, dtype=np.uint64) * GOLDEN))
        points = (-np.log(numbers[::2]) / draws.rates[j]).cumsum()
        if points[-1] >= line[-1]:
            break
        count *= 4
    points = points[points < line[-1]]
    rows = np.searchsorted(line, points, side="right")
    first = min(int(draws.counts[j]), draws.places.shape[1])
    kept = min(len(rows), draws.places.shape[1] - first)
    here, rows_kept = slice(first, first + kept), rows[:kept]
    draws.places[j, here] = base + rows_kept
    draws.similarities[j, here] = similarities[rows_kept]
    draws.marks[j, here] = numbers[1 : 2 * kept : 2]
    draws.counts[j] += len(rows)


def _blend(
    keys: ThinKeys, part: slice, bits: int, terms: F32, j: int, blends: ThinBlends, draws: Draws, before: int
) -> None:
    """Add up the codes of the rows of `part`, and of the points from `before` on, which fell on them."""
    counts = terms * keys.value_scales[part]
    top, width = counts.max(), blends.sums.shape[1]
    levels, step = np.zeros(len(counts)), 0.0
    if top >= LEAST:
        levels, step = np.rint(counts * (np.float32(LEVELS) / top)).astype(np.float64), float(top) / LEVELS
    codes = _codes(keys, np.arange(part.start, part.stop), bits, width)
    blends.sums[j] += step * (levels @ codes)
    after = min(int(draws.counts[j]), draws.places.shape[1])
    rows = draws.places[j, before:after] - keys.base - part.start
    counted = step * levels[rows]
    blends.shares[j, before:after] = counted / np.maximum(counts[rows].astype(np.float64), 1e-300)
    parts = blends.drawn.shape[1]
    into = np.minimum(np.ceil(draws.marks[j, before:after] * parts), parts).astype(np.int64) - 1
    np.add.at(blends.drawn[j], into, (counted / terms[rows])[:, None] * codes[rows])


def _mixed(states: U64) -> U64:
    """The numbers of counters uint64[n], as splitmix64 makes them."""
    states = (states ^ (states >> np.uint64(30))) * FIRST
    states = (states ^ (states >> np.uint64(27))) * SECOND
    return states ^ (states >> np.uint64(31))


def _uniform(numbers: U64) -> F64:
    """Above 0 and at most 1."""
    return ((numbers >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
