"""A panel of 64 weights: their sum, and what they are in whole levels of 8 or 16 bits; 64 components of a blend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from attention.kernels.layout import DEEP, LANES, PANEL
from attention.kernels.simd import BYTES, DOUBLES, REALS, WORDS, Lanes
from attention.kernels.softmax_terms import parts

_LONG, _HALF = ir.IntType(64), ir.IntType(16)


def _scaled(builder: Any, weight: Any, scale: Any, inverse: Any) -> Lanes:
    product = Lanes.load(builder, REALS, weight) * Lanes.load(builder, REALS, scale)
    return (product * Lanes.everywhere(builder, inverse)).rounded()


@intrinsic
def sum_and_largest(typing_context: Any, weights: Any, at: Any) -> Any:
    """(sum, largest) of 64 weights, none below 0, from element `at` of a contiguous array of float32 on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes of float32, added in pairs.
        a, b, c, d = (
            Lanes.load(builder, REALS, part) for part in parts(context, builder, signature.args[0], *arguments)
        )
        largest = a.at_least(b).at_least(c.at_least(d)).largest()
        return context.make_tuple(builder, signature.return_type, (((a + b) + (c + d)).sum(), largest))

    return types.UniTuple(types.float32, 2)(weights, types.int64), build


@intrinsic
def coarse_levels(
    typing_context: Any,
    weights: Any,
    at: Any,
    scales: Any,
    first: Any,
    inverse: Any,
    most: Any,
    planes: Any,
    place: Any,
) -> Any:
    """(total, above): write 64 levels weight·scale·inverse as bytes; what they add up to, and whether one is above.

    A level above `most` is written as 0. The weights begin at element `at` of their array, the scales at `first`, the
    bytes at `place`; all arrays are contiguous.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32 weight·scale·inverse, rounded, to int32 (for the total) and to int8.
        (weights, at, scales, first, inverse, most, planes, place), kinds = arguments, signature.args
        most = Lanes.everywhere(builder, most)
        totals, above = [], []
        for weight, scale, byte in zip(
            parts(context, builder, kinds[0], weights, at),
            parts(context, builder, kinds[2], scales, first),
            parts(context, builder, kinds[6], planes, place),
            strict=True,
        ):
            level = _scaled(builder, weight, scale, inverse)
            above.append(level > most)
            whole = above[-1].choose(Lanes.everywhere(builder, 0.0), level).whole(WORDS)
            whole.whole(BYTES).store(byte)
            totals.append(whole)
        total = ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()
        some = ((above[0] | above[1]) | (above[2] | above[3])).any()
        return context.make_tuple(builder, signature.return_type, (total, some))

    index, real, found = types.int64, types.float32, types.Tuple((types.int32, types.boolean))
    return found(weights, index, scales, index, real, real, planes, index), build


@intrinsic
def fine_levels(
    typing_context: Any, weights: Any, at: Any, scales: Any, first: Any, inverse: Any, planes: Any, high: Any, low: Any
) -> Any:
    """The total of 64 levels that are written in two bytes, the one from element `high` on counting 256 times."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32, rounded, to int32, and that to two int8.
        (weights, at, scales, first, inverse, planes, high, low), kinds = arguments, signature.args
        totals = []
        for weight, scale, upper, lower in zip(
            parts(context, builder, kinds[0], weights, at),
            parts(context, builder, kinds[2], scales, first),
            parts(context, builder, kinds[5], planes, high),
            parts(context, builder, kinds[5], planes, low),
            strict=True,
        ):
            whole = _scaled(builder, weight, scale, inverse).whole(WORDS)
            # The nearest multiple of 256, and what is left of −128 to 127, which is what the lowest byte says.
            ((whole + 128) >> 8).whole(BYTES).store(upper)
            whole.whole(BYTES).store(lower)
            totals.append(whole)
        return ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()

    index = types.int64
    return types.int32(weights, index, scales, index, types.float32, planes, index, index), build


@intrinsic
def paired_levels(
    typing_context: Any, weights: Any, at: Any, scales: Any, first: Any, inverse: Any, into: Any, place: Any
) -> Any:
    """The total of 64 levels that are written as int16 from element `place` on, of every four as 0, 2, 1, 3."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32, rounded, to int32, and that to int16 in the order of `PairsOf16Bits`.
        (weights, at, scales, first, inverse, into, place), kinds = arguments, signature.args
        order = ir.Constant(WORDS, [lane + at for lane in range(0, LANES, DEEP) for at in (0, 2, 1, 3)])
        totals = []
        for weight, scale, start in zip(
            parts(context, builder, kinds[0], weights, at),
            parts(context, builder, kinds[2], scales, first),
            parts(context, builder, kinds[5], into, place),
            strict=True,
        ):
            whole = _scaled(builder, weight, scale, inverse).whole(WORDS)
            narrow = builder.trunc(whole.value, ir.VectorType(_HALF, LANES))
            Lanes(builder, builder.shuffle_vector(narrow, narrow, order)).store(start)
            totals.append(whole)
        return ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum()

    index = types.int64
    return types.int32(weights, index, scales, index, types.float32, into, index), build


def _sums(planes: int) -> Callable[..., None]:
    """The intrinsic that adds step·(product − offset) to 64 elements of outputs, an array of float64.

    Products wrap round at 32 bits, and the difference fits into these, see `WEIGHT_LEVELS`.
    """

    @intrinsic
    def add(typing_context: Any, products: Any, row: Any, offset: Any, step: Any, outputs: Any, first: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # Four times 16 lanes: int32 products, the first plane's 256 times, as float64, added to float64 outputs.
            (products, row, offset, step, outputs, first), kinds = arguments, signature.args
            offset, step = Lanes.everywhere(builder, offset), Lanes.everywhere(builder, step)
            start = builder.mul(row, _LONG(PANEL))
            for high, low, output in zip(
                parts(context, builder, kinds[0], products, start),
                parts(context, builder, kinds[0], products, builder.add(start, _LONG((planes - 1) * PANEL))),
                parts(context, builder, kinds[4], outputs, first),
                strict=True,
            ):
                product = Lanes.load(builder, WORDS, low) - offset
                if planes == 2:
                    product = (Lanes.load(builder, WORDS, high) << 8) + product
                (product.real(DOUBLES) * step + Lanes.load(builder, DOUBLES, output)).store(output)
            return context.get_dummy_value()

        return types.void(products, types.int64, types.int32, types.float64, outputs, types.int64), build

    return add


add_coarse, add_fine = _sums(1), _sums(2)
