"""The passes over thin codes, compiled by numba; `thin.in_numpy` has the same in NumPy."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import boolean, float32, float64, int32, int64, njit, types, uint8, uint64
from numba.extending import intrinsic

from attention.dtypes import F32, F64, I8, I16, I32
from attention.kernels.cpu import array, compiled, record
from attention.kernels.interface import CandidateLists, Draws, ThinBlends, ThinKeys
from attention.kernels.key_passes import PACKED, Packed, keep_best, list_panel, packed_queries
from attention.kernels.layout import DEEP, FIELDS, LANES, LEVELS, PANEL
from attention.kernels.simd import REALS, Lanes
from attention.kernels.softmax_terms import parts, scale_and_mask, terms_of, to_similarities
from attention.kernels.thin.blending import HEAVY, add_code, add_levels
from attention.kernels.thin.in_numpy import FIRST, GOLDEN, LEAST, SECOND, TOGETHER
from attention.kernels.thin.products import PLANES, thin_products

EIGHT = 8
"""Rows that are passed over together where no point falls on any of them."""


class ThinPacked(NamedTuple):
    """Queries as the products want them.

    Attributes:
        packed: their codes, and the factors of products.
        units: float32[q], what a similarity is raised by for one of spread above the usual one.
        usual: up to this it is not raised.
    """

    packed: Packed
    units: F32
    usual: float


_KEYS = record(
    ThinKeys,
    array(uint8, 4),
    array(uint8, 4),
    array(float32, 1),
    array(float32, 1),
    array(boolean, 1),
    int64,
    array(float32, 1),
)
_QUERIES = record(ThinPacked, PACKED, array(float32, 1), float64)
_CANDIDATES = record(CandidateLists, array(float32, 1), array(int64, 2), array(float32, 2), array(int64, 1))
_DRAWS = record(
    Draws, array(uint64, 1), array(float64, 1), array(int64, 2), array(float32, 2), array(float64, 2), array(int64, 1)
)
_BLENDS = record(ThinBlends, array(float64, 2), array(float64, 3), array(float64, 2))


def thin_queries(codes: I16, steps: F32, units: F32, usual: float, bits: int) -> ThinPacked:
    """See `Kernels`."""
    wide = np.zeros((len(codes), -(-codes.shape[1] // (DEEP * FIELDS)) * DEEP * FIELDS), dtype=np.int16)
    wide[:, : codes.shape[1]] = codes
    offsets = ((2**bits - 1) * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
    return ThinPacked(packed_queries(wide, steps, fine=True)._replace(offsets=offsets), units, float(usual))


@intrinsic
def _raise_panel(typing_context: Any, similarities: Any, spreads: Any, first: Any, usual: Any, unit: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes of float32.
        (similarities, spreads, first, usual, unit), kinds = arguments, signature.args
        usual, unit = Lanes.everywhere(builder, usual), Lanes.everywhere(builder, unit)
        kind = ir.FunctionType(REALS, [REALS])
        fence = builder.module.declare_intrinsic("llvm.arithmetic.fence.v16f32", fnty=kind)
        for place, spread in zip(
            parts(context, builder, kinds[0], similarities, first.type(0)),
            parts(context, builder, kinds[1], spreads, first),
            strict=True,
        ):
            above = (Lanes.load(builder, REALS, spread) - usual).at_least(0.0)
            # The product is rounded by itself, as NumPy does it, so that both list the same.
            raised = Lanes(builder, builder.call(fence, [(above * unit).value]))
            (Lanes.load(builder, REALS, place) + raised).store(place)
        return context.get_dummy_value()

    return types.void(similarities, spreads, types.int64, types.float32, types.float32), build


@njit(nogil=True, inline="always")
def _similarities(
    keys: ThinKeys, queries: ThinPacked, start: int, query: int, products: I32, scaling: F32, similarities: F32
) -> None:
    """Fill similarities float32[64] with those of the rows from `start` on; see `scale_and_mask`."""
    packed = queries.packed
    thin_products(keys.high, keys.low, start // LANES, packed.planes, PLANES * query, products)
    to_similarities(products, PLANES, 0, scaling, packed.offsets[query], packed.steps[query], similarities)
    usual, unit = float32(queries.usual), queries.units[query]
    if start + PANEL <= len(keys.spreads):
        _raise_panel(similarities, keys.spreads, start, usual, unit)
    else:
        spreads = np.zeros(PANEL, dtype=np.float32)
        spreads[: len(keys.spreads) - start] = keys.spreads[start:]
        _raise_panel(similarities, spreads, 0, usual, unit)


@njit(nogil=True, inline="always")
def _mixed(state: np.uint64) -> np.uint64:
    """The number of a counter, as splitmix64 makes it (Steele, Lea and Flood 2014)."""
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


@njit(nogil=True, inline="always")
def _uniform(number: np.uint64) -> float:
    """Above 0 and at most 1."""
    return (float64(number >> np.uint64(11)) + 1.0) * 2.0**-53


@njit(nogil=True, fastmath=True)
def _to_levels(terms: F32, offset: int, scales: F32, begin: int, count: int, levels: I8) -> tuple[float, int]:
    """(step, total): make levels int8[1024] of term·scale of rows from `begin` on, in `add_levels`' order."""
    top = float32(0.0)
    for i in range(count):
        top = max(top, terms[offset + i] * scales[begin + i])
    levels[:] = 0
    if top < LEAST:
        return 0.0, 0
    inverse, total = float32(LEVELS) / top, 0
    for panel in range(0, count, PANEL):
        for i in range(panel, min(panel + PANEL, count)):
            level = int32(np.rint(terms[offset + i] * scales[begin + i] * inverse))
            total += level
            levels[panel + DEEP * (i % LANES) + (i - panel) // LANES] = level
    return float64(top) / LEVELS, total


@njit(nogil=True, fastmath=True)
def _blend(
    keys: ThinKeys, begin: int, count: int, terms: F32, j: int, blends: ThinBlends, draws: Draws, first: int, last: int
) -> None:
    """Add up the codes of some rows from `begin` on, and those of the points `first` to `last` that fell on them."""
    scales, offset = keys.value_scales, j * TOGETHER
    quads, fine = keys.high.shape[1], keys.low.shape[0] > 0
    levels = np.empty(TOGETHER, dtype=np.int8)
    step, total = _to_levels(terms, offset, scales, begin, count, levels)
    shift = float64(15 if fine else 3)
    if total > 0:
        words = levels.view(np.int32)
        sums = np.zeros(quads * FIELDS * LANES, dtype=np.int32)
        for panel in range(0, count, PANEL):
            add_levels(keys.high, keys.low, (begin + panel) // LANES, words, panel // DEEP, sums)
        for part in range(quads * FIELDS):
            heavy = HEAVY if part % FIELDS >= 2 else 1
            for byte in range(DEEP):
                at = LANES * part + byte
                found = int64(sums[at]) + sums[at + DEEP] + sums[at + 2 * DEEP] + sums[at + 3 * DEEP]
                blends.sums[j, DEEP * part + byte] += step * (2.0 * (found // heavy) - shift * total)
    parts = blends.drawn.shape[1]
    for draw in range(first, min(last, draws.places.shape[1])):
        i = draws.places[j, draw] - keys.base - begin
        panel = i // PANEL * PANEL
        counted = step * levels[panel + DEEP * (i % LANES) + (i - panel) // LANES]
        blends.shares[j, draw] = counted / max(float64(terms[offset + i]) * scales[begin + i], 1e-300)
        weight = counted / terms[offset + i]
        if weight == 0.0:
            continue
        into = min(int64(math.ceil(draws.marks[j, draw] * parts)), parts) - 1
        place = (j * parts + into) * blends.drawn.shape[2]
        add_code(keys.high, keys.low, begin + i, weight, blends.drawn, place)


@compiled(_KEYS, int64, _QUERIES, _CANDIDATES, array(float32, 1), array(float64, 2), _DRAWS, _BLENDS, fastmath=True)
def accumulate_thin(
    keys: ThinKeys,
    first: int,
    queries: ThinPacked,
    lists: CandidateLists,
    inverse: F32,
    sums: F64,
    draws: Draws,
    blends: ThinBlends,
) -> int:
    """See `Kernels`."""
    scales, allowed, thresholds = keys.scales, keys.allowed, lists.thresholds
    places, similarities_of, marks = draws.places, draws.similarities, draws.marks
    rows, q = scales.shape[0], len(queries.units)
    products = np.empty((PLANES, PANEL), dtype=np.int32)
    scaling = np.empty((2, PANEL), dtype=np.float32)
    similarities, terms = np.empty(PANEL, dtype=np.float32), np.empty(q * TOGETHER, dtype=np.float32)
    totals, blending = np.zeros((q, 3)), blends.sums.shape[1] > 0
    used, drawn = lists.counts.copy(), draws.counts.copy()
    before = drawn.copy()
    states, ahead = np.zeros(q, dtype=np.uint64), np.zeros(q)
    longest, room, most = used.max(), lists.places.shape[1] - PANEL, places.shape[1]
    start = first
    while start < rows and longest <= room:
        at = start % TOGETHER
        if at == 0:
            for j in range(q):
                if blending and start > first:
                    _blend(keys, start - TOGETHER, TOGETHER, terms, j, blends, draws, before[j], drawn[j])
                    before[j] = drawn[j]
                states[j] = _mixed(draws.keys[j] + np.uint64(keys.base + start) * GOLDEN) + GOLDEN
                ahead[j] = -math.log(_uniform(_mixed(states[j]))) / max(draws.rates[j], 1e-300)
        if not scale_and_mask(scales, allowed, start, scaling):
            if blending:
                for j in range(q):
                    terms[j * TOGETHER + at : j * TOGETHER + at + PANEL] = 0
            start += PANEL
            continue
        for j in range(q):
            _similarities(keys, queries, start, j, products, scaling, similarities)
            here = j * TOGETHER + at
            mass, gap, square, listed = terms_of(similarities, thresholds[j], inverse[j], terms, here)
            totals[j, 0] += mass
            totals[j, 1] += gap
            totals[j, 2] += square
            if listed:
                used[j] = list_panel(lists, j, used[j], similarities, keys.base + start)
                longest = max(longest, used[j])
            rate = draws.rates[j]
            if rate <= 0.0:
                continue
            if ahead[j] >= mass:
                ahead[j] -= mass
                continue
            for eight in range(0, PANEL, EIGHT):
                part = 0.0
                for i in range(eight, eight + EIGHT):
                    part += terms[here + i]
                if ahead[j] >= part:
                    ahead[j] -= part
                    continue
                for i in range(eight, eight + EIGHT):
                    while ahead[j] < terms[here + i]:
                        states[j] += GOLDEN
                        if drawn[j] < most:
                            places[j, drawn[j]] = keys.base + start + i
                            similarities_of[j, drawn[j]] = similarities[i]
                            marks[j, drawn[j]] = _uniform(_mixed(states[j]))
                        drawn[j] += 1
                        states[j] += GOLDEN
                        ahead[j] -= math.log(_uniform(_mixed(states[j]))) / rate
                    ahead[j] -= terms[here + i]
        start += PANEL
    if blending and start > first:
        begin, stop = (start - 1) // TOGETHER * TOGETHER, min(start, rows)
        for j in range(q):
            _blend(keys, begin, stop - begin, terms, j, blends, draws, before[j], drawn[j])
    sums += totals
    lists.counts[:] = used
    draws.counts[:] = drawn
    return min(start, rows)


@compiled(_KEYS, _QUERIES, array(float32, 2), fastmath=True)
def sample_top_thin(keys: ThinKeys, queries: ThinPacked, best: F32) -> None:
    """See `Kernels`."""
    scales, allowed = keys.scales, keys.allowed
    products = np.empty((PLANES, PANEL), dtype=np.int32)
    scaling = np.empty((2, PANEL), dtype=np.float32)
    similarities = np.empty(PANEL, dtype=np.float32)
    for start in range(0, scales.shape[0], PANEL):
        if not scale_and_mask(scales, allowed, start, scaling):
            continue
        for j in range(len(best)):
            _similarities(keys, queries, start, j, products, scaling, similarities)
            keep_best(best, j, similarities)
