"""The rows that a scan listed, put in order and counted, compiled by numba; `listed.in_numpy` has the same in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, njit

from attention.dtypes import F32, F64, I64
from attention.kernels.cpu import array, compiled
from attention.kernels.listed.interface import VANISHED

DIGITS, BASE = 4, 256
"""A float32 as a number of so many digits."""

SIGN = np.uint32(0x80000000)


@compiled(
    *(array(int64, 3), array(float32, 3), array(int64, 2), array(int64, 1), int64, int64),
    *(array(int64, 1), array(float64, 1)),
    fastmath=False,
)
def in_order(
    places: I64, similarities: F32, counts: I64, starts: I64, first: int, last: int, ordered: I64, descending: F64
) -> None:
    """See `ListedKernels`."""
    # Sorted digit by digit, the last one first: a few passes over a few hundred rows that the first cache holds.
    most = 0
    for query in range(first, last):
        most = max(most, starts[query + 1] - starts[query])
    keys, other = np.empty(most, dtype=np.uint64), np.empty(most, dtype=np.uint64)
    listed, scanned = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.float32)
    digits = np.empty((DIGITS, BASE), dtype=np.int64)
    patterns = similarities.view(np.uint32)
    for query in range(first, last):
        digits[:] = 0
        rows = 0
        for worker in range(len(counts)):
            for at in range(counts[worker, query]):
                similarity = similarities[worker, query, at]
                listed[rows], scanned[rows] = places[worker, query, at], similarity
                # Numbers above 0 ascend as their bits do, those below descend; and 0 is level with −0.
                pattern = patterns[worker, query, at] if similarity != 0 else np.uint32(0)
                pattern = pattern if pattern & SIGN else ~(pattern ^ SIGN)
                keys[rows] = (np.uint64(pattern) << np.uint64(32)) | np.uint64(rows)
                for digit in range(DIGITS):
                    digits[digit, (pattern >> np.uint32(8 * digit)) & np.uint32(BASE - 1)] += 1
                rows += 1
        for digit in range(DIGITS):
            shift = np.uint64(32 + 8 * digit)
            # All above a threshold are much the same in their first digit.
            if rows == 0 or digits[digit, (keys[0] >> shift) & np.uint64(BASE - 1)] == rows:
                continue
            place = 0
            for value in range(BASE):
                count = digits[digit, value]
                digits[digit, value] = place
                place += count
            for at in range(rows):
                value = (keys[at] >> shift) & np.uint64(BASE - 1)
                other[digits[digit, value]] = keys[at]
                digits[digit, value] += 1
            keys, other = other, keys
        start = starts[query]
        for at in range(rows):
            row = keys[at] & np.uint64(0xFFFFFFFF)
            ordered[start + at] = listed[row]
            descending[start + at] = scanned[row]


@compiled(
    *(array(float64, 1), array(int64, 1), array(float64, 1), array(float64, 1), array(float64, 1)),
    *(float64, float64, int64, int64, array(int64, 1)),
    fastmath=False,
)
def heaviest(
    similarities: F64,
    starts: I64,
    inverse: F64,
    levels: F64,
    squares: F64,
    few: float,
    least: float,
    first: int,
    last: int,
    counts: I64,
) -> None:
    """See `ListedKernels`."""
    for query in range(first, last):
        begin, end = starts[query], starts[query + 1]
        counts[query] = 0
        if begin == end:
            continue
        best, twice = similarities[begin], 2 * inverse[query]
        relative = min(max((levels[query] - best) * twice, VANISHED), 0.0)
        limit = max(few * (squares[query] * math.exp(relative)), least)
        beyond = 0.0
        while end > begin:
            beyond += math.exp(max((similarities[end - 1] - best) * twice, VANISHED))
            if beyond > limit:
                break
            end -= 1
        counts[query] = end - begin


@njit(nogil=True)
def _down_to(similarities: F64, first: int, last: int, least: float) -> int:
    """How many of a run that descends are no smaller than `least`."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if similarities[middle] >= least:
            low = middle + 1
        else:
            high = middle
    return low - first


