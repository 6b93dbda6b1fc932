"""What happens to the sums of a product: a bias, an activation, a residual, a factor.

Each is a function of the compiled code by itself: standing in line, the compiler would make it once for every way that
words are written in, wherever it is called.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.kernels.cpu import arrays, called
from attention.kernels.simd import Lanes
from attention.kernels.transformer.building import (
    INTEGER,
    LONG,
    REAL_PLACE,
    WORD_PLACE,
    lanes_at,
    place_of,
    put,
    second_part,
    sixteens,
    stride_of,
)
from attention.kernels.transformer.curves import BY_NUMBER


@intrinsic
def finish(
    typing_context: Any,
    way: Any,
    sums: Any,
    rows: Any,
    bias: Any,
    layer: Any,
    at: Any,
    columns: Any,
    curve: Any,
    out: Any,
    row: Any,
    into: Any,
) -> Any:
    """out[row : row + rows, into : into + columns] = curve(sums + bias[at : at + columns]), as words.

    Args:
        way: what words are.
        sums: float32[≥ rows, ≥ columns]
        bias: float32[layers, n], of which `layer` counts.
        columns: a multiple of 16.
        curve: a number of `CURVES`.
        out: uint32[parts, …, words]
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, _, layer, at, columns, curve, _, row, into = arguments
        sums, bias, out = arrays(context, builder, signature, arguments, 1, 3, 8)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, REAL_PLACE, LONG, WORD_PLACE, LONG, LONG, LONG]
        function = called(builder.module, "softkv_finish", kinds, _finish)
        lines = [sums.data, stride_of(builder, sums), rows, columns, place_of(builder, bias, layer, at), curve]
        written = [place_of(builder, out, row), stride_of(builder, out), into, second_part(builder, out)]
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
    at: Any,
    behind: Any,
) -> None:
    end = builder.append_basic_block("end")
    choice = builder.switch(curve, end)
    for number, bend in BY_NUMBER:
        case = builder.append_basic_block(f"curve_{number}")
        choice.add_case(LONG(number), case)
        builder.position_at_end(case)
        with cgutils.for_range(builder, rows) as line, sixteens(builder, columns) as (column, _):
            given = builder.gep(sums, [builder.mul(line.index, stride)])
            into = builder.gep(out, [builder.mul(line.index, out_stride)])
            x = bend(lanes_at(builder, given, column) + lanes_at(builder, bias, column))
            put(builder, way, x, into, builder.add(at, column), behind)
        builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def add(typing_context: Any, y: Any, rows: Any, bias: Any, layer: Any, x: Any, row: Any) -> Any:
    """y[: rows] += bias and x[row : row + rows]; x float32[…, d] as wide as y, bias float32[layers, d]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, _, layer, _, row = arguments
        y, bias, x = arrays(context, builder, signature, arguments, 0, 2, 4)
        kinds = [REAL_PLACE, LONG, LONG, REAL_PLACE, REAL_PLACE]
        function = called(builder.module, "softkv_add", kinds, _add)
        builder.call(
            function, [y.data, stride_of(builder, y), rows, place_of(builder, bias, layer), place_of(builder, x, row)]
        )
        return context.get_dummy_value()

    return types.void(y, INTEGER, bias, INTEGER, x, INTEGER), build


def _add(builder: Any, y: Any, width: Any, rows: Any, bias: Any, x: Any) -> None:
    with cgutils.for_range(builder, rows) as line, sixteens(builder, width) as (column, _):
        place = builder.add(builder.mul(line.index, width), column)
        total = lanes_at(builder, y, place) + lanes_at(builder, bias, column) + lanes_at(builder, x, place)
        total.store(builder.gep(y, [place]))


@intrinsic
def scale(
    typing_context: Any, way: Any, sums: Any, rows: Any, columns: Any, factors: Any, out: Any, row: Any, at: Any
) -> Any:
    """out[row : row + rows, at : at + columns] = factors · sums, as words; a factor for each row."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, _, rows, columns, _, _, row, at = arguments
        sums, factors, out = arrays(context, builder, signature, arguments, 1, 4, 5)
        kinds = [LONG, REAL_PLACE, LONG, LONG, LONG, REAL_PLACE, WORD_PLACE, LONG, LONG, LONG]
        function = called(builder.module, "softkv_scale", kinds, _scale)
        given = [way, sums.data, stride_of(builder, sums), rows, columns, factors.data]
        builder.call(
            function, [*given, place_of(builder, out, row), stride_of(builder, out), at, second_part(builder, out)]
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
    at: Any,
    behind: Any,
) -> None:
    with cgutils.for_range(builder, rows) as line:
        factor = Lanes.everywhere(builder, builder.load(builder.gep(factors, [line.index])))
        given = builder.gep(sums, [builder.mul(line.index, stride)])
        into = builder.gep(out, [builder.mul(line.index, out_stride)])
        with sixteens(builder, columns) as (column, _):
            put(builder, way, lanes_at(builder, given, column) * factor, into, builder.add(at, column), behind)
