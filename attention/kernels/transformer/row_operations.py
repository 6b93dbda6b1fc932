"""Operations on rows between two products: bias, activation, gate, residual, scaling, rotation, norms and softmax.

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
from attention.kernels.simd import REALS, WORDS, Lanes
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
from attention.kernels.transformer.parameters import GELU, GELU_TANH, LAYER_NORM, NO_NORM, NONE, RELU, SILU

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


_GATED = 8
"""The number of a gate's activation is this plus the activation's number."""


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
    gated: Any,
    out: Any,
    row: Any,
    into: Any,
) -> Any:
    """Add the bias to the sums of a product, apply an activation, and store the result packed.

    out[row : row + rows, into : into + columns] = curve(x), x = sums + bias[first_column :]. With a gate, x has twice
    the columns, and the result is curve(x[:, : columns]) · x[:, columns :].

    Args:
        way: how `out` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        sums: float32[≥ rows, ≥ columns]
        rows: the number of rows.
        bias: float32[layers, n]; row `layer` is used.
        first_column: the column of the bias that belongs to the first column of sums.
        columns: the number of columns, a multiple of 16.
        curve: the activation, a number of `CURVES`.
        gated: 1 with a gate, else 0.
        out: uint32[parts, …, words]
        row, into: the first row and column of `out` that are written.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, layer, first_column, columns, curve, gated, _, row, into = arguments
        sums, bias, out = arrays(context, builder, signature, arguments, 1, 3, 9)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, REAL_PLACE, LONG, WORD_PLACE, LONG, LONG, LONG]
        function = outline(builder.module, "softkv_finish", kinds, _finish)
        lines = [
            sums.data,
            stride_of(builder, sums),
            rows,
            columns,
            pointer_to(builder, bias, layer, first_column),
            builder.add(curve, builder.mul(gated, LONG(_GATED))),
        ]
        written = [pointer_to(builder, out, row), stride_of(builder, out), into, second_part(builder, out)]
        builder.call(function, [way, *lines, *written])
        return context.get_dummy_value()

    kinds = (*[INTEGER, sums, INTEGER, bias], *[INTEGER] * 5, out, INTEGER, INTEGER)
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
    for number, bend in (*BY_NUMBER, *((_GATED + number, bend) for number, bend in BY_NUMBER if number != NONE)):
        case = builder.append_basic_block(f"curve_{number}")
        choice.add_case(LONG(number), case)
        builder.position_at_end(case)
        with cgutils.for_range(builder, rows) as line, loop_by_16(builder, columns) as (column, _):
            source = builder.gep(sums, [builder.mul(line.index, stride)])
            into = builder.gep(out, [builder.mul(line.index, out_stride)])
            x = bend(lanes_at(builder, source, column) + lanes_at(builder, bias, column))
            if number > _GATED:
                later = builder.add(column, columns)
                x = x * (lanes_at(builder, source, later) + lanes_at(builder, bias, later))
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
    kind: Any,
    y: Any,
    rows: Any,
    scale: Any,
    shift: Any,
    number: Any,
    epsilon: Any,
    keeps: Any,
    x: Any,
    line: Any,
    words: Any,
    row: Any,
) -> Any:
    """Normalise each row of y: to mean 0 and variance 1, or to a mean of squares of 1, then scale and shift it.

    The results are stored twice: as float32 in x, and packed in `words` for the next matrix product.

    Args:
        way: how `words` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        kind: NO_NORM, LAYER_NORM or RMS_NORM. NO_NORM only scales and shifts.
        y, x: float32[≥ rows, d], d a multiple of 16. They may be the same.
        rows: the number of rows.
        scale, shift: float32[norms, d]; row `number` is used.
        number: which of the network's normalisations this is.
        epsilon: float32, added to the variance or to the mean of squares.
        keeps: whether x gets the rows of y, before the normalisation.
        line: the first row of x to write.
        words: uint32[parts, ≥ rows, …]
        row: the first row of `words` to write.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, kind, _, rows, _, _, number, epsilon, keeps, _, line, _, row = arguments
        y, scale, shift, x, words = arrays(context, builder, signature, arguments, 2, 4, 5, 9, 11)
        pointers = [REAL_PLACE] * 3
        kinds = [LONG, LONG, REAL_PLACE, LONG, LONG, REAL, keeps.type, *pointers, WORD_PLACE, LONG, LONG]
        function = outline(builder.module, "softkv_normalise", kinds, _normalise)
        source = [way, kind, y.data, stride_of(builder, y), rows, epsilon, keeps]
        how = [pointer_to(builder, scale, number), pointer_to(builder, shift, number)]
        written = [pointer_to(builder, x, line), pointer_to(builder, words, row)]
        builder.call(function, [*source, *how, *written, stride_of(builder, words), second_part(builder, words)])
        return context.get_dummy_value()

    kinds = (
        INTEGER,
        INTEGER,
        y,
        INTEGER,
        scale,
        shift,
        INTEGER,
        types.float32,
        types.boolean,
        x,
        INTEGER,
        words,
        INTEGER,
    )
    return types.void(*kinds), build


def _normalise(
    builder: Any,
    way: Any,
    kind: Any,
    y: Any,
    width: Any,
    rows: Any,
    epsilon: Any,
    keeps: Any,
    scale: Any,
    shift: Any,
    x: Any,
    words: Any,
    words_stride: Any,
    behind: Any,
) -> None:
    count = builder.uitofp(width, REAL)
    total = cgutils.alloca_once(builder, REALS)
    centre, factor = (cgutils.alloca_once(builder, REAL) for _ in range(2))
    root = builder.module.declare_intrinsic("llvm.sqrt", [REAL])
    centres = builder.icmp_signed("==", kind, LONG(LAYER_NORM))
    divides = builder.icmp_signed("!=", kind, LONG(NO_NORM))
    with cgutils.for_range(builder, rows) as row:
        row_in, out = (builder.gep(matrix, [builder.mul(row.index, width)]) for matrix in (y, x))
        into = builder.gep(words, [builder.mul(row.index, words_stride)])

        def mean_of(of: Any) -> Any:
            builder.store(ir.Constant(REALS, [0.0] * LANES), total)
            with loop_by_16(builder, width) as (column, _):
                one = of(lanes_at(builder, row_in, column))
                builder.store((Lanes(builder, builder.load(total)) + one).value, total)
            return builder.fdiv(Lanes(builder, builder.load(total)).sum(), count)

        builder.store(REAL(0.0), centre)
        builder.store(REAL(1.0), factor)
        with builder.if_then(centres):
            builder.store(mean_of(lambda one: one), centre)
        mean = Lanes.broadcast(builder, builder.load(centre))
        with builder.if_then(divides):
            variance = mean_of(lambda one: (one - mean) * (one - mean))
            deviation = builder.call(root, [builder.fadd(variance, epsilon)])
            builder.store(builder.fdiv(REAL(1.0), deviation), factor)
        inverse = Lanes.broadcast(builder, builder.load(factor))
        with loop_by_16(builder, width) as (column, _):
            before = lanes_at(builder, row_in, column)
            one = (before - mean) * inverse
            one = one * lanes_at(builder, scale, column) + lanes_at(builder, shift, column)
            Lanes(builder, builder.select(keeps, before.value, one.value)).store(builder.gep(out, [column]))
            store_packed(builder, way, one, into, column, behind)


@intrinsic
def rotate(
    typing_context: Any,
    way: Any,
    head: Any,
    rows: Any,
    bias: Any,
    layer: Any,
    column: Any,
    normalises: Any,
    scale: Any,
    number: Any,
    epsilon: Any,
    rotations: Any,
    rotation: Any,
    token_positions: Any,
    out: Any,
    row: Any,
    into: Any,
) -> Any:
    """Add the bias to the queries or keys of one head, normalise and rotate them, and store the result packed.

    Component j and component j + d_k/2 are a pair, which is rotated by the j-th angle of the row's position.

    Args:
        way: how `out` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        head: float32[≥ rows, d_k], d_k a multiple of 32.
        rows: the number of rows.
        bias: float32[layers, n]; row `layer` from `column` on is used.
        normalises: 1 to divide a row by the root of its mean square, and then to scale it, else 0.
        scale: float32[numbers, d_k]; row `number` is used.
        epsilon: float32, added to the mean of squares.
        rotations: float32[kinds, n_positions, d_k], the cosines and then the sines of the angles.
        rotation: the kind of rotation.
        token_positions: int64[…], the positions of the tokens; those from `row` on are used.
        out: uint32[parts, …, words]
        row, into: the first row and column of `out` that are written.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, layer, column, normalises, _, number, epsilon, _, rotation, _, _, row, into = arguments
        head, bias, scale, rotations, token_positions, out = arrays(
            context, builder, signature, arguments, 1, 3, 7, 10, 12, 13
        )
        lines = cgutils.unpack_tuple(builder, rotations.shape)[1]
        kinds = [
            *[LONG, REAL_PLACE, LONG, LONG, REAL_PLACE, LONG, REAL_PLACE, REAL, REAL_PLACE, LONG.as_pointer()],
            *[WORD_PLACE, LONG, LONG, LONG],
        ]
        function = outline(builder.module, "softkv_rotate", kinds, _rotate)
        source = [way, head.data, stride_of(builder, head), rows, pointer_to(builder, bias, layer, column), normalises]
        how = [
            pointer_to(builder, scale, number),
            epsilon,
            pointer_to(builder, rotations, builder.mul(lines, rotation)),
            builder.gep(token_positions.data, [row]),
        ]
        written = [pointer_to(builder, out, row), stride_of(builder, out), into, second_part(builder, out)]
        builder.call(function, [*source, *how, *written])
        return context.get_dummy_value()

    kinds = (
        *[INTEGER, head, INTEGER, bias, INTEGER, INTEGER, INTEGER, scale, INTEGER, types.float32, rotations, INTEGER],
        *[token_positions, out, INTEGER, INTEGER],
    )
    return types.void(*kinds), build


