"""Products of rows with a panel of columns, by vector instructions or tiles."""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit, types
from numba.extending import intrinsic, register_jitable

from attention.dtypes import F32
from attention.kernels.cpu import arrays, outline
from attention.kernels.tiles import TILE_ROWS
from attention.kernels.transformer.code_building import (
    INTEGER,
    LONG,
    REAL_PLACE,
    WORD_PLACE,
    Strided,
    pointer_to,
    second_part,
    stride_of,
)
from attention.kernels.transformer.lane_blocks import (
    AHEAD,
    COLUMNS,
    FEW_BLOCKS,
    MAX_ROWS,
    WIDE,
    fma,
    fma_pairs,
    rows_by_panel,
)
from attention.kernels.transformer.parameters import BFLOAT16, FLOAT32, PANEL, THREE, TILES, Words
from attention.kernels.transformer.tile_blocks import HAS_UNIT, by_tiles


@register_jitable
def columns_of(way: int) -> int:
    """Return the number of columns of a panel in this way of packing."""
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
    """Set c[: rows, column :] = a[row : row + rows, word : word + words] · b, or add the product to it.

    b is one panel of columns.

    Args:
        way: how numbers are multiplied; see `parameters`. With tiles, rows of a and c are read and written in
            multiples of 16.
        rows: the number of rows, at least 1.
        a: uint32[parts, n, words].
        row, word: the first row and word of a.
        b: uint32[…], the panel: one line of words every `stride` elements, from element `start` on.
        behind: elements from b's first part to its second.
        words: the number of words, at least 1; with tiles a multiple of 16.
        c: float32[≥ rows, m].
        goes_on: whether to add to c.
    """
    # If rows take a few blocks, prefetch the next panel from memory while this one is multiplied again.
    ahead = words * stride if not WIDE and MAX_ROWS < rows <= FEW_BLOCKS * MAX_ROWS else AHEAD * stride
    line = 0
    while line < rows:
        left = rows - line
        # Blocks of similar size (13 rows are 7 and 6), because every block reads the whole panel.
        lanes, tiles = -(-left // -(-left // MAX_ROWS)), TILE_ROWS * min(-(-left // TILE_ROWS), 2)
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
    """Multiply one block of rows with a panel. See `multiply`.

    With tiles, a block has 16 or 32 rows.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, rows, _, row, word, _, start, stride, behind, words, _, line, column, goes_on, ahead = arguments
        a, b, c = arrays(context, builder, signature, arguments, 2, 5, 10)
        rows_of = [pointer_to(builder, a, row, word), stride_of(builder, a), second_part(builder, a)]
        panel = [builder.gep(b.data, [start]), stride, behind]
        into = [pointer_to(builder, c, line, column), stride_of(builder, c)]
        kinds = [LONG, LONG, *[WORD_PLACE, LONG, LONG] * 2, LONG, REAL_PLACE, LONG, goes_on.type, LONG]
        block = outline(builder.module, "softkv_block", kinds, _by_way)
        builder.call(block, [way, rows, *rows_of, *panel, words, *into, goes_on, ahead])
        return context.get_dummy_value()

    kinds = (INTEGER, INTEGER, a, INTEGER, INTEGER, b, *[INTEGER] * 4, c, INTEGER, INTEGER, types.boolean, INTEGER)
    return types.void(*kinds), build


def _by_way(builder: Any, way: Any, rows: Any, *arguments: Any) -> None:
    """Emit code that chooses, at run time, among code for each way of packing and each number of rows."""
    end = builder.append_basic_block("end")
    ways = builder.switch(way, end)

    def cases(choice: Any, numbers: Any) -> Any:
        """Begin one case of a switch for each of these numbers."""
        for number in numbers:
            case = builder.append_basic_block("case")
            choice.add_case(LONG(number), case)
            builder.position_at_end(case)
            yield number

    for mine in cases(ways, (FLOAT32, BFLOAT16)):
        for count in cases(builder.switch(rows, end), range(1, MAX_ROWS + 1)):
            _in_line_or_called(builder, f"lanes_{mine}_{count}", partial(_lanes, mine, count), arguments)
            builder.branch(end)
    for mine in cases(ways, (TILES, THREE)):
        for count in cases(builder.switch(rows, end), (TILE_ROWS, 2 * TILE_ROWS)):
            _in_line_or_called(builder, f"tiles_{mine}_{count}", partial(_tiles, mine, count), arguments)
            builder.branch(end)
    builder.position_at_end(end)


def _in_line_or_called(builder: Any, name: str, build: Any, arguments: Any) -> None:
    """Emit code for one way of packing and one number of rows, inline or as a function of its own.

    With few registers it is a function: inline, LLVM would keep the panel's address in memory, which costs more than
    the products of a step, and would reserve stack for each block.
    """
    if WIDE:
        build(builder, *arguments)
        return
    kinds = [argument.type for argument in arguments]
    function = outline(builder.module, f"softkv_{name}", kinds, build)
    if name.startswith("tiles") and not HAS_UNIT:
        function.attributes.add("optnone")  # only tests call it, and optimising it takes a fifth of all compile time
    builder.call(function, arguments)


def _lanes(way: int, count: int, builder: Any, *arguments: Any) -> None:
    ahead = None if WIDE else arguments[10]
    multiply_add = fma if way == FLOAT32 else fma_pairs
    rows_by_panel(builder, multiply_add, count, *_matrices(*arguments), ahead)


def _tiles(way: int, count: int, builder: Any, *arguments: Any) -> None:
    by_tiles(builder, count // TILE_ROWS, 2 if way == THREE else 1, *_matrices(*arguments))


def _matrices(*arguments: Any) -> tuple[Strided, Strided, Any, Strided, Any]:
    return Strided(*arguments[:3]), Strided(*arguments[3:6]), arguments[6], Strided(*arguments[7:9]), arguments[9]
