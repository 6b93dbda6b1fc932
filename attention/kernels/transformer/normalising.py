"""Rows brought to mean 0 and variance 1, and rows of logits made a softmax of."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.kernels.cpu import arrays, called
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, Lanes
from attention.kernels.transformer.building import (
    INTEGER,
    LONG,
    REAL,
    REAL_PLACE,
    WORD_PLACE,
    lanes_at,
    place_of,
    put,
    second_part,
    sixteens,
    stride_of,
)

_LOWEST, _LEAST = -1e30, -87.0
"""Below what every logit is; and where exp is no ordinary float32 any more."""


@intrinsic
def normalise(
    typing_context: Any,
    way: Any,
    y: Any,
    rows: Any,
    scale: Any,
    shift: Any,
    number: Any,
    epsilon: Any,
    x: Any,
    words: Any,
    row: Any,
) -> Any:
    """The first rows of y to mean 0 and variance 1, scaled and shifted, as float32 to x and as words, from `row` on.

    Args:
        way: what words are.
        y, x: float32[≥ rows, d], d a multiple of 16.
        scale, shift: float32[norms, d], of which `number` counts.
        epsilon: float32, added to the variance.
        words: uint32[parts, ≥ rows, …]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, _, number, epsilon, _, _, row = arguments
        y, scale, shift, x, words = arrays(context, builder, signature, arguments, 1, 3, 4, 7, 8)
        places = [REAL_PLACE] * 3
        kinds = [LONG, REAL_PLACE, LONG, LONG, REAL, *places, WORD_PLACE, LONG, LONG]
        function = called(builder.module, "softkv_normalise", kinds, _normalise)
        given = [way, y.data, stride_of(builder, y), rows, epsilon]
        how = [place_of(builder, scale, number), place_of(builder, shift, number)]
        written = [place_of(builder, x, row), place_of(builder, words, row)]
        builder.call(function, [*given, *how, *written, stride_of(builder, words), second_part(builder, words)])
        return context.get_dummy_value()

    kinds = (INTEGER, y, INTEGER, scale, shift, INTEGER, types.float32, x, words, INTEGER)
    return types.void(*kinds), build


def _normalise(
    builder: Any,
    way: Any,
    y: Any,
    width: Any,
    rows: Any,
    epsilon: Any,
    scale: Any,
    shift: Any,
    x: Any,
    words: Any,
    words_stride: Any,
    behind: Any,
) -> None:
    count = builder.uitofp(width, REAL)
    total = cgutils.alloca_once(builder, REALS)
    root = builder.module.declare_intrinsic("llvm.sqrt", [REAL])
    with cgutils.for_range(builder, rows) as row:
        given, out = (builder.gep(each, [builder.mul(row.index, width)]) for each in (y, x))
        into = builder.gep(words, [builder.mul(row.index, words_stride)])

        def added_up(of: Any) -> Any:
            builder.store(ir.Constant(REALS, [0.0] * LANES), total)
            with sixteens(builder, width) as (at, _):
                one = of(lanes_at(builder, given, at))
                builder.store((Lanes(builder, builder.load(total)) + one).value, total)
            return builder.fdiv(Lanes(builder, builder.load(total)).sum(), count)

        mean = Lanes.everywhere(builder, added_up(lambda one: one))
        variance = added_up(lambda one: (one - mean) * (one - mean))
        deviation = builder.call(root, [builder.fadd(variance, epsilon)])
        inverse = Lanes.everywhere(builder, builder.fdiv(REAL(1.0), deviation))
        with sixteens(builder, width) as (at, _):
            one = (lanes_at(builder, given, at) - mean) * inverse
            one = one * lanes_at(builder, scale, at) + lanes_at(builder, shift, at)
            one.store(builder.gep(out, [at]))
            put(builder, way, one, into, at, behind)


@intrinsic
def exponentials(
    typing_context: Any, way: Any, logits: Any, rows: Any, count: Any, padded: Any, words: Any, factors: Any
) -> Any:
    """exp(z − max z) of the first `count` logits of each row to words, zeros behind them, and 1 / their sum to factors.

    Args:
        way: what words are.
        logits: float32[≥ rows, …]
        count, padded: numbers; the latter a multiple of 16, up to which words are written.
        words: uint32[parts, ≥ rows, …]
        factors: float32[≥ rows]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, count, padded, _, _ = arguments
        logits, words, factors = arrays(context, builder, signature, arguments, 1, 5, 6)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, LONG, WORD_PLACE, LONG, LONG, REAL_PLACE]
        function = called(builder.module, "softkv_exponentials", kinds, _exponentials)
        given = [way, logits.data, stride_of(builder, logits), rows, count, padded]
        builder.call(
            function, [*given, words.data, stride_of(builder, words), second_part(builder, words), factors.data]
        )
        return context.get_dummy_value()

    return types.void(INTEGER, logits, INTEGER, INTEGER, INTEGER, words, factors), build


def _exponentials(
    builder: Any,
    way: Any,
    logits: Any,
    stride: Any,
    rows: Any,
    count: Any,
    padded: Any,
    words: Any,
    words_stride: Any,
    behind: Any,
    factors: Any,
) -> None:
    lowest, nothing = Lanes.everywhere(builder, _LOWEST), Lanes.everywhere(builder, 0.0)
    peak, total = (cgutils.alloca_once(builder, REALS) for _ in range(2))
    lanes = ir.Constant(ir.VectorType(LONG, LANES), list(range(LANES)))

    def there(at: Any) -> Lanes:
        """Which of 16 from a place on are among the first `count`."""
        left = Lanes.everywhere(builder, builder.sub(count, at))
        return Lanes(builder, builder.icmp_signed("<", lanes, left.value))

    with cgutils.for_range(builder, rows) as row:
        given = builder.gep(logits, [builder.mul(row.index, stride)])
        into = builder.gep(words, [builder.mul(row.index, words_stride)])
        builder.store(lowest.value, peak)
        builder.store(nothing.value, total)
        with sixteens(builder, count) as (at, _):
            some = there(at).choose(lanes_at(builder, given, at), lowest)
            builder.store(Lanes(builder, builder.load(peak)).at_least(some).value, peak)
        largest = Lanes.everywhere(builder, Lanes(builder, builder.load(peak)).largest())
        with sixteens(builder, padded) as (at, _):
            below = (lanes_at(builder, given, at) - largest).at_least(_LEAST).at_most(0.0)
            some = there(at).choose(below.exponential(), nothing)
            builder.store((Lanes(builder, builder.load(total)) + some).value, total)
            put(builder, way, some, into, at, behind)
        factor = builder.fdiv(REAL(1.0), Lanes(builder, builder.load(total)).sum())
        builder.store(factor, builder.gep(factors, [row.index]))
