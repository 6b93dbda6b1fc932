"""One pass over a tile of integer products, compiled by numba; `portable` has the same in NumPy.

The pass turns products into similarities, adds up what lies below each query's bar, and lists what lies above.
"""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type"

from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, int32, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from attention.lookup.compiling import compiled

RUN = 64
"""Rows that are summed in float32 before they join a float64 sum."""


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


@compiled(fastmath=True)
def weigh_few(
    products: NDArray[np.int32],
    first: int,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    bars: NDArray[np.float32],
    inverse: NDArray[np.float32],
    sums: NDArray[np.float64],
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
    base: int,
    weights: NDArray[np.float32],
) -> int:
    """Go through a tile's rows from `first` on, row beside row; stop early where a query's list is full.

    Args:
        products: int32[r, q].
        scales: float32[r], of the keys.
        allowed: bool[r].
        steps: float32[q], of the queries: similarity = product·scale·step.
        bars: float32[q]; similarities from here on are listed, not summed.
        inverse: float32[q], 1/T.
        sums: float64[q, 3], added to: Σe, Σe·x, Σe² with x = (s − bar)/T and e = exp(x).
        places, found: int64[q, c] and float32[q, c], the lists; counts: int64[q], how much of each is used.
        base: the place of the tile's first row.
        weights: float32[q, ≥ r], filled with e (0 where listed or not allowed); float32[0, 0] to leave it.

    Returns:
        The row to go on from; r where the tile is done.
    """
    rows = products.shape[0]
    q = steps.shape[0]
    keep = weights.shape[0] > 0
    similarities = np.empty((q, RUN), dtype=np.float32)
    terms = np.empty(RUN, dtype=np.float32)
    for start in range(first, rows, RUN):
        stop = min(start + RUN, rows)
        n = stop - start
        for j in range(q):
            if counts[j] + n > places.shape[1]:
                return start
        # Turned so that each query's similarities lie side by side; what may not be attended to falls below all bars.
        for i in range(n):
            scale = scales[start + i] if allowed[start + i] else float32(0.0)
            lift = float32(0.0) if allowed[start + i] else float32(-3e38)
            for j in range(q):
                similarities[j, i] = float32(products[start + i, j]) * (scale * steps[j]) + lift
        for j in range(q):
            bar = bars[j]
            colder = inverse[j]
            mass = float32(0.0)
            depth = float32(0.0)
            square = float32(0.0)
            hits = int32(0)
            for i in range(n):
                s = similarities[j, i]
                x = max(min((s - bar) * colder, float32(0.0)), float32(-87.0))
                e = float32(0.0) if s >= bar or s < float32(-2e38) else _exponential(x)
                hits += int32(s >= bar)
                mass += e
                depth += e * x
                square += e * e
                terms[i] = e
            sums[j, 0] += mass
            sums[j, 1] += depth
            sums[j, 2] += square
            if keep:
                weights[j, start:stop] = terms[:n]
            if hits > 0:
                for i in range(n):
                    if similarities[j, i] >= bar and similarities[j, i] > float32(-2e38):
                        at = counts[j]
                        places[j, at] = base + start + i
                        found[j, at] = similarities[j, i]
                        counts[j] = at + 1
    return rows


@compiled(fastmath=True)
def weigh_many(
    products: NDArray[np.int32],
    first: int,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    bars: NDArray[np.float32],
    inverse: NDArray[np.float32],
    sums: NDArray[np.float64],
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
    base: int,
    weights: NDArray[np.float32],
) -> int:
    """What `weigh_few` does, query beside query: faster where there are many."""
    rows = products.shape[0]
    q = steps.shape[0]
    keep = weights.shape[0] > 0
    part = np.empty((3, q), dtype=np.float32)
    listed = np.empty(q, dtype=np.int32)
    terms = np.empty((RUN, q), dtype=np.float32)
    for start in range(first, rows, RUN):
        stop = min(start + RUN, rows)
        n = stop - start
        for j in range(q):
            if counts[j] + n > places.shape[1]:
                return start
        part[:] = float32(0.0)
        listed[:] = 0
        for i in range(n):
            if not allowed[start + i]:
                terms[i] = float32(0.0)
                continue
            scale = scales[start + i]
            for j in range(q):
                s = float32(products[start + i, j]) * (scale * steps[j])
                x = max(min((s - bars[j]) * inverse[j], float32(0.0)), float32(-87.0))
                hit = s >= bars[j]
                e = float32(0.0) if hit else _exponential(x)
                listed[j] |= int32(hit)
                part[0, j] += e
                part[1, j] += e * x
                part[2, j] += e * e
                terms[i, j] = e
        for j in range(q):
            sums[j, 0] += part[0, j]
            sums[j, 1] += part[1, j]
            sums[j, 2] += part[2, j]
            if keep:
                for i in range(n):
                    weights[j, start + i] = terms[i, j]
            if listed[j] != 0:
                # A term is 0 only where the bar was reached: asking again could round to the other side of it.
                for i in range(n):
                    if terms[i, j] == float32(0.0) and allowed[start + i]:
                        at = counts[j]
                        places[j, at] = base + start + i
                        found[j, at] = float32(products[start + i, j]) * (scales[start + i] * steps[j])
                        counts[j] = at + 1
    return rows


@compiled(fastmath=True)
def tally(
    products: NDArray[np.int32],
    first: int,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    bars: NDArray[np.float32],
    lows: NDArray[np.float32],
    finer: NDArray[np.float32],
    histogram: NDArray[np.float64],
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
    base: int,
) -> int:
    """Like `weigh_few`, but what lies below the bar goes into a histogram instead of sums.

    Args:
        lows: float32[q], where the first bin begins.
        finer: float32[q], bins to one of similarity.
        histogram: float64[q, bins, 2], count and sum of similarities, added to.
    """
    rows = products.shape[0]
    q = steps.shape[0]
    last = histogram.shape[1] - 1
    for i in range(first, rows):
        if not allowed[i]:
            continue
        for j in range(q):
            if counts[j] == places.shape[1]:
                return i
        for j in range(q):
            s = float32(products[i, j]) * (scales[i] * steps[j])
            if s >= bars[j]:
                at = counts[j]
                places[j, at] = base + i
                found[j, at] = s
                counts[j] = at + 1
            else:
                at = min(max(int32((s - lows[j]) * finer[j]), 0), last)
                histogram[j, at, 0] += 1.0
                histogram[j, at, 1] += np.float64(s)
    return rows
