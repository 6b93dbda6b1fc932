"""Compiled passes over the 8-bit codes of values.

Weights are rounded to integer levels, which are multiplied with the codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import boolean, float32, float64, int32, int64, njit, types, uint8
from numba.extending import intrinsic

from attention.arrays import F32, F64, I8, I16, I64, Bytes
from attention.kernels.amx import pad_rows
from attention.kernels.cpu import array, kernel, record
from attention.kernels.dot import INSTRUCTION, byte_products
from attention.kernels.interface import ABOVE_MEAN, LEAST_STEP, NEGLIGIBLE, CodedValues
from attention.kernels.layout import DEEP, LANES, LEVELS, PANEL, WEIGHT_LEVELS
from attention.kernels.simd import BYTES, DOUBLES, REALS, WORDS, Lanes
from attention.kernels.softmax_terms import lane_pointers

_LONG, _HALF = ir.IntType(64), ir.IntType(16)


def _scale_weights(builder: Any, weight: Any, scale: Any, inverse: Any) -> Lanes:
    product = Lanes.load(builder, REALS, weight) * Lanes.load(builder, REALS, scale)
    return (product * Lanes.broadcast(builder, inverse)).round_to_nearest()


@intrinsic
def sum_and_largest(typing_context: Any, weights: Any, index: Any) -> Any:
    """Return the sum and the maximum of 64 weights, from element `index` on of a contiguous float32 array.

    Weights are 0 or more.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes of float32, added in pairs.
        a, b, c, d = (
            Lanes.load(builder, REALS, part) for part in lane_pointers(context, builder, signature.args[0], *arguments)
        )
        largest = a.at_least(b).at_least(c.at_least(d)).largest()
        return context.make_tuple(builder, signature.return_type, (((a + b) + (c + d)).sum(), largest))

    return types.UniTuple(types.float32, 2)(weights, types.int64), build


@intrinsic
def coarse_levels(
    typing_context: Any,
    weights: Any,
    index: Any,
    scales: Any,
    first: Any,
    inverse: Any,
    max_level: Any,
    planes: Any,
    offset: Any,
) -> Any:
    """Write 64 levels as bytes: a level is a weight as an integer, weight·scale·inverse rounded.

    `inverse` is 1 / the step between levels. A level above `max_level` is written as 0. All arrays are contiguous. The
    weights begin at element `index` of `weights`, the scales at element `first` of `scales`, and the bytes at element
    `offset` of `planes`.

    Returns:
        (total, above): the sum of the levels, and whether one was above `max_level`.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32 weight·scale·inverse, rounded, to int32 (for the total) and to int8.
        (weights, index, scales, first, inverse, max_level, planes, offset), kinds = arguments, signature.args
        max_level = Lanes.broadcast(builder, max_level)
        totals, above = [], []
        for weight, scale, byte in zip(
            lane_pointers(context, builder, kinds[0], weights, index),
            lane_pointers(context, builder, kinds[2], scales, first),
            lane_pointers(context, builder, kinds[6], planes, offset),
            strict=True,
        ):
            level = _scale_weights(builder, weight, scale, inverse)
            above.append(level > max_level)
            whole = above[-1].choose(Lanes.broadcast(builder, 0.0), level).to_integers(WORDS)
            whole.to_integers(BYTES).store(byte)
            totals.append(whole)
        total = ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()
        any_above = ((above[0] | above[1]) | (above[2] | above[3])).any()
        return context.make_tuple(builder, signature.return_type, (total, any_above))

    index, real, result = types.int64, types.float32, types.Tuple((types.int32, types.boolean))
    return result(weights, index, scales, index, real, real, planes, index), build


@intrinsic
def fine_levels(
    typing_context: Any,
    weights: Any,
    index: Any,
    scales: Any,
    first: Any,
    inverse: Any,
    planes: Any,
    high: Any,
    low: Any,
) -> Any:
    """Write 64 levels as two bytes each: a level is a weight as an integer, weight·scale·inverse rounded.

    `inverse` is 1 / the step between levels. The upper bytes, which count 256 times, begin at element `high` of
    `planes`, and the lower bytes at element `low`. The weights begin at element `index` of `weights`, the scales at
    element `first` of `scales`.

    Returns:
        The sum of the levels.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32, rounded, to int32, and that to two int8.
        (weights, index, scales, first, inverse, planes, high, low), kinds = arguments, signature.args
        totals = []
        for weight, scale, upper, lower in zip(
            lane_pointers(context, builder, kinds[0], weights, index),
            lane_pointers(context, builder, kinds[2], scales, first),
            lane_pointers(context, builder, kinds[5], planes, high),
            lane_pointers(context, builder, kinds[5], planes, low),
            strict=True,
        ):
            whole = _scale_weights(builder, weight, scale, inverse).to_integers(WORDS)
            # The nearest multiple of 256, and the rest from −128 to 127, which is the lowest byte.
            ((whole + 128) >> 8).to_integers(BYTES).store(upper)
            whole.to_integers(BYTES).store(lower)
            totals.append(whole)
        return ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()

    index = types.int64
    return types.int32(weights, index, scales, index, types.float32, planes, index, index), build


