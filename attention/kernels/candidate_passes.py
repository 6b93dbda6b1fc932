"""The rows that a scan listed, put in order and weighed, compiled by numba; `in_numpy` has the same in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, njit

from attention.dtypes import F32, F64, I64
from attention.kernels.cpu import array, compiled
from attention.kernels.interface import LOWEST, VANISHED

DIGITS, BASE = 4, 256
"""A float32 as a number of so many digits."""

SIGN = np.uint32(0x80000000)


@compiled(array(float32, 1), array(int64, 1), fastmath=False)
def best_first(similarities: F32, starts: I64) -> I64:
    """See `Kernels`."""
    # Sorted digit by digit, the last one first: four passes over a few hundred rows that the first cache holds.
    rows = len(similarities)
    order, other = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    bits, digits = np.empty(rows, dtype=np.uint32), np.empty((DIGITS, BASE), dtype=np.int64)
    patterns = similarities.view(np.uint32)
    for query in range(len(starts) - 1):
        first, last = starts[query], starts[query + 1]
        digits[:] = 0
        for row in range(first, last):
            # Numbers above 0 ascend as their bits do, those below descend; and 0 is level with −0.
            pattern = patterns[row] if similarities[row] != 0 else np.uint32(0)
            pattern = pattern if pattern & SIGN else ~(pattern ^ SIGN)
            bits[row] = pattern
            order[row] = row
            for digit in range(DIGITS):
                digits[digit, (pattern >> np.uint32(8 * digit)) & np.uint32(255)] += 1
        for digit in range(DIGITS):
            place = first
            for value in range(BASE):
                count = digits[digit, value]
                digits[digit, value] = place
                place += count
            for at in range(first, last):
                row = order[at]
                value = (bits[row] >> np.uint32(8 * digit)) & np.uint32(255)
                other[digits[digit, value]] = row
                digits[digit, value] += 1
            order, other = other, order
    return order


@compiled(array(float64, 1), array(int64, 1), array(float64, 1), array(float64, 1), fastmath=False)
def heaviest(similarities: F64, starts: I64, inverse: F64, limits: F64) -> I64:
    """See `Kernels`."""
    counts = np.zeros(len(inverse), dtype=np.int64)
    for query in range(len(inverse)):
        first, last = starts[query], starts[query + 1]
        beyond = 0.0
        while last > first:
            gap = (similarities[last - 1] - similarities[first]) * (2 * inverse[query])
            beyond += math.exp(max(gap, VANISHED))
            if beyond > limits[query]:
                break
            last -= 1
        counts[query] = last - first
    return counts


@compiled(array(float64, 1), array(int64, 1), array(float64, 1), fastmath=False)
def down_to(similarities: F64, starts: I64, least: F64) -> I64:
    """See `Kernels`."""
    counts = np.empty(len(least), dtype=np.int64)
    for query in range(len(least)):
        low, high = starts[query], starts[query + 1]
        while low < high:
            middle = (low + high) // 2
            if similarities[middle] >= least[query]:
                low = middle + 1
            else:
                high = middle
        counts[query] = low - starts[query]
    return counts


@compiled(array(float64, 1), array(int64, 1), array(int64, 1), fastmath=False)
def levels(known: F64, counts: I64, ks: I64) -> tuple[F64, F64]:
    """See `Kernels`."""
    worst, best = np.full(len(ks), -np.inf), np.full(len(ks), -np.inf)
    first = 0
    for query in range(len(ks)):
        last = first + counts[query]
        if counts[query] >= ks[query]:
            worst[query] = known[first : first + ks[query]].min()
        if first < last:
            best[query] = known[first:last].max()
        first = last
    return worst, best


@njit(nogil=True, inline="always")
def _add(sums: F64, at: int, term: float) -> None:
    """Add to one of float64[2, n], what that left out to the other (Neumaier): two roundings, however many terms."""
    before = sums[0, at]
    after = before + term
    sums[1, at] += (before - after) + term if abs(before) >= abs(term) else (term - after) + before
    sums[0, at] = after


@compiled(array(float64, 1), array(int64, 1), array(int64, 1), array(float64, 1), fastmath=False)
def masses(values: F64, starts: I64, counts: I64, temperatures: F64) -> tuple[F64, F64]:
    """See `Kernels`."""
    found, totals = np.empty(len(values)), np.empty((len(counts), 6))
    sums = np.empty((2, 5))
    for case in range(len(counts)):
        first, last = starts[case], starts[case + 1]
        known = first + counts[case]
        best = values[first:known].max()
        sums[:] = 0.0
        for row in range(first, last):
            logit = max((values[row] - best) / temperatures[case], LOWEST)
            mass = math.exp(logit)
            found[row] = mass
            place = 0 if row < known else 2
            _add(sums, place, mass)
            _add(sums, place + 1, mass * logit)
            if row >= known:
                _add(sums, 4, mass * mass)
        totals[case, 0] = best
        totals[case, 1:] = sums[0] + sums[1]
    return found, totals
