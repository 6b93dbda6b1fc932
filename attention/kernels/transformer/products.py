"""Products of rows with the columns of a panel, by what the processor has for numbers of a kind."""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit, types
from numba.extending import intrinsic, register_jitable

from attention.dtypes import F32
from attention.kernels.cpu import arrays, called
from attention.kernels.tiles import TILE_ROWS
from attention.kernels.transformer.building import (
    INTEGER,
    LONG,
    REAL_PLACE,
    WORD_PLACE,
    Strided,
    place_of,
    second_part,
    stride_of,
)
from attention.kernels.transformer.lane_blocks import AHEAD, COLUMNS, FEW, MOST, WIDE, fused, fused_pairs, rows_by_panel
from attention.kernels.transformer.tile_blocks import HAS_UNIT, by_tiles
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, PANEL, THREE, TILES, Words


@register_jitable
def columns_of(way: int) -> int:
    """How many columns a panel has."""
    return PANEL if way >= TILES else COLUMNS


@njit(nogil=True, inline="always")
def multiply(
    way: int,
    rows: int,
    a: Words,
    row: int,
    word: int,
    b: Words,
    start: int,
    stride: int,
    behind: int,
    words: int,
    c: F32,
    column: int,
    goes_on: bool,
) -> None:
    """c[: rows, column :] = a[row : row + rows, word : word + words] · b, or that is added to it; as wide as a panel.

    Args:
        way: one of `words`; of tiles, whole sixteens of rows are read of a, and written to c.
        rows: how many, at least 1.
        a: uint32[parts, n, words], rows.
        row, word: where they begin.
        b: uint32[…], the panel's words from each `stride`-th on, the first at `start`.
        behind: how far behind it b's second part is, where there is one.
        words: how many, at least 1; of tiles a multiple of 16.
        c: float32[≥ rows, m]
        goes_on: whether the sums begin with those of c.
    """
    # Where rows take a few blocks, the next panel is brought from memory while this one is multiplied again.
    ahead = words * stride if not WIDE and MOST < rows <= FEW * MOST else AHEAD * stride
    line = 0
    while line < rows:
        left = rows - line
        # Of lanes as like each other as can be: 13 rows are 7 and 6, for a panel is read once for each.
        lanes, tiles = -(-left // -(-left // MOST)), TILE_ROWS * min(-(-left // TILE_ROWS), 2)
        count = tiles if way >= TILES else lanes
        _block(way, count, a, row + line, word, b, start, stride, behind, words, c, line, column, goes_on, ahead)
        line += count


@intrinsic
def _block(
    typing_context: Any,
    way: Any,
    rows: Any,
    a: Any,
    row: Any,
    word: Any,
    b: Any,
    start: Any,
    stride: Any,
    behind: Any,
    words: Any,
    c: Any,
    line: Any,
    column: Any,
    goes_on: Any,
    ahead: Any,
) -> Any:
    """As many rows as are multiplied at a time, see `multiply`; of tiles 16 or 32."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, rows, _, row, word, _, start, stride, behind, words, _, line, column, goes_on, ahead = arguments
        a, b, c = arrays(context, builder, signature, arguments, 2, 5, 10)
        given = [place_of(builder, a, row, word), stride_of(builder, a), second_part(builder, a)]
        panel = [builder.gep(b.data, [start]), stride, behind]
        into = [place_of(builder, c, line, column), stride_of(builder, c)]
        kinds = [LONG, LONG, *[WORD_PLACE, LONG, LONG] * 2, LONG, REAL_PLACE, LONG, goes_on.type, LONG]
        block = called(builder.module, "softkv_block", kinds, _by_way)
        builder.call(block, [way, rows, *given, *panel, words, *into, goes_on, ahead])
        return context.get_dummy_value()

    kinds = (INTEGER, INTEGER, a, INTEGER, INTEGER, b, *[INTEGER] * 4, c, INTEGER, INTEGER, types.boolean, INTEGER)
    return types.void(*kinds), build


def _by_way(builder: Any, way: Any, rows: Any, *arguments: Any) -> None:
    """Code for each way and number of rows."""
    end = builder.append_basic_block("end")
    ways = builder.switch(way, end)

    def cases(choice: Any, numbers: Any) -> Any:
        """Begin the code for each of these numbers, which then goes to the end."""
        for number in numbers:
            case = builder.append_basic_block("case")
            choice.add_case(LONG(number), case)
            builder.position_at_end(case)
            yield number

    for mine in cases(ways, (FLOAT32, BFLOAT16)):
        for count in cases(builder.switch(rows, end), range(1, MOST + 1)):
            _in_line_or_called(builder, f"lanes_{mine}_{count}", partial(_lanes, mine, count), arguments)
            builder.branch(end)
    for mine in cases(ways, (TILES, THREE)):
        for count in cases(builder.switch(rows, end), (TILE_ROWS, 2 * TILE_ROWS)):
            _in_line_or_called(builder, f"tiles_{mine}_{count}", partial(_tiles, mine, count), arguments)
            builder.branch(end)
    builder.position_at_end(end)


def _in_line_or_called(builder: Any, name: str, build: Any, arguments: Any) -> None:
    """Code for one way and number of rows.

    Where registers are few it is a function by itself: beside all others the compiler keeps the panel's place in
    memory, which costs more than the products of a step, and makes room on the stack for each block.
    """
    if WIDE:
        build(builder, *arguments)
        return
    kinds = [argument.type for argument in arguments]
    function = called(builder.module, f"softkv_{name}", kinds, build)
    if name.startswith("tiles") and not HAS_UNIT:
        function.attributes.add("optnone")  # only tests call it: a fifth of the time that the compiler takes for all
    builder.call(function, arguments)


def _lanes(way: int, count: int, builder: Any, *arguments: Any) -> None:
    ahead = None if WIDE else arguments[10]
    multiply_add = fused if way == FLOAT32 else fused_pairs
    rows_by_panel(builder, multiply_add, count, *_matrices(*arguments), ahead)


def _tiles(way: int, count: int, builder: Any, *arguments: Any) -> None:
    by_tiles(builder, count // TILE_ROWS, 2 if way == THREE else 1, *_matrices(*arguments))


def _matrices(*arguments: Any) -> tuple[Strided, Strided, Any, Strided, Any]:
    return Strided(*arguments[:3]), Strided(*arguments[3:6]), arguments[6], Strided(*arguments[7:9]), arguments[9]
