"""Listed rows weighed, and the best of those known, compiled by numba; `listed.in_numpy` has the same in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numba import float64, int64, njit

from attention.dtypes import F64, I64
from attention.kernels.cpu import array, compiled
from attention.kernels.listed.interface import LEAST_LOGIT, LOWEST, VANISHING
from attention.kernels.listed.order import kth_largest


@njit(nogil=True, inline="always")
def _add(sums: F64, at: int, term: float) -> None:
    """Add to one of float64[2, n], what that left out to the other (Neumaier): two roundings, however many terms."""
    before = sums[0, at]
    after = before + term
    sums[1, at] += (before - after) + term if abs(before) >= abs(term) else (term - after) + before
    sums[0, at] = after


@njit(nogil=True)
def _log_sum(values: F64, first: int, last: int, best: float, temperature: float, distances: F64, masses: F64) -> float:
    """ln Σ exp of the logits of some rows and of sums at distances float64[b], which may all vanish beside the best."""
    largest = -np.inf
    for row in range(first, last):
        largest = max(largest, (values[row] - best) / temperature)
    for at in range(len(distances)):
        if masses[at] > 0:
            largest = max(largest, distances[at] + math.log(masses[at]))
    if largest == -np.inf:
        return largest
    mass = 0.0
    for row in range(first, last):
        mass += math.exp((values[row] - best) / temperature - largest)
    for at in range(len(distances)):
        if masses[at] > 0:
            mass += math.exp(distances[at] + math.log(masses[at]) - largest)
    return largest + math.log(mass)


@compiled(
    *(array(float64, 1), array(int64, 1), array(int64, 1), array(float64, 1), array(float64, 2), array(float64, 3)),
    *(array(float64, 2), int64, int64, array(float64, 1), array(float64, 2), array(float64, 2)),
    fastmath=False,
)
def weigh(
    values: F64,
    starts: I64,
    counts: I64,
    temperatures: F64,
    thresholds: F64,
    sums: F64,
    nulls: F64,
    first: int,
    last: int,
    weights: F64,
    factors: F64,
    totals: F64,
) -> None:
    """See `ListedKernels`."""
    added, distances = np.empty((2, 5)), np.empty(thresholds.shape[1])
    for case in range(first, last):
        begin, end, temperature = starts[case], starts[case + 1], temperatures[case]
        middle = begin + counts[case]
        best = values[begin:middle].max()
        added[:] = 0.0
        for row in range(begin, middle):
            logit = max((values[row] - best) / temperature, LOWEST)
            mass = math.exp(logit)
            weights[row] = mass
            _add(added, 0, mass)
            _add(added, 1, mass * logit)
        for row in range(middle, end):
            logit = max((values[row] - best) / temperature, LOWEST)
            mass = math.exp(logit)
            weights[row] = mass
            _add(added, 2, mass)
            _add(added, 3, mass * logit)
            _add(added, 4, mass * mass)
        tail, tail_gap, square = added[0, 2] + added[1, 2], added[0, 3] + added[1, 3], added[0, 4] + added[1, 4]
        summed, summed_gap, summed_square = 0.0, 0.0, 0.0
        for at in range(len(distances)):
            distances[at] = (thresholds[case, at] - best) / temperature
            floor = max(distances[at], LEAST_LOGIT)
            factor = math.exp(floor)
            factors[case, at] = factor
            summed += factor * sums[case, at, 0]
            summed_gap += factor * (sums[case, at, 1] + floor * sums[case, at, 0])
            summed_square += factor * factor * sums[case, at, 2]
        tail, tail_gap = tail + summed, -(tail_gap + summed_gap)
        whole = added[0, 0] + added[1, 0] + tail
        log_mass = math.log(whole)
        mean_gap = (tail_gap - (added[0, 1] + added[1, 1])) / whole
        null_logit = -np.inf
        if nulls[case, 0] != -np.inf:
            null_logit = (nulls[case, 0] - best) / temperature + nulls[case, 1]
        ahead = null_logit - log_mass
        rising = math.exp(-abs(ahead))
        less, more = rising / (1 + rising), 1 / (1 + rising)
        null_weight = more if ahead >= 0 else less
        log_partition = max(log_mass, null_logit) + math.log1p(rising)
        factor = (less if ahead > 0 else more) / whole
        for row in range(begin, end):
            weights[row] *= factor
        for at in range(len(distances)):
            factors[case, at] *= factor
        log_tail = math.log(tail) if tail > 0 else -np.inf
        if tail < VANISHING:
            log_tail = _log_sum(values, middle, end, best, temperature, distances, sums[case, :, 0])
        own = totals[case]
        own[0], own[1], own[2] = best, null_weight, best / temperature + log_partition
        own[3] = log_mass + mean_gap
        own[4] = (1 - null_weight) * (mean_gap + max(null_logit, 0.0))
        if null_weight > 0:
            own[4] += null_weight * max(-null_logit, 0.0)
        own[5], own[6] = min(tail * factor, 1.0), min(log_tail - log_partition, 0.0)
        own[7] = tail_gap * factor
        own[8], own[9] = (square + summed_square) * factor * factor, summed_square * factor * factor


@compiled(array(float64, 1), array(int64, 1), array(int64, 1), array(int64, 1), array(int64, 1), fastmath=False)
def heads(similarities: F64, places: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
    """See `ListedKernels`."""
    edges = np.zeros(len(counts) + 1, dtype=np.int64)
    rows, runs = np.empty(counts.sum(), dtype=np.int64), np.empty(counts.sum(), dtype=np.int64)
    end = 0
    for query in range(len(counts)):
        first, begin = starts[query], end
        k = min(ks[query], counts[query])
        if k > 0:
            least = kth_largest(similarities[first : first + counts[query]], k)
            for row in range(first, first + counts[query]):
                if similarities[row] >= least:
                    rows[end] = row
                    end += 1
        # In order by Shell's method: mostly they are already, but copies of one row may be many.
        gap = 1
        while 3 * gap < end - begin:
            gap = 3 * gap + 1
        while gap > 0:
            for at in range(begin + gap, end):
                row = rows[at]
                while at - gap >= begin:
                    other = rows[at - gap]
                    if similarities[other] > similarities[row]:
                        break
                    if similarities[other] == similarities[row] and places[other] < places[row]:
                        break
                    rows[at] = other
                    at -= gap
                rows[at] = row
            gap //= 3
        edges[query + 1] = end
        runs[begin:end] = query
    return edges, rows[:end].copy(), runs[:end].copy()
