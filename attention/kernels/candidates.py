"""Compiled kernels over the candidates that a scan listed: sorting, counting, weighing and selecting the best."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, njit

from attention.arrays import F32, F64, I64
from attention.kernels.cpu import array, kernel
from attention.kernels.interface import LEAST_LOGIT, LOWEST, VANISHED, VANISHING

DIGITS, BASE = 4, 256
"""The radix sort's digits: a float32 has 4 of 8 bits."""

SIGN = np.uint32(0x80000000)


@kernel(
    *(array(int64, 3), array(float32, 3), array(int64, 2), array(int64, 1), int64, int64),
    *(array(int64, 1), array(float64, 1)),
    fastmath=False,
)
def sort_candidates(
    row_numbers: I64, similarities: F32, counts: I64, starts: I64, first: int, last: int, ordered: I64, descending: F64
) -> None:
    """Merge the candidate lists of all workers into one run per query, sorted by similarity, largest first.

    A worker is one thread of a scan, and lists the best rows that it read. A run is the part of `ordered` and
    `descending` that belongs to one query. Only the runs of queries `first` to `last` are filled. Shapes and details
    are those of `CandidateKernels.sort_candidates`.
    """
    # LSD radix sort: a few passes over a few hundred rows, which the L1 cache holds.
    longest = 0
    for query in range(first, last):
        longest = max(longest, starts[query + 1] - starts[query])
    keys, other = np.empty(longest, dtype=np.uint64), np.empty(longest, dtype=np.uint64)
    listed, scanned = np.empty(longest, dtype=np.int64), np.empty(longest, dtype=np.float32)
    digits = np.empty((DIGITS, BASE), dtype=np.int64)
    patterns = similarities.view(np.uint32)
    for query in range(first, last):
        digits[:] = 0
        rows = 0
        for worker in range(len(counts)):
            for index in range(counts[worker, query]):
                similarity = similarities[worker, query, index]
                listed[rows], scanned[rows] = row_numbers[worker, query, index], similarity
                # Bits of positive floats ascend with them, bits of negative ones descend; −0 equals 0.
                pattern = patterns[worker, query, index] if similarity != 0 else np.uint32(0)
                pattern = pattern if pattern & SIGN else ~(pattern ^ SIGN)
                keys[rows] = (np.uint64(pattern) << np.uint64(32)) | np.uint64(rows)
                for digit in range(DIGITS):
                    digits[digit, (pattern >> np.uint32(8 * digit)) & np.uint32(BASE - 1)] += 1
                rows += 1
        for digit in range(DIGITS):
            shift = np.uint64(32 + 8 * digit)
            # Rows above a threshold often share their first digit.
            if rows == 0 or digits[digit, (keys[0] >> shift) & np.uint64(BASE - 1)] == rows:
                continue
            offset = 0
            for value in range(BASE):
                count = digits[digit, value]
                digits[digit, value] = offset
                offset += count
            for index in range(rows):
                value = (keys[index] >> shift) & np.uint64(BASE - 1)
                other[digits[digit, value]] = keys[index]
                digits[digit, value] += 1
            keys, other = other, keys
        start = starts[query]
        for index in range(rows):
            row = keys[index] & np.uint64(0xFFFFFFFF)
            ordered[start + index] = listed[row]
            descending[start + index] = scanned[row]


