"""The passes over keys in codes, compiled by numba; `portable` has the same in NumPy.

A pass makes products of bytes into similarities, 64 rows at a time: it adds up what lies below each query's bar, in
float32 for these 64 and in float64 beyond, and lists what lies above.
"""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type, var-annotated"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, uint8
from numpy.typing import NDArray

from attention.kernels.compiling import array, compiled, record
from attention.kernels.dot import byte_products
from attention.kernels.dot_amx import padded, usable
from attention.kernels.layout import LANES, OFFSET, RUN, packed
from attention.kernels.softmax_terms import NOT_ALLOWED, lift, similarities, terms_of
from attention.kernels.tile import Lists, Stretch


class Packed(NamedTuple):
    """Queries as the products want them.

    Attributes:
        planes: int32[≥ each·q, depth], bytes of the queries' codes, four to a word.
        each: bytes to a code: 1, or 2 of which the first one counts 256 times.
        offsets: int32[q], what the keys' bytes, being 128 higher than their codes, add to a product.
        steps: float32[q]; similarity = product·scale·step.
        unit: whether the processor's matrix unit may be used.
    """

    planes: NDArray[np.int32]
    each: int
    offsets: NDArray[np.int32]
    steps: NDArray[np.float32]
    unit: bool


_STRETCH = record(Stretch, array(uint8, 4), array(float32, 1), array(boolean, 1), int64)
_PACKED = record(Packed, array(int32, 2), int64, array(int32, 1), array(float32, 1), boolean)
_LISTS = record(Lists, array(float32, 1), array(int64, 2), array(float32, 2), array(int64, 1))