def _rotate(
    builder: Any,
    way: Any,
    head: Any,
    width: Any,
    rows: Any,
    bias: Any,
    normalises: Any,
    scale: Any,
    epsilon: Any,
    rotations: Any,
    token_positions: Any,
    out: Any,
    out_stride: Any,
    first_column: Any,
    behind: Any,
) -> None:
    half, total = builder.lshr(width, LONG(1)), cgutils.alloca_once(builder, REALS)
    factor = cgutils.alloca_once(builder, REAL)
    root = builder.module.declare_intrinsic("llvm.sqrt", [REAL])
    divides = builder.icmp_signed("!=", normalises, LONG(0))
    with cgutils.for_range(builder, rows) as line:
        source = builder.gep(head, [builder.mul(line.index, width)])
        into = builder.gep(out, [builder.mul(line.index, out_stride)])
        position = builder.load(builder.gep(token_positions, [line.index]))
        angles = builder.gep(rotations, [builder.mul(position, width)])
        builder.store(REAL(1.0), factor)
        with builder.if_then(divides):
            builder.store(ir.Constant(REALS, [0.0] * LANES), total)
            with loop_by_16(builder, width) as (column, _):
                x = lanes_at(builder, source, column) + lanes_at(builder, bias, column)
                builder.store((Lanes(builder, builder.load(total)) + x * x).value, total)
            mean = builder.fdiv(Lanes(builder, builder.load(total)).sum(), builder.uitofp(width, REAL))
            builder.store(builder.fdiv(REAL(1.0), builder.call(root, [builder.fadd(mean, epsilon)])), factor)
        inverse = Lanes.broadcast(builder, builder.load(factor))
        with loop_by_16(builder, half) as (column, _):
            other = builder.add(column, half)
            x, y = (
                (lanes_at(builder, source, index) + lanes_at(builder, bias, index))
                * inverse
                * lanes_at(builder, scale, index)
                for index in (column, other)
            )
            cosine, sine = lanes_at(builder, angles, column), lanes_at(builder, angles, other)
            one, second = x * cosine - y * sine, x * sine + y * cosine
            store_packed(builder, way, one, into, builder.add(first_column, column), behind)
            store_packed(builder, way, second, into, builder.add(first_column, other), behind)


