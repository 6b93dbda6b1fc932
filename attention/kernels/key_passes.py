"""Compiled passes over the 8-bit codes of keys.

A pass turns byte products into similarities, 64 rows at a time. It lists rows at or above each query's threshold and
sums the others, in float32 within the 64 rows and in float64 across them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, uint8

from attention.arrays import F32, F64, I16, I32
from attention.kernels.amx import amx_usable, pad_rows
from attention.kernels.cpu import array, kernel, record
from attention.kernels.dot import INSTRUCTION, byte_products
from attention.kernels.interface import CandidateLists, CodedKeys
from attention.kernels.layout import LANES, PANEL
from attention.kernels.softmax_terms import NOT_ALLOWED, add_to_terms, scale_and_mask, terms_of, to_similarities


class Packed(NamedTuple):
    """Coded queries in the form that the compiled scans multiply with coded keys.

    Attributes:
        planes: int32[≥ each·q, words], the queries' codes as bytes, four to a word; see `DotProduct.pack`.
        each: rows of `planes` per query: 1, or 2 if a 16-bit code is split into bytes, of which the first counts 256
            times.
        offsets: int32[q], the part of a product that comes from the 128 added to each key byte.
        steps: float32[q]; similarity = product·scale·step.
        amx: whether AMX, the matrix unit, may be used.
    """

    planes: I32
    each: int
    offsets: I32
    steps: F32
    amx: bool


_KEYS = record(CodedKeys, array(uint8, 4), array(float32, 1), array(boolean, 1), int64, array(float32, 1))
PACKED = record(Packed, array(int32, 2), int64, array(int32, 1), array(float32, 1), boolean)
_CANDIDATES = record(CandidateLists, array(float32, 1), array(int64, 2), array(float32, 2), array(int64, 1))


def pack_queries(codes: I16, steps: F32, *, fine: bool) -> Packed:
    """Return coded queries in the form that the scans over coded keys read.

    Args:
        codes: int16[q, d], each query as integers, within −127 to 127 unless `fine`.
        steps: float32[q], the size of one unit of each query's codes.
        fine: whether the codes have 16 bits instead of 8.
    """
    offsets = (INSTRUCTION.offset * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
    planes = INSTRUCTION.pack(codes, fine=fine)
    room = np.zeros((pad_rows(*planes.shape, amx_usable()), planes.shape[1]), dtype=np.int32)
    room[: len(planes)] = planes
    return Packed(room, len(planes) // max(len(codes), 1), offsets, steps, amx_usable())


@njit(inline="always")
def _clear_weights(weights: F32, start: int, stop: int) -> None:
    """Set weights[:, start : stop] to 0."""
    for j in range(weights.shape[0]):
        for i in range(start, stop):
            weights[j, i] = float32(0.0)


@njit(inline="always")
def list_panel(lists: CandidateLists, query: int, used: int, similarities: F32, base: int) -> int:
    """Append those of 64 rows that reach a query's threshold to its candidate list. Return the new length of the list.

    Args:
        lists: the lists of all queries.
        query: the index of the query.
        used: the length of its list before.
        similarities: float32[64], of this query with the rows.
        base: the number of the first row among all rows.
    """
    for i in range(PANEL):
        if similarities[i] >= lists.thresholds[query] and similarities[i] > NOT_ALLOWED:
            lists.places[query, used] = base + i
            lists.similarities[query, used] = similarities[i]
            used += 1
    return used


@njit(inline="always")
def keep_best(best: F32, query: int, similarities: F32) -> None:
    """Insert 64 similarities into best[query], the ascending list of the query's largest similarities.

    The list keeps its length: smaller similarities drop out.
    """
    for s in similarities:
        if s > best[query, 0]:
            index = 0
            while index + 1 < best.shape[1] and best[query, index + 1] < s:
                best[query, index] = best[query, index + 1]
                index += 1
            best[query, index] = s


@kernel(_KEYS, int64, PACKED, _CANDIDATES, array(float32, 1), array(float64, 2), array(float32, 2), fastmath=True)
def accumulate(
    keys: CodedKeys,
    first: int,
    queries: Packed,
    lists: CandidateLists,
    inverse: F32,
    sums: F64,
    weights: F32,
) -> int:
    """Scan rows from `first` on: list rows at or above a query's threshold, and sum softmax terms of the others.

    A term is e = exp((similarity − threshold)/T). Return the row to continue from: the scan stops if a list is full.
    `Kernels.accumulate` has shapes and details.
    """
    codes, scales, allowed, addends = keys.codes, keys.scales, keys.allowed, keys.addends
    factors, offsets, steps, thresholds = queries.planes, queries.offsets, queries.steps, lists.thresholds
    rows, q = scales.shape[0], steps.shape[0]
    planes = queries.each
    keep, width = weights.shape[0] > 0, weights.shape[1]
    products = np.empty((factors.shape[0], PANEL), dtype=np.int32)
    scaling = np.empty((2, PANEL), dtype=np.float32)
    similarities, terms = np.empty(PANEL, dtype=np.float32), np.empty(PANEL, dtype=np.float32)
    # Local copies: sums of two workers may share a cache line (false sharing).
    totals = np.zeros((q, 3))
    used = lists.counts.copy()
    longest, room = used.max(), lists.places.shape[1] - PANEL
    start = first
    while start < rows and longest <= room:
        if not scale_and_mask(scales, allowed, start, scaling):
            _clear_weights(weights, start, min(start + PANEL, rows))
            start += PANEL
            continue
        if len(addends):
            add_to_terms(addends, start, scaling)
        byte_products(codes, start // LANES, factors, products, queries.amx)
        for j in range(q):
            to_similarities(products, planes, j, scaling, offsets[j], steps[j], similarities)
            if keep and start + PANEL <= rows:
                mass, gap, square, listed = terms_of(
                    similarities, thresholds[j], inverse[j], weights, j * width + start
                )
            else:
                mass, gap, square, listed = terms_of(similarities, thresholds[j], inverse[j], terms, 0)
                if keep:
                    weights[j, start:rows] = terms[: rows - start]
            totals[j, 0] += mass
            totals[j, 1] += gap
            totals[j, 2] += square
            if listed:
                used[j] = list_panel(lists, j, used[j], similarities, keys.base + start)
                longest = max(longest, used[j])
        start += PANEL
    sums += totals
    lists.counts[:] = used
    return min(start, rows)


@kernel(_KEYS, int64, PACKED, _CANDIDATES, array(float32, 1), array(float32, 1), array(float64, 3), fastmath=True)
def fill_histogram(
    keys: CodedKeys,
    first: int,
    queries: Packed,
    lists: CandidateLists,
    lows: F32,
    finer: F32,
    histogram: F64,
) -> int:
    """Scan rows from `first` on: list rows at or above a query's threshold, and count the others in a histogram.

    Each query has a histogram of similarities. Return the row to continue from: the scan stops if a list is full.
    `Kernels.fill_histogram` has shapes and details.
    """
    codes, scales, allowed, addends = keys.codes, keys.scales, keys.allowed, keys.addends
    factors, offsets, steps, thresholds = queries.planes, queries.offsets, queries.steps, lists.thresholds
    rows, q = scales.shape[0], steps.shape[0]
    planes = queries.each
    last = float32(histogram.shape[1] - 1)
    products = np.empty((factors.shape[0], PANEL), dtype=np.int32)
    scaling = np.empty((2, PANEL), dtype=np.float32)
    similarities = np.empty(PANEL, dtype=np.float32)
    bins = np.empty(PANEL, dtype=np.int32)
    counted = np.empty((PANEL, 2), dtype=np.float64)
    used = lists.counts.copy()
    longest, room = used.max(), lists.places.shape[1] - PANEL
    start = first
    while start < rows and longest <= room:
        if not scale_and_mask(scales, allowed, start, scaling):
            start += PANEL
            continue
        if len(addends):
            add_to_terms(addends, start, scaling)
        byte_products(codes, start // LANES, factors, products, queries.amx)
        for j in range(q):
            to_similarities(products, planes, j, scaling, offsets[j], steps[j], similarities)
            threshold = thresholds[j]
            hits = int32(0)
            for i in range(PANEL):
                s = similarities[i]
                below = float32(1.0) if NOT_ALLOWED < s < threshold else float32(0.0)
                bins[i] = int32(min(max((s - lows[j]) * finer[j], float32(0.0)), last))
                counted[i, 0] = below
                counted[i, 1] = below * s
                hits += int32(s >= threshold)
            for i in range(PANEL):
                histogram[j, bins[i], 0] += counted[i, 0]
                histogram[j, bins[i], 1] += counted[i, 1]
            if hits > 0:
                used[j] = list_panel(lists, j, used[j], similarities, keys.base + start)
                longest = max(longest, used[j])
        start += PANEL
    lists.counts[:] = used
    return min(start, rows)


@kernel(_KEYS, PACKED, array(float32, 2), fastmath=True)
def sample_top(keys: CodedKeys, queries: Packed, best: F32) -> None:
    """Insert the similarities of these keys into each query's list of the b largest similarities.

    The lists are `best` float32[q, b], ascending; they are updated.
    """
    codes, scales, allowed, addends = keys.codes, keys.scales, keys.allowed, keys.addends
    factors, offsets, steps = queries.planes, queries.offsets, queries.steps
    products = np.empty((factors.shape[0], PANEL), dtype=np.int32)
    scaling = np.empty((2, PANEL), dtype=np.float32)
    similarities = np.empty(PANEL, dtype=np.float32)
    for start in range(0, scales.shape[0], PANEL):
        if not scale_and_mask(scales, allowed, start, scaling):
            continue
        if len(addends):
            add_to_terms(addends, start, scaling)
        byte_products(codes, start // LANES, factors, products, queries.amx)
        for j in range(len(best)):
            to_similarities(products, queries.each, j, scaling, offsets[j], steps[j], similarities)
            keep_best(best, j, similarities)
