"""What happens to a row between two products: a bias, an activation, a residual, a normalisation, a softmax."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import F32
from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.curves import BY_NUMBER
from attention.kernels.transformer.words import FLOAT32, THREE, Words

_LONG = ir.IntType(64)
_HALVES = ir.VectorType(ir.IntType(16), LANES)
_LOWEST = -1e30


def _stride(builder: Any, array: Any) -> Any:
    """How far apart the lines of a contiguous array's last axis are."""
    return builder.extract_value(array.shape, array.shape.type.count - 1)


def _at(builder: Any, array: Any, line: Any, column: Any) -> Any:
    """The place of a number; `line` counts all lines of the array."""
    return builder.gep(array.data, [builder.add(builder.mul(line, _stride(builder, array)), column)])


def _put(builder: Any, way: Any, x: Lanes, words: Any, line: Any, column: Any) -> None:
    """Write 16 numbers as words, from number `column` of a line on; with a second part where there is one."""
    start = builder.mul(line, _stride(builder, words))
    whole = builder.icmp_signed("==", way, _LONG(FLOAT32))
    with builder.if_else(whole) as (one, two):
        with one:
            x.bits().store(builder.gep(words.data, [builder.add(start, column)]))
        with two:
            near = _nearest(x)
            half = builder.lshr(column, _LONG(1))
            _halves(near).store(builder.gep(words.data, [builder.add(start, half)]))
            with builder.if_then(builder.icmp_signed("==", way, _LONG(THREE))):
                # The second part lies as far behind as the first is large: parts are an array's first axis.
                sizes = cgutils.unpack_tuple(builder, words.shape)
                behind = builder.add(start, builder.mul(sizes[1], sizes[2]))
                rest = x - near.of_bits()
                _halves(_nearest(rest)).store(builder.gep(words.data, [builder.add(behind, half)]))


def _nearest(x: Lanes) -> Lanes:
    """The bits of float32 numbers that are bfloat16 ones, the nearest; of two as near the even one."""
    bits = x.bits()
    one = Lanes(x.builder, ir.Constant(WORDS, [1] * LANES))
    upper = Lanes(x.builder, ir.Constant(WORDS, [-65536] * LANES))
    return (bits + ((bits >> 16) & one) + 0x7FFF) & upper


def _halves(bits: Lanes) -> Lanes:
    return (bits >> 16).whole(_HALVES)


@intrinsic
def _finish(
    typing_context: Any,
    way: Any,
    sums: Any,
    line: Any,
    column: Any,
    bias: Any,
    layer: Any,
    at: Any,
    curve: Any,
    out: Any,
    row: Any,
) -> Any:
    """16 sums and their bias, bent, to words."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, line, column, _, layer, at, curve, _, row = arguments
        sums, bias, out = arrays(context, builder, signature, arguments, 1, 4, 8)
        x = Lanes.load(builder, REALS, _at(builder, sums, line, column))
        x += Lanes.load(builder, REALS, _at(builder, bias, layer, at))
        end = builder.append_basic_block("end")
        choice = builder.switch(curve, end)
        for number, bend in BY_NUMBER:
            case = builder.append_basic_block(bend.__name__)
            choice.add_case(_LONG(number), case)
            builder.position_at_end(case)
            _put(builder, way, bend(x), out, row, at)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    integers = types.int64
    kinds = (integers, sums, integers, integers, bias, integers, integers, integers, out, integers)
    return types.void(*kinds), build


@intrinsic
def _add(
    typing_context: Any, sums: Any, line: Any, column: Any, bias: Any, layer: Any, at: Any, x: Any, y: Any, row: Any
) -> Any:
    """16 sums, their bias and what the branch was given, to y."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, line, column, _, layer, at, _, _, row = arguments
        sums, bias, x, y = arrays(context, builder, signature, arguments, 0, 3, 6, 7)
        total = Lanes.load(builder, REALS, _at(builder, sums, line, column))
        total += Lanes.load(builder, REALS, _at(builder, bias, layer, at))
        (total + Lanes.load(builder, REALS, _at(builder, x, row, at))).store(_at(builder, y, row, at))
        return context.get_dummy_value()

    integers = types.int64
    kinds = (sums, integers, integers, bias, integers, integers, x, y, integers)
    return types.void(*kinds), build


