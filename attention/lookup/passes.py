"""The passes over keys in codes, compiled by numba; `portable` has the same in NumPy.

A pass makes products of bytes into similarities, 64 rows at a time: it adds up what lies below each query's bar, in
float32 for these 64 and in float64 beyond, and lists what lies above.
"""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type"

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float32, int32, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from attention.lookup.compiling import compiled
from attention.lookup.instructions import byte_products
from attention.lookup.interleaved import LANES, OFFSET, RUN, packed
from attention.lookup.stretch import Lists, Stretch

FAR_BELOW = np.float32(-3e38)
NOT_ALLOWED = np.float32(-2e38)
"""Below all similarities, above what a row has that may not be attended to."""


@intrinsic
def _power_of_two(typing_context: Any, exponent: Any) -> Any:
    """2ⁿ in float32 for −126 ≤ n ≤ 127, by writing n into the exponent's bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(arguments[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return types.float32(types.int32), build


@njit(fastmath=True, inline="always")
def _exponential(x: float) -> float:
    """exp(x) for −87 ≤ x ≤ 0, to 2e-7 relative."""
    y = x * float32(1.4426950408889634)
    n = np.floor(y + float32(0.5))
    f = y - n
    p = float32(1.5403530393381609e-4)
    p = p * f + float32(1.3333558146428443e-3)
    p = p * f + float32(9.618129107628477e-3)
    p = p * f + float32(5.550410866482158e-2)
    p = p * f + float32(0.2402265069591007)
    p = p * f + float32(0.6931471805599453)
    p = p * f + float32(1.0)
    return p * _power_of_two(int32(n))


class Packed(NamedTuple):
    """Queries as the products want them.

    Attributes:
        planes: int32[p, depth], bytes of the queries' codes, four to a word; p = q, or 2·q where each code is two
            bytes, the first one counting 256 times.
        offsets: int32[q], what the keys' bytes, being 128 higher than their codes, add to a product.
        steps: float32[q]; similarity = product·scale·step.
    """

    planes: NDArray[np.int32]
    offsets: NDArray[np.int32]
    steps: NDArray[np.float32]


def packed_queries(codes: NDArray[np.int16], steps: NDArray[np.float32], *, fine: bool) -> Packed:
    """Of codes int16[q, d] and steps float32[q]; coarse codes are within −127 to 127."""
    offsets = (OFFSET * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
    if not fine:
        return Packed(packed(codes.astype(np.int8)), offsets, steps)
    low = ((codes + OFFSET) & 255) - OFFSET
    planes = np.stack([(codes - low) >> 8, low], axis=1).reshape(2 * len(codes), -1)
    return Packed(packed(planes.astype(np.int8)), offsets, steps)


@njit(inline="always")
def _similarities(
    keys: Stretch,
    first: int,
    queries: Packed,
    products: NDArray[np.int32],
    lifts: NDArray[np.float32],
    found: NDArray[np.float32],
) -> None:
    """Fill found float32[q, 64] with the similarities of rows from `first` on; below all bars where not allowed.

    `products` int32[p, 64] and `lifts` float32[2, 64] are for what comes in between.
    """
    products[:] = 0
    byte_products(keys.codes, first // LANES, queries.planes, products)
    _lift(keys.scales[first : first + RUN], keys.allowed[first : first + RUN], lifts[0], lifts[1])
    planes = products.shape[0] // queries.steps.shape[0]
    for j in range(queries.steps.shape[0]):
        step = queries.steps[j]
        offset = queries.offsets[j]
        high, low, row = products[j * planes], products[j * planes + planes - 1], found[j]
        if planes == 2:
            for i in range(RUN):
                row[i] = float32(int32(high[i] * int32(256) + low[i] - offset)) * (lifts[0, i] * step) + lifts[1, i]
        else:
            for i in range(RUN):
                row[i] = float32(int32(low[i] - offset)) * (lifts[0, i] * step) + lifts[1, i]


@njit(inline="always")
def _lift(
    scales: NDArray[np.float32], allowed: NDArray[np.bool_], factors: NDArray[np.float32], terms: NDArray[np.float32]
) -> None:
    """What takes up to 64 products to similarities, product·factor + term: far below where there is none, or no leave.

    Full runs have a loop of their own, whose length the compiler knows.
    """
    if len(scales) == RUN:
        for i in range(RUN):
            factors[i] = scales[i] if allowed[i] else float32(0.0)
            terms[i] = float32(0.0) if allowed[i] else FAR_BELOW
        return
    factors[:] = 0
    terms[:] = FAR_BELOW
    for i in range(len(scales)):
        if allowed[i]:
            factors[i] = scales[i]
            terms[i] = float32(0.0)


@njit(inline="always")
def _list(lists: Lists, query: int, used: int, similarities: NDArray[np.float32], bar: float, base: int) -> int:
    """Add those of 64 rows that reach the bar to a query's list, of which so much is used; how much is then."""
    for i in range(RUN):
        if similarities[i] >= bar and similarities[i] > NOT_ALLOWED:
            lists.places[query, used] = base + i
            lists.found[query, used] = similarities[i]
            used += 1
    return used