@kernel(
    *(array(float64, 1), array(int64, 1), array(float64, 1), array(float64, 1), array(float64, 1)),
    *(float64, float64, int64, int64, array(int64, 1)),
    fastmath=False,
)
def heavy_counts(
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
    """Count the first candidates of each query that hold nearly all of its squared softmax weight.

    Candidates are the rows that a scan listed, sorted, best first. The counts of queries `first` to `last` are written
    to `counts`. Shapes and details are those of `CandidateKernels.heavy_counts`.
    """
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
def _count_at_least(similarities: F64, first: int, last: int, least: float) -> int:
    """Return how many of similarities[first : last], in descending order, are at least `least`."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if similarities[middle] >= least:
            low = middle + 1
        else:
            high = middle
    return low - first


@kernel(
    *(array(float64, 1), array(int64, 1), array(int64, 1), array(int64, 1), array(float64, 1), int64, int64),
    fastmath=False,
)
def initial_counts(similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, maximum: int, times: int) -> I64:
    """Return int64[q], how many of each query's candidates to compute again in float64 first.

    Candidates are the rows that a scan listed, sorted, best first: a count selects the best ones. Shapes and details
    are those of `CandidateKernels.initial_counts`.
    """
    counts = np.zeros(len(ks), dtype=np.int64)
    for query in range(len(ks)):
        first, last, k = starts[query], starts[query + 1], ks[query]
        if last - first >= max(k, 1):
            enough = min(max(k, heavy[query]), min(last - first, maximum))
            least = min(similarities[first + enough - 1], similarities[first + k - 1] - margins[query])
            counts[query] = min(_count_at_least(similarities, first, last, least), max(times * maximum, 2 * k))
    return counts


@kernel(array(int64, 1), array(int64, 1), fastmath=False)
def first_rows(starts: I64, counts: I64) -> tuple[I64, I64, I64]:
    """Select the first `counts[i]` candidates of each query i.

    Returns:
        (edges, indices, runs): where each query's selection begins, the selected indices into the concatenated
        candidates, and the query of each. Shapes are those of `CandidateKernels.first_rows`.
    """
    edges = np.empty(len(counts) + 1, dtype=np.int64)
    edges[0] = 0
    for run in range(len(counts)):
        edges[run + 1] = edges[run] + counts[run]
    indices, runs = np.empty(edges[-1], dtype=np.int64), np.empty(edges[-1], dtype=np.int64)
    for run in range(len(counts)):
        for offset in range(counts[run]):
            indices[edges[run] + offset] = starts[run] + offset
            runs[edges[run] + offset] = run
    return edges, indices, runs


@njit(nogil=True)
def kth_largest(values: F64, k: int) -> float:
    """Return the k-th largest value of float64[n], for 1 ≤ k ≤ n, by a heap.

    Compiling `np.partition` would take as long as compiling everything else in this module.
    """
    count = len(values)
    # If k is large, find the (count − k + 1)-th smallest instead, by negating all values.
    sign, size = (1.0, k) if 2 * k <= count else (-1.0, count - k + 1)
    heap = np.empty(size)
    filled = 0
    for value in values:
        number = sign * value
        if filled < size:
            index = filled
            filled += 1
            while index > 0 and heap[(index - 1) // 2] > number:
                heap[index] = heap[(index - 1) // 2]
                index = (index - 1) // 2
            heap[index] = number
        elif number > heap[0]:
            index, child = 0, 1
            while child < size:
                if child + 1 < size and heap[child + 1] < heap[child]:
                    child += 1
                if heap[child] >= number:
                    break
                heap[index] = heap[child]
                index, child = child, 2 * child + 1
            heap[index] = number
    return sign * float(heap[0])


@njit(nogil=True)
def _count_needed(
    similarities: F64, first: int, last: int, least: float, count: int, threshold: float, limit: int
) -> int:
    """Return how many of a query's candidates to compute in float64, to include all from similarity `least` on.

    Return −1 if rows from `least` on may be missing from the candidates, or if more than `limit` are needed.

    Args:
        similarities: float64[m], of all queries; elements `first` to `last` are those of this query, descending.
        count: how many candidates are computed already; the result is not smaller.
        threshold: the similarity from which on the scan listed every row as a candidate.
    """
    reached = max(_count_at_least(similarities, first, last, least), count)
    return reached if threshold <= least and reached <= limit else -1


@kernel(
    *(array(float64, 1), array(int64, 1), array(float64, 1), array(int64, 1), array(int64, 1)),
    *(array(float64, 1), array(float64, 1), array(float64, 1), int64, int64),
    fastmath=False,
)
def decisive_counts(
    similarities: F64,
    starts: I64,
    rescored: F64,
    counts: I64,
    ks: I64,
    supports: F64,
    thresholds: F64,
    errors: F64,
    maximum: int,
    times: int,
) -> I64:
    """Return int64[q], how many of each query's candidates to compute in float64 to know its k best rows.

    Candidates are the rows that a scan listed, sorted, best first. A result is −1 if they cannot decide. Shapes and
    details are those of `CandidateKernels.decisive_counts`.
    """
    needed = np.full(len(ks), -1, dtype=np.int64)
    stop = 0
    for query in range(len(ks)):
        begin, k = stop, ks[query]
        stop += counts[query]
        if counts[query] < max(k, 1):
            continue
        run_known, limit = rescored[begin:stop], max(times * maximum, 2 * k)
        lowest = run_known.max() - supports[query] if supports[query] > 0 else np.inf
        first, last = starts[query], starts[query + 1]
        # The minimum of any k rows is at most the k-th best. Search for the k-th best only if that does not decide.
        least = min(run_known[:k].min(), lowest) - errors[query]
        needed[query] = _count_needed(similarities, first, last, least, counts[query], thresholds[query], limit)
        if needed[query] < 0:
            least = min(kth_largest(run_known, k), lowest) - errors[query]
            needed[query] = _count_needed(similarities, first, last, least, counts[query], thresholds[query], limit)
    return needed


@njit(nogil=True, inline="always")
def _add(sums: F64, index: int, term: float) -> None:
    """Add a term to the sum with this index, in compensated sums float64[2, n].

    Row 0 has the sums, and row 1 their rounding errors (Neumaier's method).
    """
    before = sums[0, index]
    after = before + term
    sums[1, index] += (before - after) + term if abs(before) >= abs(term) else (term - after) + before
    sums[0, index] = after


@njit(nogil=True)
def _log_sum(values: F64, first: int, last: int, best: float, temperature: float, distances: F64, masses: F64) -> float:
    """Return ln(Σ exp((values[i] − best)/temperature) + Σ masses[j]·exp(distances[j])), even if every term underflows.

    Args:
        values: float64[m]; only elements `first` to `last` count.
        best: the similarity that logits are relative to.
        distances, masses: float64[b], sums over further rows: a mass, and the logit that it is relative to.
    """
    largest = -np.inf
    for row in range(first, last):
        largest = max(largest, (values[row] - best) / temperature)
    for index in range(len(distances)):
        if masses[index] > 0:
            largest = max(largest, distances[index] + math.log(masses[index]))
    if largest == -np.inf:
        return largest
    mass = 0.0
    for row in range(first, last):
        mass += math.exp((values[row] - best) / temperature - largest)
    for index in range(len(distances)):
        if masses[index] > 0:
            mass += math.exp(distances[index] + math.log(masses[index]) - largest)
    return largest + math.log(mass)


@kernel(
    *(array(float64, 1), array(int64, 1), array(int64, 1), array(float64, 1), array(float64, 2), array(float64, 3)),
    *(array(float64, 2), int64, int64, array(float64, 1), array(float64, 2), array(float64, 2)),
    fastmath=False,
)
def softmax_weights(
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
    """Compute softmax weights over the rows that a scan listed and over the sums of all other rows.

    A case is one query at one temperature; cases `first` to `last` are computed. Results are written to `weights`,
    `factors` and `totals`. Shapes and details are those of `CandidateKernels.softmax_weights`.
    """
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
        for index in range(len(distances)):
            distances[index] = (thresholds[case, index] - best) / temperature
            floor = max(distances[index], LEAST_LOGIT)
            factor = math.exp(floor)
            factors[case, index] = factor
            summed += factor * sums[case, index, 0]
            summed_gap += factor * (sums[case, index, 1] + floor * sums[case, index, 0])
            summed_square += factor * factor * sums[case, index, 2]
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
        for index in range(len(distances)):
            factors[case, index] *= factor
        log_tail = math.log(tail) if tail > 0 else -np.inf
        if tail < VANISHING:
            log_tail = _log_sum(values, middle, end, best, temperature, distances, sums[case, :, 0])
        total = totals[case]
        total[0], total[1], total[2] = best, null_weight, best / temperature + log_partition
        total[3] = log_mass + mean_gap
        total[4] = (1 - null_weight) * (mean_gap + max(null_logit, 0.0))
        if null_weight > 0:
            total[4] += null_weight * max(-null_logit, 0.0)
        total[5], total[6] = min(tail * factor, 1.0), min(log_tail - log_partition, 0.0)
        total[7] = tail_gap * factor
        total[8], total[9] = (square + summed_square) * factor * factor, summed_square * factor * factor


@kernel(array(float64, 1), array(int64, 1), array(int64, 1), array(int64, 1), array(int64, 1), fastmath=False)
def top_rows(similarities: F64, row_numbers: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
    """Select the k best rows among the first candidates of each query, and all rows that tie with the k-th best.

    Candidates are the rows that a scan listed. Shapes and details are those of `CandidateKernels.top_rows`.
    """
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
        # Shell sort: rows are mostly in order already, but there may be many copies of one row.
        gap = 1
        while 3 * gap < end - begin:
            gap = 3 * gap + 1
        while gap > 0:
            for index in range(begin + gap, end):
                row = rows[index]
                while index - gap >= begin:
                    neighbour = rows[index - gap]
                    if similarities[neighbour] > similarities[row]:
                        break
                    if similarities[neighbour] == similarities[row] and row_numbers[neighbour] < row_numbers[row]:
                        break
                    rows[index] = neighbour
                    index -= gap
                rows[index] = row
            gap //= 3
        edges[query + 1] = end
        runs[begin:end] = query
    return edges, rows[:end].copy(), runs[:end].copy()
