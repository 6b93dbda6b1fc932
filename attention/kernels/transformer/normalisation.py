"""Layer normalisation and the exponentials of a softmax."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.kernels.cpu import arrays, outline
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, Lanes
from attention.kernels.transformer.code_building import (
    INTEGER,
    LONG,
    REAL,
    REAL_PLACE,
    WORD_PLACE,
    lanes_at,
    loop_by_16,
    pointer_to,
    second_part,
    store_packed,
    stride_of,
)

_LOWEST, _LEAST = -1e30, -87.0
"""A number below every logit, and the logarithm of the smallest normal float32."""


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
    """Normalise rows of y to mean 0 and variance 1, then scale and shift them (layer normalisation).

    The results are stored from row `row` on, as float32 in x and packed in `words`.

    Args:
        way: how `words` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        y, x: float32[≥ rows, d], d a multiple of 16.
        rows: the number of rows.
        scale, shift: float32[norms, d]; row `number` is used.
        epsilon: float32, added to the variance.
        words: uint32[parts, ≥ rows, …]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, _, number, epsilon, _, _, row = arguments
        y, scale, shift, x, words = arrays(context, builder, signature, arguments, 1, 3, 4, 7, 8)
        pointers = [REAL_PLACE] * 3
        kinds = [LONG, REAL_PLACE, LONG, LONG, REAL, *pointers, WORD_PLACE, LONG, LONG]
        function = outline(builder.module, "softkv_normalise", kinds, _normalise)
        source = [way, y.data, stride_of(builder, y), rows, epsilon]
        how = [pointer_to(builder, scale, number), pointer_to(builder, shift, number)]
        written = [pointer_to(builder, x, row), pointer_to(builder, words, row)]
        builder.call(function, [*source, *how, *written, stride_of(builder, words), second_part(builder, words)])
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
        row_in, out = (builder.gep(matrix, [builder.mul(row.index, width)]) for matrix in (y, x))
        into = builder.gep(words, [builder.mul(row.index, words_stride)])

        def mean_of(of: Any) -> Any:
            builder.store(ir.Constant(REALS, [0.0] * LANES), total)
            with loop_by_16(builder, width) as (column, _):
                one = of(lanes_at(builder, row_in, column))
                builder.store((Lanes(builder, builder.load(total)) + one).value, total)
            return builder.fdiv(Lanes(builder, builder.load(total)).sum(), count)

        mean = Lanes.broadcast(builder, mean_of(lambda one: one))
        variance = mean_of(lambda one: (one - mean) * (one - mean))
        deviation = builder.call(root, [builder.fadd(variance, epsilon)])
        inverse = Lanes.broadcast(builder, builder.fdiv(REAL(1.0), deviation))
        with loop_by_16(builder, width) as (column, _):
            one = (lanes_at(builder, row_in, column) - mean) * inverse
            one = one * lanes_at(builder, scale, column) + lanes_at(builder, shift, column)
            one.store(builder.gep(out, [column]))
            store_packed(builder, way, one, into, column, behind)


@intrinsic
def exponentials(
    typing_context: Any, way: Any, logits: Any, rows: Any, count: Any, padded: Any, words: Any, factors: Any
) -> Any:
    """Compute the terms of a softmax: exp(z − max z) for the logits z of each row, and 1/Σ of each row.

    The terms are stored packed in `words`, followed by zeros, and the reciprocals in `factors`.

    Args:
        way: how `words` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        logits: float32[≥ rows, …]
        rows: the number of rows.
        count: the number of logits in a row.
        padded: the number of numbers written to each row, zeros included; a multiple of 16.
        words: uint32[parts, ≥ rows, …]
        factors: float32[≥ rows]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, count, padded, _, _ = arguments
        logits, words, factors = arrays(context, builder, signature, arguments, 1, 5, 6)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, LONG, WORD_PLACE, LONG, LONG, REAL_PLACE]
        function = outline(builder.module, "softkv_exponentials", kinds, _exponentials)
        source = [way, logits.data, stride_of(builder, logits), rows, count, padded]
        builder.call(
            function, [*source, words.data, stride_of(builder, words), second_part(builder, words), factors.data]
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
    lowest, nothing = Lanes.broadcast(builder, _LOWEST), Lanes.broadcast(builder, 0.0)
    peak, total = (cgutils.alloca_once(builder, REALS) for _ in range(2))
    lanes = ir.Constant(ir.VectorType(LONG, LANES), list(range(LANES)))

    def present(column: Any) -> Lanes:
        """Return bool[16], True for those of 16 numbers from `column` on that are among the first `count`."""
        left = Lanes.broadcast(builder, builder.sub(count, column))
        return Lanes(builder, builder.icmp_signed("<", lanes, left.value))

    with cgutils.for_range(builder, rows) as row:
        logits_row = builder.gep(logits, [builder.mul(row.index, stride)])
        into = builder.gep(words, [builder.mul(row.index, words_stride)])
        builder.store(lowest.value, peak)
        builder.store(nothing.value, total)
        with loop_by_16(builder, count) as (column, _):
            values = present(column).choose(lanes_at(builder, logits_row, column), lowest)
            builder.store(Lanes(builder, builder.load(peak)).at_least(values).value, peak)
        largest = Lanes.broadcast(builder, Lanes(builder, builder.load(peak)).largest())
        with loop_by_16(builder, padded) as (column, _):
            below = (lanes_at(builder, logits_row, column) - largest).at_least(_LEAST).at_most(0.0)
            values = present(column).choose(below.exponential(), nothing)
            builder.store((Lanes(builder, builder.load(total)) + values).value, total)
            store_packed(builder, way, values, into, column, behind)
        factor = builder.fdiv(REAL(1.0), Lanes(builder, builder.load(total)).sum())
        builder.store(factor, builder.gep(factors, [row.index]))
