"""Weighted sums of values, compiled by numba; `in_numpy` has the same in NumPy."""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, uint8

from attention.dtypes import F32, F64, I8, Bytes
from attention.kernels.cpu import array, compiled
from attention.kernels.dot import byte_products
from attention.kernels.dot_amx import padded
from attention.kernels.layout import DEEP, LANES, LEVELS, OFFSET, PANEL
from attention.kernels.weight_levels import add_coarse, add_fine, coarse_levels, fine_levels, sum_and_largest


@compiled(array(float32, 2), int64, fastmath=True)
def weight_of(weights: F32, rows: int) -> tuple[F64, F64]:
    """See `Kernels`."""
    width, full = weights.shape[1], rows - rows % PANEL
    sums, largest = np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
    for j in range(weights.shape[0]):
        total, most = 0.0, float32(0.0)
        for first in range(0, full, PANEL):
            here, highest = sum_and_largest(weights, j * width + first)
            total += here
            most = max(most, highest)
        for i in range(full, rows):
            total += weights[j, i]
            most = max(most, weights[j, i])
        sums[j], largest[j] = total, most
    return sums, largest


@njit(nogil=True)
def _levels(
    weights: F32,
    query: int,
    scales: F32,
    first: int,
    inverse: float,
    most: int,
    packed: I8,
) -> tuple[int, bool]:
    """Fill a query's rows of packed int8[planes·q, chunk] with weight·scale·inverse in whole levels, from `first` on.

    In one byte, or in two, of which the first one counts 256 times. In one, what is above `most` is 0.

    Returns:
        The sum of all levels, and whether one was above.
    """
    chunk, width = packed.shape[1], weights.shape[1]
    stop = min(first + chunk, len(scales))
    full = stop - (stop - first) % PANEL
    total, above = 0, False
    for start in range(first, full, PANEL):
        if most > LEVELS:
            place = 2 * query * chunk + start - first
            total += fine_levels(weights, query * width + start, scales, start, inverse, packed, place, place + chunk)
        else:
            levels, high = coarse_levels(
                weights,
                query * width + start,
                scales,
                start,
                inverse,
                most,
                packed,
                query * chunk + start - first,
            )
            total += levels
            above |= high
    for i in range(full, stop):
        level = np.rint(weights[query, i] * scales[i] * inverse)
        if level > most:
            above = True
            level = float32(0)
        whole = int32(level)
        total += whole
        if most > LEVELS:
            packed[2 * query, i - first] = np.int8((whole + 128) >> 8)
            packed[2 * query + 1, i - first] = np.int8(whole)
        else:
            packed[query, i - first] = np.int8(whole)
    return total, above


@compiled(
    array(uint8, 5),
    array(float32, 2),
    array(float32, 1),
    array(float32, 1),
    int64,
    array(float32, 2),
    array(float64, 2),
    boolean,
    fastmath=True,
)
def blend(
    codes: Bytes,
    weights: F32,
    scales: F32,
    steps: F32,
    most: int,
    values: F32,
    outputs: F64,
    amx: bool,
) -> None:
    """See `Kernels`."""
    q, width, chunk = weights.shape[0], outputs.shape[1], codes.shape[2] * DEEP
    planes = 1 if most <= LEVELS else 2
    packed = np.zeros((padded(q * planes, codes.shape[2], amx), chunk), dtype=np.int8)
    words = packed.view(np.int32)
    offsets = np.empty(q, dtype=np.float64)
    products = np.empty((packed.shape[0], PANEL), dtype=np.int32)
    for first in range(0, len(scales), chunk):
        stop = min(first + chunk, len(scales))
        if stop < first + chunk:
            packed[:] = 0
        every = int64(0)
        for j in range(q):
            inverse = float32(1.0) / steps[j]
            total, above = _levels(weights, j, scales, first, inverse, most, packed)
            offsets[j] = float64(OFFSET) * total
            every += total
            if above:
                for i in range(first, stop):
                    # Not the same comparison again, which may be rounded otherwise: a level of 0 that should be large.
                    if packed[j, i - first] == 0 and weights[j, i] * scales[i] * inverse > float32(1.0):
                        for t in range(width):
                            outputs[j, t] += np.float64(weights[j, i]) * np.float64(values[i, t])
        if every == 0:
            continue
        here = codes[first // chunk]
        for group in range(0, codes.shape[1], PANEL // LANES):
            byte_products(here, group, words, products, amx)
            lowest = group * LANES
            for j in range(q):
                if lowest + PANEL <= width and planes == 1:
                    add_coarse(products, j, offsets[j], steps[j], outputs, j * width + lowest)
                elif lowest + PANEL <= width:
                    add_fine(products, 2 * j, offsets[j], steps[j], outputs, j * width + lowest)
                else:
                    for t in range(lowest, width):
                        product = float64(products[j * planes, t - lowest])
                        if planes == 2:
                            product = 256.0 * product + products[2 * j + 1, t - lowest]
                        outputs[j, t] += steps[j] * (product - offsets[j])