def packed_queries(codes: NDArray[np.int16], steps: NDArray[np.float32], *, fine: bool) -> Packed:
    """Of codes int16[q, d] and steps float32[q]; coarse codes are within −127 to 127."""
    offsets = (OFFSET * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
    low = ((codes + OFFSET) & 255) - OFFSET
    each = [(codes - low) >> 8, low] if fine else [codes]
    planes = packed(np.stack(each, axis=1).reshape(len(each) * len(codes), -1).astype(np.int8))
    room = np.zeros((padded(*planes.shape, usable()), planes.shape[1]), dtype=np.int32)
    room[: len(planes)] = planes
    return Packed(room, len(each), offsets, steps, usable())


@njit(inline="always")
def _list(lists: Lists, query: int, used: int, found: NDArray[np.float32], base: int) -> int:
    """Add those of 64 rows that reach the bar to a query's list, of which so much is used; how much is then."""
    for i in range(RUN):
        if found[i] >= lists.bars[query] and found[i] > NOT_ALLOWED:
            lists.places[query, used] = base + i
            lists.found[query, used] = found[i]
            used += 1
    return used


@compiled(_STRETCH, int64, _PACKED, _LISTS, array(float32, 1), array(float64, 2), array(float32, 2), fastmath=True)
def weigh(
    keys: Stretch,
    first: int,
    queries: Packed,
    lists: Lists,
    inverse: NDArray[np.float32],
    sums: NDArray[np.float64],
    weights: NDArray[np.float32],
) -> int:
    """Go through some rows from `first` on; stop early where a query's list may be too short for the next 64.

    Args:
        keys: r of them.
        first: a multiple of 64.
        queries: q of them.
        lists: added to; what is not listed is summed.
        inverse: float32[q], 1/T.
        sums: float64[q, 3], added to: Σe, Σe·x, Σe² with x = (s − bar)/T and e = exp(x).
        weights: float32[q, ≥ r], contiguous, filled with e (0 where listed or not allowed); float32[0, 0] to leave it.

    Returns:
        The row to go on from; r where all is done.
    """
    codes, scales, allowed = keys.codes, keys.scales, keys.allowed
    factors, offsets, steps, bars = queries.planes, queries.offsets, queries.steps, lists.bars
    rows, q = scales.shape[0], steps.shape[0]
    planes = queries.each
    keep, width = weights.shape[0] > 0, weights.shape[1]
    products = np.empty((factors.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    found, terms = np.empty(RUN, dtype=np.float32), np.empty(RUN, dtype=np.float32)
    # Copies, because two workers' sums may share a cache line, which would go back and forth.
    totals = np.zeros((q, 3))
    used = lists.counts.copy()
    longest, room = used.max(), lists.places.shape[1] - RUN
    start = first
    while start < rows and longest <= room:
        byte_products(codes, start // LANES, factors, products, queries.unit)
        lift(scales, allowed, start, lifts)
        for j in range(q):
            similarities(products, planes, j, lifts, offsets[j], steps[j], found)
            if keep and start + RUN <= rows:
                mass, depth, square, listed = terms_of(found, bars[j], inverse[j], weights, j * width + start)
            else:
                mass, depth, square, listed = terms_of(found, bars[j], inverse[j], terms, 0)
                if keep:
                    weights[j, start:rows] = terms[: rows - start]
            totals[j, 0] += mass
            totals[j, 1] += depth
            totals[j, 2] += square
            if listed:
                used[j] = _list(lists, j, used[j], found, keys.base + start)
                longest = max(longest, used[j])
        start += RUN
    sums += totals
    lists.counts[:] = used
    return min(start, rows)


@compiled(_STRETCH, int64, _PACKED, _LISTS, array(float32, 1), array(float32, 1), array(float64, 3), fastmath=True)
def tally(
    keys: Stretch,
    first: int,
    queries: Packed,
    lists: Lists,
    lows: NDArray[np.float32],
    finer: NDArray[np.float32],
    histogram: NDArray[np.float64],
) -> int:
    """Like `weigh`, but what lies below the bar goes into a histogram instead of sums.

    Args:
        lows: float32[q], where the first bin begins.
        finer: float32[q], bins to one of similarity.
        histogram: float64[q, bins, 2], count and sum of similarities, added to.
    """
    codes, scales, allowed = keys.codes, keys.scales, keys.allowed
    factors, offsets, steps, bars = queries.planes, queries.offsets, queries.steps, lists.bars
    rows, q = scales.shape[0], steps.shape[0]
    planes = queries.each
    last = float32(histogram.shape[1] - 1)
    products = np.empty((factors.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    found = np.empty(RUN, dtype=np.float32)
    bins = np.empty(RUN, dtype=np.int32)
    counted = np.empty((RUN, 2), dtype=np.float64)
    used = lists.counts.copy()
    longest, room = used.max(), lists.places.shape[1] - RUN
    start = first
    while start < rows and longest <= room:
        byte_products(codes, start // LANES, factors, products, queries.unit)
        lift(scales, allowed, start, lifts)
        for j in range(q):
            similarities(products, planes, j, lifts, offsets[j], steps[j], found)
            bar = bars[j]
            hits = int32(0)
            for i in range(RUN):
                s = found[i]
                below = float32(1.0) if NOT_ALLOWED < s < bar else float32(0.0)
                bins[i] = int32(min(max((s - lows[j]) * finer[j], float32(0.0)), last))
                counted[i, 0] = below
                counted[i, 1] = below * s
                hits += int32(s >= bar)
            for i in range(RUN):
                histogram[j, bins[i], 0] += counted[i, 0]
                histogram[j, bins[i], 1] += counted[i, 1]
            if hits > 0:
                used[j] = _list(lists, j, used[j], found, keys.base + start)
                longest = max(longest, used[j])
        start += RUN
    lists.counts[:] = used
    return min(start, rows)


@compiled(_STRETCH, _PACKED, array(float32, 2), fastmath=True)
def lead(keys: Stretch, queries: Packed, best: NDArray[np.float32]) -> None:
    """Keep in best float32[q, b], ascending, the largest similarities seen."""
    codes, scales, allowed = keys.codes, keys.scales, keys.allowed
    factors, offsets, steps = queries.planes, queries.offsets, queries.steps
    q, size = best.shape
    products = np.empty((factors.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    found = np.empty(RUN, dtype=np.float32)
    for start in range(0, scales.shape[0], RUN):
        byte_products(codes, start // LANES, factors, products, queries.unit)
        lift(scales, allowed, start, lifts)
        for j in range(q):
            similarities(products, queries.each, j, lifts, offsets[j], steps[j], found)
            for s in found:
                if s > best[j, 0]:
                    at = 0
                    while at + 1 < size and best[j, at + 1] < s:
                        best[j, at] = best[j, at + 1]
                        at += 1
                    best[j, at] = s