@intrinsic
def add_distances(
    typing_context: Any, logits: Any, rows: Any, columns: Any, distances: Any, head: Any, first: Any
) -> Any:
    """Add to logits the biases of their distances: logits[r, c] += distances[head, first + c − r].

    Args:
        logits: float32[≥ rows, …]
        rows, columns: the numbers of rows and of columns. Up to 15 further columns of each row may change.
        distances: float32[n_heads, …], of which 15 columns after the last one needed are read.
        head: the number of the head.
        first: the column of `distances` for the first logit.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, columns, _, head, first = arguments
        logits, distances = arrays(context, builder, signature, arguments, 0, 3)
        kinds = [REAL_PLACE, LONG, LONG, LONG, REAL_PLACE]
        function = outline(builder.module, "softkv_add_distances", kinds, _add_distances)
        source = [logits.data, stride_of(builder, logits), rows, columns]
        builder.call(function, [*source, pointer_to(builder, distances, head, first)])
        return context.get_dummy_value()

    return types.void(logits, INTEGER, INTEGER, distances, INTEGER, INTEGER), build


def _add_distances(builder: Any, logits: Any, stride: Any, rows: Any, columns: Any, distances: Any) -> None:
    with cgutils.for_range(builder, rows) as line, loop_by_16(builder, columns) as (column, _):
        pointer = builder.gep(logits, [builder.add(builder.mul(line.index, stride), column)])
        biases = lanes_at(builder, distances, builder.sub(column, line.index))
        (Lanes.load(builder, REALS, pointer) + biases).store(pointer)


@intrinsic
def exponentials(
    typing_context: Any,
    way: Any,
    logits: Any,
    rows: Any,
    count: Any,
    padded: Any,
    position: Any,
    back: Any,
    ahead: Any,
    words: Any,
    factors: Any,
) -> Any:
    """Compute the terms of a softmax: exp(z − max z) for the logits z of each row, and 1/Σ of each row.

    Row r is about columns position + r − back to position + r + ahead; the terms of others are zeros. The terms are
    stored packed in `words`, followed by zeros, and the reciprocals in `factors`.

    Args:
        way: how `words` is packed, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        logits: float32[≥ rows, …]
        rows: the number of rows.
        count: the number of logits in a row.
        padded: the number of numbers written to each row, zeros included; a multiple of 16.
        position: the column of the first row's own token.
        back, ahead: how many columns before and after its own a token attends to.
        words: uint32[parts, ≥ rows, …]
        factors: float32[≥ rows]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, count, padded, position, back, ahead, _, _ = arguments
        logits, words, factors = arrays(context, builder, signature, arguments, 1, 8, 9)
        kinds = [LONG, REAL_PLACE, *[LONG] * 7, WORD_PLACE, LONG, LONG, REAL_PLACE]
        function = outline(builder.module, "softkv_exponentials", kinds, _exponentials)
        source = [way, logits.data, stride_of(builder, logits), rows, count, padded, position, back, ahead]
        builder.call(
            function, [*source, words.data, stride_of(builder, words), second_part(builder, words), factors.data]
        )
        return context.get_dummy_value()

    return types.void(INTEGER, logits, *[INTEGER] * 6, words, factors), build


