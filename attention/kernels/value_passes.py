"""Weighted sums of values, compiled by numba; `in_numpy` has the same in NumPy."""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, uint8

from attention.dtypes import F32, F64, I8, I16, I64, Bytes
from attention.kernels.cpu import array, compiled, record
from attention.kernels.dot.amx import padded
from attention.kernels.dot.instructions import INSTRUCTION
from attention.kernels.dot.products import byte_products
from attention.kernels.interface import ABOVE_MEAN, LEAST_STEP, NEGLIGIBLE, CodedValues
from attention.kernels.layout import DEEP, LANES, LEVELS, PANEL, WEIGHT_LEVELS
from attention.kernels.weight_levels import (
    add_coarse,
    add_fine,
    coarse_levels,
    fine_levels,
    paired_levels,
    sum_and_largest,
)

WIDE, NUMBER, ADDED = INSTRUCTION.wide, INSTRUCTION.dtype, INSTRUCTION.offset
"""Whether a level has 16 bits at the price of 8, its type, and how much higher codes are than what they mean."""

_VALUES = record(
    CodedValues,
    array(uint8, 5),
    array(float32, 1),
    array(float32, 2),
    array(float64, 1),
    float64,
    float64,
    float64,
)


@njit(nogil=True, fastmath=True)
def weight_of(weights: F32, rows: int) -> tuple[F64, F64]:
    """(sums float64[q], largest float64[q]) of the first `rows` of weights float32[q, ≥ r], contiguous."""
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
def _levels_of_bytes(
    weights: F32, query: int, scales: F32, first: int, inverse: float, most: int, packed: I8
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
            place = query * chunk + start - first
            levels, high = coarse_levels(weights, query * width + start, scales, start, inverse, most, packed, place)
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


@njit(nogil=True)
def _levels_of_pairs(
    weights: F32, query: int, scales: F32, first: int, inverse: float, most: int, packed: I16
) -> tuple[int, bool]:
    """Do the same in packed int16[q, chunk], of every four levels as 0, 2, 1, 3; none is above."""
    chunk, width = packed.shape[1], weights.shape[1]
    stop = min(first + chunk, len(scales))
    full = stop - (stop - first) % PANEL
    total = 0
    for start in range(first, full, PANEL):
        place = query * chunk + start - first
        total += paired_levels(weights, query * width + start, scales, start, inverse, packed, place)
    for i in range(full, stop):
        level = int32(np.rint(weights[query, i] * scales[i] * inverse))
        total += level
        at = i - first
        packed[query, at - at % DEEP + _IN_PAIRS[at % DEEP]] = np.int16(level)
    return total, False


_IN_PAIRS = (0, 2, 1, 3)
"""Where the levels of four rows stand."""

_levels = _levels_of_pairs if WIDE else _levels_of_bytes


@njit(nogil=True, fastmath=True)
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
    """Add Σ weight·value over some chunks of coded values.

    Args:
        codes: uint8[chunks, groups, words, 16, 4], turned; see `ValueCodes`.
        weights: float32[q, ≥ r], contiguous.
        scales: float32[r], of the coded values.
        steps: float32[q], the size of one level of weight·scale.
        most: levels there are: 127, if not every level has 16 bits, or at most WEIGHT_LEVELS. A row above 127 is added
            by itself.
        values: float32[r, d_v], the originals.
        outputs: float64[q, d_v], added to.
        amx: whether the matrix unit may be used.
    """
    q, width, chunk = weights.shape[0], outputs.shape[1], codes.shape[2] * DEEP
    planes = 1 if WIDE or most <= LEVELS else 2
    packed = np.zeros((padded(q * planes, codes.shape[2], amx), chunk), dtype=NUMBER)
    words = packed.view(np.int32)
    offsets = np.empty(q, dtype=np.int32)
    products = np.empty((packed.shape[0], PANEL), dtype=np.int32)
    for first in range(0, len(scales), chunk):
        stop = min(first + chunk, len(scales))
        if stop < first + chunk:
            packed[:] = 0
        every = int64(0)
        for j in range(q):
            inverse = float32(1.0) / steps[j]
            total, above = _levels(weights, j, scales, first, inverse, most, packed)
            offsets[j] = int32(ADDED * int64(total))  # wraps round at 32 bits, as products do
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
                        product = products[j * planes, t - lowest]
                        if planes == 2:
                            product = (product << 8) + products[2 * j + 1, t - lowest]
                        outputs[j, t] += steps[j] * float64(int32(product - offsets[j]))


@compiled(
    _VALUES,
    array(float32, 2),
    array(int64, 1),
    boolean,
    array(float64, 2),
    array(float64, 2),
    boolean,
    fastmath=True,
)
def add_values(
    tile: CodedValues,
    weights: F32,
    counts: I64,
    fine: bool,
    outputs: F64,
    errors: F64,
    amx: bool,
) -> None:
    """See `Kernels`."""
    rows, scales = len(tile.scales), tile.scales
    levels = WEIGHT_LEVELS if fine or WIDE else LEVELS
    masses, tops = weight_of(weights, rows)
    if (masses <= NEGLIGIBLE * counts).all():
        errors[:, 0] += masses * tile.length
        return
    largest, inverse_squares = float32(0.0), 0.0
    for i in range(rows):
        largest = max(largest, scales[i])
    for i in range(len(tile.inverse_squares)):
        inverse_squares += tile.inverse_squares[i]
    steps = np.empty(len(masses), dtype=np.float32)
    for j in range(len(masses)):
        top, known, most = tops[j], masses[j], ABOVE_MEAN * masses[j] / rows
        if not (fine or WIDE) and top > most:
            # Rows added one by one count to no coded mass.
            top, known = most, 0.0
        steps[j] = max(top * float64(largest) / levels, LEAST_STEP)
        rounding = float64(steps[j]) * (0.5 + levels * 2.0**-21)
        errors[j, 1] += masses[j] * tile.residual
        errors[j, 2] += rows * rounding * tile.code_length
        errors[j, 3] += known
        errors[j, 4] += rounding * rounding * inverse_squares
    blend(tile.codes, weights, scales, steps, levels, tile.values, outputs, amx)
