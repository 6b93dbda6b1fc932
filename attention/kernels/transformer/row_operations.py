"""Operations on rows between two products: bias, activation, residual, scaling, layer normalisation and softmax.

Each operation is an LLVM function of its own. Inlined, it would be compiled for every way of packing at every call.
`attention.transformer.feed_forward` defines the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from attention.kernels.transformer.parameters import GELU, GELU_TANH, NONE, RELU, SILU

_ERF_OVER = (
    *(1.974912470783956e-06, 2.8802384875160637e-4, 4.00297820928197e-3, 5.3465419439338226e-2),
    *(0.19623369074321115, 1.1283789770854487),
)
_ERF_UNDER = (
    *(3.748080309693057e-05, 1.2161931133817076e-3, 1.5443091351662538e-2, 0.11647006961177771),
    *(0.5072387454076646, 1.0),
)
"""erf(z) = z · P(z²) / Q(z²) for |z| ≤ 4, with error 2e-8 plus float32 rounding. The coefficients were fitted by least
squares, reweighted until the errors were equal. Beyond 4, erf is ±1 to 2e-8."""
_FARTHEST = 4.0
_LEAST = -87.0
"""The logarithm of the smallest normal float32: below it, exp is subnormal."""


def relu(x: Lanes) -> Lanes:
    """Return max(x, 0)."""
    return x.at_least(0.0)


def gelu(x: Lanes) -> Lanes:
    """Return x·Φ(x), Φ the normal distribution function, with error 8e-7·max(1, x)."""
    x = x.at_least(-_FARTHEST * 1.4142135623730951)
    z = (x * 0.7071067811865476).at_most(_FARTHEST).at_least(-_FARTHEST)
    square = z * z
    erf = z * _polynomial(square, _ERF_OVER) / _polynomial(square, _ERF_UNDER)
    half = x * 0.5
    return half + half * erf


def gelu_tanh(x: Lanes) -> Lanes:
    """Return GELU's tanh approximation: x·σ(2u), u = √(2/π)·(x + 0.044715·x³), σ the logistic function."""
    return x * _logistic((x + x * x * x * 0.044715) * 1.5957691216057308)


def silu(x: Lanes) -> Lanes:
    """Return x·σ(x), σ the logistic function."""
    return x * _logistic(x)


BY_NUMBER: Sequence[tuple[int, Callable[[Lanes], Lanes]]] = (
    (NONE, lambda x: x),
    (RELU, relu),
    (GELU, gelu),
    (GELU_TANH, gelu_tanh),
    (SILU, silu),
)


def _polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Return a polynomial of x by Horner's rule, with coefficients in descending powers."""
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _logistic(x: Lanes) -> Lanes:
    """Return σ(x) = 1 / (1 + e⁻ˣ).

    It uses only exponentials of numbers up to 0, which cannot overflow.
    """
    positive: Any = x > 0.0
    small = positive.choose(x * -1.0, x).at_least(_LEAST).exponential()
    return positive.choose(Lanes.broadcast(x.builder, 1.0), small) / (small + 1.0)


@intrinsic
def finish(
    typing_context: Any,
    way: Any,
    sums: Any,
    rows: Any,
    bias: Any,
    layer: Any,
    first_column: Any,
    columns: Any,
    curve: Any,
    out: Any,
    row: Any,
    into: Any,
) -> Any:
    """Add the bias to the sums of a product, apply an activation, and store the result packed.

    out[row : row + rows, into : into + columns] = curve(sums + bias[first_column :]).

    Args:
        way: how `out` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        sums: float32[≥ rows, ≥ columns]
        rows: the number of rows.
        bias: float32[layers, n]; row `layer` is used.
        first_column: the column of the bias that belongs to the first column of sums.
        columns: the number of columns, a multiple of 16.
        curve: the activation, a number of `CURVES`.
        out: uint32[parts, …, words]
        row, into: the first row and column of `out` that are written.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, layer, first_column, columns, curve, _, row, into = arguments
        sums, bias, out = arrays(context, builder, signature, arguments, 1, 3, 8)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, REAL_PLACE, LONG, WORD_PLACE, LONG, LONG, LONG]
        function = outline(builder.module, "softkv_finish", kinds, _finish)
        lines = [
            sums.data,
            stride_of(builder, sums),
            rows,
            columns,
            pointer_to(builder, bias, layer, first_column),
            curve,
        ]
        written = [pointer_to(builder, out, row), stride_of(builder, out), into, second_part(builder, out)]
        builder.call(function, [way, *lines, *written])
        return context.get_dummy_value()

    kinds = (*[INTEGER, sums, INTEGER, bias], *[INTEGER] * 4, out, INTEGER, INTEGER)
    return types.void(*kinds), build


def _finish(
    builder: Any,
    way: Any,
    sums: Any,
    stride: Any,
    rows: Any,
    columns: Any,
    bias: Any,
    curve: Any,
    out: Any,
    out_stride: Any,
    first_column: Any,
    behind: Any,
) -> None:
    end = builder.append_basic_block("end")
    choice = builder.switch(curve, end)
    for number, bend in BY_NUMBER:
        case = builder.append_basic_block(f"curve_{number}")
        choice.add_case(LONG(number), case)
        builder.position_at_end(case)
        with cgutils.for_range(builder, rows) as line, loop_by_16(builder, columns) as (column, _):
            source = builder.gep(sums, [builder.mul(line.index, stride)])
            into = builder.gep(out, [builder.mul(line.index, out_stride)])
            x = bend(lanes_at(builder, source, column) + lanes_at(builder, bias, column))
            store_packed(builder, way, x, into, builder.add(first_column, column), behind)
        builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def add(typing_context: Any, y: Any, rows: Any, bias: Any, layer: Any, x: Any, row: Any) -> Any:
    """Add a layer's bias and the residual branch x to y: y[: rows] += bias[layer] + x[row : row + rows].

    x and y are float32[…, d], and bias is float32[layers, d].
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, _, layer, _, row = arguments
        y, bias, x = arrays(context, builder, signature, arguments, 0, 2, 4)
        kinds = [REAL_PLACE, LONG, LONG, REAL_PLACE, REAL_PLACE]
        function = outline(builder.module, "softkv_add", kinds, _add)
        builder.call(
            function,
            [y.data, stride_of(builder, y), rows, pointer_to(builder, bias, layer), pointer_to(builder, x, row)],
        )
        return context.get_dummy_value()

    return types.void(y, INTEGER, bias, INTEGER, x, INTEGER), build