def _exponentials(
    builder: Any,
    way: Any,
    logits: Any,
    stride: Any,
    rows: Any,
    count: Any,
    padded: Any,
    position: Any,
    back: Any,
    ahead: Any,
    words: Any,
    words_stride: Any,
    behind: Any,
    factors: Any,
) -> None:
    lowest, nothing = Lanes.broadcast(builder, _LOWEST), Lanes.broadcast(builder, 0.0)
    peak, total = (cgutils.alloca_once(builder, REALS) for _ in range(2))
    lanes = ir.Constant(WORDS, list(range(LANES)))

    def smaller(one: Any, other: Any) -> Any:
        return builder.select(builder.icmp_signed("<", one, other), one, other)

    with cgutils.for_range(builder, rows) as row:
        token = builder.add(position, row.index)
        begin = builder.sub(token, smaller(token, back))
        end = smaller(builder.add(builder.add(token, ahead), LONG(1)), count)
        width = builder.sub(end, begin)

        def present(column: Any, begin: Any = begin, width: Any = width) -> Lanes:
            """Return bool[16], True for those of 16 numbers from `column` on that the row is about."""
            # Columns before the first are negative numbers, which are large without their sign.
            first = Lanes.broadcast(builder, builder.trunc(builder.sub(begin, column), WORDS.element))
            index = builder.sub(lanes, first.value)
            limit = Lanes.broadcast(builder, builder.trunc(width, WORDS.element))
            return Lanes(builder, builder.icmp_unsigned("<", index, limit.value))

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