@intrinsic
def level_pairs(
    typing_context: Any, weights: Any, index: Any, scales: Any, first: Any, inverse: Any, into: Any, offset: Any
) -> Any:
    """Write 64 levels as int16: a level is a weight as an integer, weight·scale·inverse rounded.

    `inverse` is 1 / the step between levels. Every four levels are in the order 0, 2, 1, 3, as `PairsOf16Bits`
    multiplies them. They begin at element `offset` of `into`. The weights begin at element `index` of `weights`, the
    scales at element `first` of `scales`.

    Returns:
        The sum of the levels.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32, rounded, to int32, and that to int16 in the order of `PairsOf16Bits`.
        (weights, index, scales, first, inverse, into, offset), kinds = arguments, signature.args
        order = ir.Constant(WORDS, [lane + index for lane in range(0, LANES, DEEP) for index in (0, 2, 1, 3)])
        totals = []
        for weight, scale, start in zip(
            lane_pointers(context, builder, kinds[0], weights, index),
            lane_pointers(context, builder, kinds[2], scales, first),
            lane_pointers(context, builder, kinds[5], into, offset),
            strict=True,
        ):
            whole = _scale_weights(builder, weight, scale, inverse).to_integers(WORDS)
            narrow = builder.trunc(whole.value, ir.VectorType(_HALF, LANES))
            Lanes(builder, builder.shuffle_vector(narrow, narrow, order)).store(start)
            totals.append(whole)
        return ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()

    index = types.int64
    return types.int32(weights, index, scales, index, types.float32, into, index), build


def _sums(planes: int) -> Callable[..., None]:
    """Return an intrinsic that adds step·(product − offset) to 64 elements of a float64 array.

    An intrinsic is a function that emits instructions. A product is that of weights and codes, both integers. `planes`
    is the number of bytes of such a weight: with 2, the first plane's products count 256 times. Products wrap around at
    32 bits, but the difference fits into 32 bits (see `WEIGHT_LEVELS`).
    """

    @intrinsic
    def add(typing_context: Any, products: Any, row: Any, offset: Any, step: Any, outputs: Any, first: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # Four times 16 lanes: int32 products, the first plane's 256 times, as float64, added to float64 outputs.
            (products, row, offset, step, outputs, first), kinds = arguments, signature.args
            offset, step = Lanes.broadcast(builder, offset), Lanes.broadcast(builder, step)
            start = builder.mul(row, _LONG(PANEL))
            for high, low, output in zip(
                lane_pointers(context, builder, kinds[0], products, start),
                lane_pointers(context, builder, kinds[0], products, builder.add(start, _LONG((planes - 1) * PANEL))),
                lane_pointers(context, builder, kinds[4], outputs, first),
                strict=True,
            ):
                product = Lanes.load(builder, WORDS, low) - offset
                if planes == 2:
                    product = (Lanes.load(builder, WORDS, high) << 8) + product
                (product.to_floats(DOUBLES) * step + Lanes.load(builder, DOUBLES, output)).store(output)
            return context.get_dummy_value()

        return types.void(products, types.int64, types.int32, types.float64, outputs, types.int64), build

    return add


add_coarse, add_fine = _sums(1), _sums(2)


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
    """Return the sum and the maximum of the first `rows` weights of each query, as float64[q] each.

    `weights` is float32[q, ≥ rows].
    """
    width, full = weights.shape[1], rows - rows % PANEL
    sums, largest = np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
    for j in range(weights.shape[0]):
        total, largest_weight = 0.0, float32(0.0)
        for first in range(0, full, PANEL):
            panel_sum, highest = sum_and_largest(weights, j * width + first)
            total += panel_sum
            largest_weight = max(largest_weight, highest)
        for i in range(full, rows):
            total += weights[j, i]
            largest_weight = max(largest_weight, weights[j, i])
        sums[j], largest[j] = total, largest_weight
    return sums, largest


@njit(nogil=True)
def _levels_of_bytes(
    weights: F32, query: int, scales: F32, first: int, inverse: float, max_level: int, packed: I8
) -> tuple[int, bool]:
    """Fill the lines of packed int8[planes·q, chunk] that belong to one query with levels.

    A level is a row's weight as an integer: weight·scale·inverse rounded, where `inverse` is 1 / the step between
    levels. The rows are those from `first` on, one chunk of them. If `max_level` is at most 127, a level has one byte,
    and larger levels are written as 0. Otherwise it has two bytes in two lines, of which the first counts 256 times.

    Returns:
        The sum of all levels, and whether one was too large.
    """
    chunk, width = packed.shape[1], weights.shape[1]
    stop = min(first + chunk, len(scales))
    full = stop - (stop - first) % PANEL
    total, above = 0, False
    for start in range(first, full, PANEL):
        if max_level > LEVELS:
            offset = 2 * query * chunk + start - first
            total += fine_levels(weights, query * width + start, scales, start, inverse, packed, offset, offset + chunk)
        else:
            offset = query * chunk + start - first
            levels, high = coarse_levels(
                weights, query * width + start, scales, start, inverse, max_level, packed, offset
            )
            total += levels
            above |= high
    for i in range(full, stop):
        level = np.rint(weights[query, i] * scales[i] * inverse)
        if level > max_level:
            above = True
            level = float32(0)
        whole = int32(level)
        total += whole
        if max_level > LEVELS:
            packed[2 * query, i - first] = np.int8((whole + 128) >> 8)
            packed[2 * query + 1, i - first] = np.int8(whole)
        else:
            packed[query, i - first] = np.int8(whole)
    return total, above


@njit(nogil=True)
def _levels_of_pairs(
    weights: F32, query: int, scales: F32, first: int, inverse: float, max_level: int, packed: I16
) -> tuple[int, bool]:
    """Fill packed[query], a line of int16[q, chunk], with levels.

    A level is a row's weight as an integer: weight·scale·inverse rounded, where `inverse` is 1 / the step between
    levels. The rows are those from `first` on, one chunk of them. Every four levels are in the order 0, 2, 1, 3.

    Returns:
        The sum of all levels, and False: no level is too large for 16 bits.
    """
    chunk, width = packed.shape[1], weights.shape[1]
    stop = min(first + chunk, len(scales))
    full = stop - (stop - first) % PANEL
    total = 0
    for start in range(first, full, PANEL):
        offset = query * chunk + start - first
        total += level_pairs(weights, query * width + start, scales, start, inverse, packed, offset)
    for i in range(full, stop):
        level = int32(np.rint(weights[query, i] * scales[i] * inverse))
        total += level
        index = i - first
        packed[query, index - index % DEEP + _IN_PAIRS[index % DEEP]] = np.int16(level)
    return total, False


_IN_PAIRS = (0, 2, 1, 3)
"""The order of the levels of four rows."""

_levels = _levels_of_pairs if WIDE else _levels_of_bytes


@njit(nogil=True, fastmath=True)
def blend(
    codes: Bytes,
    weights: F32,
    scales: F32,
    steps: F32,
    max_level: int,
    values: F32,
    outputs: F64,
    amx: bool,
) -> None:
    """Add Σ weight·value over r coded values to the output of each query.

    Weights are rounded to integer levels, which are multiplied with the codes of the values.

    Args:
        codes: uint8[chunks, groups, words, 16, 4], transposed; see `ValueCodes`.
        weights: float32[q, ≥ r], contiguous.
        scales: float32[r], of the coded values.
        steps: float32[q], the size of one level of weight·scale.
        max_level: the largest level: 127, or up to WEIGHT_LEVELS for 16 bits. With 127, rows above it are added one by
            one.
        values: float32[r, d_v], the originals.
        outputs: float64[q, d_v], added to.
        amx: whether AMX, the matrix unit, may be used.
    """
    q, width, chunk = weights.shape[0], outputs.shape[1], codes.shape[2] * DEEP
    planes = 1 if WIDE or max_level <= LEVELS else 2
    packed = np.zeros((pad_rows(q * planes, codes.shape[2], amx), chunk), dtype=NUMBER)
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
            total, above = _levels(weights, j, scales, first, inverse, max_level, packed)
            offsets[j] = int32(ADDED * int64(total))  # wraps around at 32 bits, like the products
            every += total
            if above:
                for i in range(first, stop):
                    # A level of 0 that should be large. Repeating the first comparison could round differently.
                    if packed[j, i - first] == 0 and weights[j, i] * scales[i] * inverse > float32(1.0):
                        for t in range(width):
                            outputs[j, t] += np.float64(weights[j, i]) * np.float64(values[i, t])
        if every == 0:
            continue
        chunk_codes = codes[first // chunk]
        for group in range(0, codes.shape[1], PANEL // LANES):
            byte_products(chunk_codes, group, words, products, amx)
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


@kernel(
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
    """Add Σ weight·value over a block of coded values to the outputs, and bounds on the error to `errors`.

    Shapes and details are those of `Kernels.add_values`.
    """
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
        top, coded_mass, limit = tops[j], masses[j], ABOVE_MEAN * masses[j] / rows
        if not (fine or WIDE) and top > limit:
            # Rows added one by one are not part of the coded mass.
            top, coded_mass = limit, 0.0
        steps[j] = max(top * float64(largest) / levels, LEAST_STEP)
        rounding = float64(steps[j]) * (0.5 + levels * 2.0**-21)
        errors[j, 1] += masses[j] * tile.residual
        errors[j, 2] += rows * rounding * tile.code_length
        errors[j, 3] += coded_mass
        errors[j, 4] += rounding * rounding * inverse_squares
    blend(tile.codes, weights, scales, steps, levels, tile.values, outputs, amx)
