"""What is done with listed rows, in NumPy; `ListedKernels` says what each function does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from attention.dtypes import F32, F64, I64
from attention.kernels.listed.interface import LEAST_LOGIT, LOWEST, VANISHED, VANISHING


def in_order(
    places: I64, similarities: F32, counts: I64, starts: I64, first: int, last: int, ordered: I64, descending: F64
) -> None:
    """See `ListedKernels`."""
    for query in range(first, last):
        used = np.arange(places.shape[2]) < counts[:, query, None]
        scanned, here = similarities[:, query][used], slice(starts[query], starts[query + 1])
        order = np.argsort(-scanned, kind="stable")
        ordered[here], descending[here] = places[:, query][used][order], scanned[order]


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
        own = similarities[starts[query] : starts[query + 1]]
        counts[query] = 0
        if len(own):
            twice = 2 * inverse[query]
            summed = squares[query] * np.exp(np.clip((levels[query] - own[0]) * twice, VANISHED, 0.0))
            beyond = np.exp(np.maximum((own - own[0]) * twice, VANISHED))[::-1].cumsum()
            counts[query] = np.count_nonzero(beyond > max(few * summed, least))


def _down_to(run: F64, least: float) -> int:
    return int(np.searchsorted(-run, -least, side="right"))


def at_first(similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, most: int, times: int) -> I64:
    """See `ListedKernels`."""
    counts = np.zeros(len(ks), dtype=np.int64)
    for query, (first, last) in enumerate(pairwise(starts.tolist())):
        own, k = similarities[first:last], int(ks[query])
        if len(own) >= max(k, 1):
            enough = min(max(k, int(heavy[query])), len(own), most)
            down = _down_to(own, min(own[enough - 1], own[k - 1] - margins[query]))
            counts[query] = min(down, max(times * most, 2 * k))
    return counts


def first_ones(starts: I64, counts: I64) -> tuple[I64, I64, I64]:
    """See `ListedKernels`."""
    edges = np.append(0, counts.cumsum())
    runs = np.repeat(np.arange(len(counts)), counts)
    return edges, np.arange(edges[-1]) + (starts[: len(counts)] - edges[:-1])[runs], runs


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
    for query, own in enumerate(np.split(known, counts.cumsum()[:-1])):
        k, count = int(ks[query]), len(own)
        if count < max(k, 1):
            continue
        lowest = own.max() - supports[query] if supports[query] > 0 else np.inf
        run, limit = similarities[starts[query] : starts[query + 1]], max(times * most, 2 * k)
        for level in (own[:k].min(), np.partition(own, count - k)[count - k]):
            least = min(level, lowest) - errors[query]
            reached = max(_down_to(run, least), count)
            if thresholds[query] <= least and reached <= limit:
                needed[query] = reached
                break
    return needed


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
    for case in range(first, last):
        begin, end, temperature = int(starts[case]), int(starts[case + 1]), temperatures[case]
        own, known = values[begin:end], int(counts[case])
        best = own[:known].max()
        logits = np.maximum((own - best) / temperature, LOWEST)
        masses = np.exp(logits)
        gaps, squares = masses * logits, masses[known:] * masses[known:]
        distances = (thresholds[case] - best) / temperature
        floors = np.maximum(distances, LEAST_LOGIT)
        terms = np.exp(floors)
        mass, gap, square = sums[case].T
        tail = masses[known:].sum() + (terms * mass).sum()
        tail_gap = -(gaps[known:].sum() + (terms * (gap + floors * mass)).sum())
        summed_square = (terms * terms * square).sum()
        whole = masses[:known].sum() + tail
        log_mass = np.log(whole)
        mean_gap = (tail_gap - gaps[:known].sum()) / whole
        similarity, log_count = nulls[case]
        null_logit = -np.inf if similarity == -np.inf else (similarity - best) / temperature + log_count
        rising = np.exp(-abs(null_logit - log_mass))
        less, more = rising / (1 + rising), 1 / (1 + rising)
        null_weight = more if null_logit >= log_mass else less
        log_partition = max(log_mass, null_logit) + np.log1p(rising)
        factor = (less if null_logit > log_mass else more) / whole
        weights[begin:end], factors[case] = masses * factor, terms * factor
        log_tail = np.log(tail) if tail > 0 else -np.inf
        if tail < VANISHING:
            there = mass > 0
            each = np.concatenate([(own[known:] - best) / temperature, distances[there] + np.log(mass[there])])
            log_tail = np.logaddexp.reduce(each, initial=-np.inf)
        below = null_weight * max(-null_logit, 0.0) if null_weight > 0 else 0.0
        totals[case] = (
            best,
            null_weight,
            best / temperature + log_partition,
            log_mass + mean_gap,
            (1 - null_weight) * (mean_gap + max(null_logit, 0.0)) + below,
            min(tail * factor, 1.0),
            min(log_tail - log_partition, 0.0),
            tail_gap * factor,
            (squares.sum() + summed_square) * factor * factor,
            summed_square * factor * factor,
        )


def heads(similarities: F64, places: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
    """See `ListedKernels`."""
    rows = []
    for first, count, k in zip(starts.tolist(), counts.tolist(), ks.tolist(), strict=False):
        own, k = similarities[first : first + count], min(k, count)
        head = np.flatnonzero(own >= np.partition(own, count - k)[count - k]) if k else np.empty(0, dtype=np.int64)
        rows.append(first + head[np.lexsort((places[first + head], -own[head]))])
    counts = np.array([len(each) for each in rows])
    return np.append(0, counts.cumsum()), np.concatenate(rows), np.repeat(np.arange(len(counts)), counts)