def _add(builder: Any, y: Any, width: Any, rows: Any, bias: Any, x: Any) -> None:
    with cgutils.for_range(builder, rows) as line, loop_by_16(builder, width) as (column, _):
        offset = builder.add(builder.mul(line.index, width), column)
        total = lanes_at(builder, y, offset) + lanes_at(builder, bias, column) + lanes_at(builder, x, offset)
        total.store(builder.gep(y, [offset]))


@intrinsic
def scale(
    typing_context: Any,
    way: Any,
    sums: Any,
    rows: Any,
    columns: Any,
    factors: Any,
    out: Any,
    row: Any,
    first_column: Any,
) -> Any:
    """Multiply each row of a product's sums by its factor, and store the result packed.

    out[row : row + rows, first_column : first_column + columns] = factors[: rows, None] · sums[: rows, : columns].

    Args:
        way: how `out` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        sums: float32[≥ rows, ≥ columns]
        columns: a multiple of 16.
        factors: float32[≥ rows]
        out: uint32[parts, …, words]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, columns, _, _, row, first_column = arguments
        sums, factors, out = arrays(context, builder, signature, arguments, 1, 4, 5)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, REAL_PLACE, WORD_PLACE, LONG, LONG, LONG]
        function = outline(builder.module, "softkv_scale", kinds, _scale)
        source = [way, sums.data, stride_of(builder, sums), rows, columns, factors.data]
        builder.call(
            function,
            [*source, pointer_to(builder, out, row), stride_of(builder, out), first_column, second_part(builder, out)],
        )
        return context.get_dummy_value()

    return types.void(INTEGER, sums, INTEGER, INTEGER, factors, out, INTEGER, INTEGER), build


def _scale(
    builder: Any,
    way: Any,
    sums: Any,
    stride: Any,
    rows: Any,
    columns: Any,
    factors: Any,
    out: Any,
    out_stride: Any,
    first_column: Any,
    behind: Any,
) -> None:
    with cgutils.for_range(builder, rows) as line:
        factor = Lanes.broadcast(builder, builder.load(builder.gep(factors, [line.index])))
        source = builder.gep(sums, [builder.mul(line.index, stride)])
        into = builder.gep(out, [builder.mul(line.index, out_stride)])
        with loop_by_16(builder, columns) as (column, _):
            store_packed(
                builder,
                way,
                lanes_at(builder, source, column) * factor,
                into,
                builder.add(first_column, column),
                behind,
            )


_LOWEST = -1e30
"""A number below every logit."""


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
    """Normalise each row of y (layer normalisation): to mean 0 and variance 1, then scale and shift its components.

    The results are stored twice, both from row `row` on: as float32 in x, and packed in `words` for the next matrix
    product.

    Args:
        way: how `words` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        y, x: float32[≥ rows, d], d a multiple of 16.
        rows: the number of rows.
        scale, shift: float32[norms, d]; row `number` is used.
        number: which of the network's normalisations this is.
        epsilon: float32, added to the variance.
        words: uint32[parts, ≥ rows, …]
        row: the first row of x and `words` to write.
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