@compiled(
    *(array(float64, 1), array(int64, 1), array(int64, 1), array(int64, 1), array(float64, 1), int64, int64),
    fastmath=False,
)
def at_first(similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, most: int, times: int) -> I64:
    """See `ListedKernels`."""
    counts = np.zeros(len(ks), dtype=np.int64)
    for query in range(len(ks)):
        first, last, k = starts[query], starts[query + 1], ks[query]
        if last - first >= max(k, 1):
            enough = min(max(k, heavy[query]), min(last - first, most))
            least = min(similarities[first + enough - 1], similarities[first + k - 1] - margins[query])
            counts[query] = min(_down_to(similarities, first, last, least), max(times * most, 2 * k))
    return counts


@compiled(array(int64, 1), array(int64, 1), fastmath=False)
def first_ones(starts: I64, counts: I64) -> tuple[I64, I64, I64]:
    """See `ListedKernels`."""
    edges = np.empty(len(counts) + 1, dtype=np.int64)
    edges[0] = 0
    for run in range(len(counts)):
        edges[run + 1] = edges[run] + counts[run]
    places, runs = np.empty(edges[-1], dtype=np.int64), np.empty(edges[-1], dtype=np.int64)
    for run in range(len(counts)):
        for at in range(counts[run]):
            places[edges[run] + at] = starts[run] + at
            runs[edges[run] + at] = run
    return edges, places, runs


@njit(nogil=True)
def kth_largest(values: F64, k: int) -> float:
    """Return the k-th largest of values, k from 1 on.

    A heap, because `np.partition` alone takes the compiler as long as all else here.
    """
    count = len(values)
    # The k-th largest of many is one of the few smallest, for which all change their sign.
    sign, size = (1.0, k) if 2 * k <= count else (-1.0, count - k + 1)
    heap = np.empty(size)
    filled = 0
    for value in values:
        number = sign * value
        if filled < size:
            at = filled
            filled += 1
            while at > 0 and heap[(at - 1) // 2] > number:
                heap[at] = heap[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at] = number
        elif number > heap[0]:
            at, child = 0, 1
            while child < size:
                if child + 1 < size and heap[child + 1] < heap[child]:
                    child += 1
                if heap[child] >= number:
                    break
                heap[at] = heap[child]
                at, child = child, 2 * child + 1
            heap[at] = number
    return sign * float(heap[0])


@njit(nogil=True)
def _needed(similarities: F64, first: int, last: int, least: float, count: int, threshold: float, limit: int) -> int:
    """How many have to be known where all from `least` on have to; −1 where that is not told."""
    reached = max(_down_to(similarities, first, last, least), count)
    return reached if threshold <= least and reached <= limit else -1


@compiled(
    *(array(float64, 1), array(int64, 1), array(float64, 1), array(int64, 1), array(int64, 1)),
    *(array(float64, 1), array(float64, 1), array(float64, 1), int64, int64),
    fastmath=False,
)
def deciding(
    similarities: F64,
    starts: I64,
    known: F64,
    counts: I64,
    ks: I64,
    supports: F64,
    thresholds: F64,
    errors: F64,
    most: int,
    times: int,
) -> I64:
    """See `ListedKernels`."""
    needed = np.full(len(ks), -1, dtype=np.int64)
    stop = 0
    for query in range(len(ks)):
        begin, k = stop, ks[query]
        stop += counts[query]
        if counts[query] < max(k, 1):
            continue
        own, limit = known[begin:stop], max(times * most, 2 * k)
        lowest = own.max() - supports[query] if supports[query] > 0 else np.inf
        first, last = starts[query], starts[query + 1]
        # The worst of any k is no better than the k-th best: only where that does not tell the k-th best is sought.
        least = min(own[:k].min(), lowest) - errors[query]
        needed[query] = _needed(similarities, first, last, least, counts[query], thresholds[query], limit)
        if needed[query] < 0:
            least = min(kth_largest(own, k), lowest) - errors[query]
            needed[query] = _needed(similarities, first, last, least, counts[query], thresholds[query], limit)
    return needed