@compiled(fastmath=True)
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
        weights: float32[q, ≥ r], filled with e (0 where listed or not allowed); float32[0, 0] to leave it.

    Returns:
        The row to go on from; r where all is done.
    """
    rows, q = keys.scales.shape[0], queries.steps.shape[0]
    keep = weights.shape[0] > 0
    products = np.empty((queries.planes.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    similarities = np.empty((q, RUN), dtype=np.float32)
    terms = np.empty(RUN, dtype=np.float32)
    # Copies, because two workers' sums may share a cache line, which would go back and forth.
    totals = np.zeros((q, 3))
    used = lists.counts.copy()
    room = lists.places.shape[1] - RUN
    done = rows
    for start in range(first, rows, RUN):
        if used.max() > room:
            done = start
            break
        _similarities(keys, start, queries, products, lifts, similarities)
        for j in range(q):
            bar = lists.bars[j]
            colder = inverse[j]
            mass = float32(0.0)
            depth = float32(0.0)
            square = float32(0.0)
            hits = int32(0)
            for i in range(RUN):
                s = similarities[j, i]
                x = max(min((s - bar) * colder, float32(0.0)), float32(-87.0))
                e = float32(0.0) if s >= bar or s < NOT_ALLOWED else _exponential(x)
                hits += int32(s >= bar)
                mass += e
                depth += e * x
                square += e * e
                terms[i] = e
            totals[j, 0] += mass
            totals[j, 1] += depth
            totals[j, 2] += square
            if keep:
                stop = min(start + RUN, rows)
                weights[j, start:stop] = terms[: stop - start]
            if hits > 0:
                used[j] = _list(lists, j, used[j], similarities[j], bar, keys.base + start)
    sums += totals
    lists.counts[:] = used
    return done


@compiled(fastmath=True)
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
    rows, q = keys.scales.shape[0], queries.steps.shape[0]
    last = float32(histogram.shape[1] - 1)
    products = np.empty((queries.planes.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    similarities = np.empty((q, RUN), dtype=np.float32)
    bins = np.empty(RUN, dtype=np.int32)
    counted = np.empty((RUN, 2), dtype=np.float64)
    used = lists.counts.copy()
    room = lists.places.shape[1] - RUN
    for start in range(first, rows, RUN):
        if used.max() > room:
            lists.counts[:] = used
            return start
        _similarities(keys, start, queries, products, lifts, similarities)
        for j in range(q):
            bar = lists.bars[j]
            hits = int32(0)
            for i in range(RUN):
                s = similarities[j, i]
                below = float32(1.0) if NOT_ALLOWED < s < bar else float32(0.0)
                bins[i] = int32(min(max((s - lows[j]) * finer[j], float32(0.0)), last))
                counted[i, 0] = below
                counted[i, 1] = below * s
                hits += int32(s >= bar)
            for i in range(RUN):
                histogram[j, bins[i], 0] += counted[i, 0]
                histogram[j, bins[i], 1] += counted[i, 1]
            if hits > 0:
                used[j] = _list(lists, j, used[j], similarities[j], bar, keys.base + start)
    lists.counts[:] = used
    return rows


@compiled(fastmath=True)
def lead(keys: Stretch, queries: Packed, best: NDArray[np.float32]) -> None:
    """Keep in best float32[q, b], ascending, the largest similarities seen."""
    q, size = best.shape
    products = np.empty((queries.planes.shape[0], RUN), dtype=np.int32)
    lifts = np.empty((2, RUN), dtype=np.float32)
    similarities = np.empty((q, RUN), dtype=np.float32)
    for start in range(0, keys.scales.shape[0], RUN):
        _similarities(keys, start, queries, products, lifts, similarities)
        for j in range(q):
            for i in range(RUN):
                s = similarities[j, i]
                if s > best[j, 0]:
                    at = 0
                    while at + 1 < size and best[j, at + 1] < s:
                        best[j, at] = best[j, at + 1]
                        at += 1
                    best[j, at] = s