@intrinsic
def normalise(
    typing_context: Any,
    way: Any,
    y: Any,
    row: Any,
    scale: Any,
    shift: Any,
    number: Any,
    epsilon: Any,
    x: Any,
    words: Any,
) -> Any:
    """y's row to mean 0 and variance 1, scaled and shifted, as float32 to x and as words.

    Args:
        way: what words are.
        y, x: float32[rows, d], d a multiple of 16.
        row: which of both, and of words.
        scale, shift: float32[norms, d]
        number: which of these.
        epsilon: float32, added to the variance.
        words: uint32[parts, rows, …]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, row, _, _, number, epsilon, _, _ = arguments
        y, scale, shift, x, words = arrays(context, builder, signature, arguments, 1, 3, 4, 7, 8)
        width = _stride(builder, y)
        count = builder.uitofp(width, ir.FloatType())
        given = _at(builder, y, row, _LONG(0))

        def added_up(of: Any) -> Any:
            total = cgutils.alloca_once_value(builder, ir.Constant(REALS, [0.0] * LANES))
            with cgutils.for_range_slice(builder, _LONG(0), width, _LONG(LANES)) as (at, _):
                one = Lanes.load(builder, REALS, builder.gep(given, [at]))
                builder.store((Lanes(builder, builder.load(total)) + of(one)).value, total)
            return Lanes(builder, builder.load(total)).sum()

        mean = Lanes.everywhere(builder, builder.fdiv(added_up(lambda one: one), count))
        variance = builder.fdiv(added_up(lambda one: (one - mean) * (one - mean)), count)
        root = builder.module.declare_intrinsic("llvm.sqrt", [ir.FloatType()])
        deviation = builder.call(root, [builder.fadd(variance, epsilon)])
        inverse = Lanes.everywhere(builder, builder.fdiv(ir.FloatType()(1.0), deviation))
        with cgutils.for_range_slice(builder, _LONG(0), width, _LONG(LANES)) as (at, _):
            one = (Lanes.load(builder, REALS, builder.gep(given, [at])) - mean) * inverse
            one = one * Lanes.load(builder, REALS, _at(builder, scale, number, at))
            one = one + Lanes.load(builder, REALS, _at(builder, shift, number, at))
            one.store(_at(builder, x, row, at))
            _put(builder, way, one, words, row, at)
        return context.get_dummy_value()

    integers = types.int64
    kinds = (integers, y, integers, scale, shift, integers, types.float32, x, words)
    return types.void(*kinds), build


@intrinsic
def exponentials(typing_context: Any, way: Any, logits: Any, line: Any, count: Any, padded: Any, words: Any) -> Any:
    """exp(z − max z) of a line's first `count` logits to words, and zeros behind them → one over their sum, float32.

    Args:
        way: what words are.
        logits: float32[lines, …]
        line: which of both.
        count, padded: numbers; the latter a multiple of 16, up to which words are written.
        words: uint32[parts, lines, …]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, line, count, padded, _ = arguments
        logits, words = arrays(context, builder, signature, arguments, 1, 5)
        given = _at(builder, logits, line, _LONG(0))
        lanes = ir.Constant(ir.VectorType(_LONG, LANES), list(range(LANES)))

        def there(at: Any) -> Lanes:
            """Which of 16 from a place on are among the first `count`."""
            left = Lanes.everywhere(builder, builder.sub(count, at))
            return Lanes(builder, builder.icmp_signed("<", lanes, left.value))

        lowest, nothing = Lanes.everywhere(builder, _LOWEST), Lanes.everywhere(builder, 0.0)
        peak, total = (cgutils.alloca_once_value(builder, each.value) for each in (lowest, nothing))
        with cgutils.for_range_slice(builder, _LONG(0), count, _LONG(LANES)) as (at, _):
            some = there(at).choose(Lanes.load(builder, REALS, builder.gep(given, [at])), lowest)
            builder.store(Lanes(builder, builder.load(peak)).at_least(some).value, peak)
        largest = Lanes.everywhere(builder, Lanes(builder, builder.load(peak)).largest())
        with cgutils.for_range_slice(builder, _LONG(0), padded, _LONG(LANES)) as (at, _):
            below = Lanes.load(builder, REALS, builder.gep(given, [at])) - largest
            some = there(at).choose(below.at_least(-87.0).at_most(0.0).exponential(), nothing)
            builder.store((Lanes(builder, builder.load(total)) + some).value, total)
            _put(builder, way, some, words, line, at)
        return builder.fdiv(ir.FloatType()(1.0), Lanes(builder, builder.load(total)).sum())

    integers = types.int64
    return types.float32(integers, logits, integers, integers, integers, words), build


@intrinsic
def _scale(
    typing_context: Any, way: Any, sums: Any, line: Any, column: Any, factor: Any, out: Any, row: Any, at: Any
) -> Any:
    """16 sums times a factor, to words."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, line, column, factor, _, row, at = arguments
        sums, out = arrays(context, builder, signature, arguments, 1, 5)
        x = Lanes.load(builder, REALS, _at(builder, sums, line, column)) * Lanes.everywhere(builder, factor)
        _put(builder, way, x, out, row, at)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(integers, sums, integers, integers, types.float32, out, integers, integers), build


@njit(nogil=True)
def finish(
    way: int, sums: F32, rows: int, bias: F32, layer: int, at: int, columns: int, curve: int, out: Words, row: int
) -> None:
    """out[row : row + rows, at : at + columns] = curve(sums + bias), as words.

    Args:
        way: what words are.
        sums: float32[≥ rows, ≥ columns]
        bias: float32[layers, n], of which `layer` counts.
        curve: a number of `curves`.
        out: uint32[parts, …, words]
    """
    for line in range(rows):
        for column in range(0, columns, LANES):
            _finish(way, sums, line, column, bias, layer, at + column, curve, out, row + line)


@njit(nogil=True)
def add(sums: F32, rows: int, bias: F32, layer: int, at: int, columns: int, x: F32, y: F32, row: int) -> None:
    """y[row : row + rows, at : at + columns] = x's + sums + bias."""
    for line in range(rows):
        for column in range(0, columns, LANES):
            _add(sums, line, column, bias, layer, at + column, x, y, row + line)


@njit(nogil=True)
def scale(way: int, sums: F32, line: int, columns: int, factor: float, out: Words, row: int, at: int) -> None:
    """out[row, at : at + columns] = factor · sums[line], as words."""
    for column in range(0, columns, LANES):
        _scale(way, sums, line, column, factor, out, row, at + column)
