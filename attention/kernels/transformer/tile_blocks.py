"""Sums of products of bfloat16 by the matrix unit, 16 or 32 rows with the 32 columns of a panel.

A panel lies just as one factor has to, 16 columns of 16 words to a tile (TDPBF16PS); the other one is 16 rows. Each sum
is added in the order of the words, by itself.
"""

from __future__ import annotations

from functools import cache, partial, reduce
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import F32
from attention.kernels.cpu import arrays, called, compiles_for
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.tiles import (
    BYTE,
    LONG,
    PLACE,
    SHAPES,
    TILE_ROWS,
    TILE_WORDS,
    allowed,
    begin,
    end,
    instruction,
)
from attention.kernels.transformer.blocks import fused_pairs
from attention.kernels.transformer.words import PANEL, THREE, Words

HAS_UNIT = compiles_for("amx-tile", "amx-bf16")
_SIDES = PANEL // TILE_ROWS


@cache
def usable() -> bool:
    """Whether numba compiles for a processor that has the unit, and the system lets it be used."""
    return HAS_UNIT and allowed()


class Unit:
    """The matrix unit's instructions in code being built; a tile is its number."""

    def __init__(self, builder: Any, tiles: int) -> None:
        self._clear = instruction(builder, "tilezero", BYTE)
        self._load = instruction(builder, "tileloadd64", BYTE, PLACE, LONG)
        self._store = instruction(builder, "tilestored64", BYTE, PLACE, LONG)
        self._multiply = instruction(builder, "tdpbf16ps", BYTE, BYTE, BYTE)

    def clear(self, tile: int) -> None:
        """Zeros."""
        self._clear(BYTE(tile))

    def load(self, tile: int, place: Any, stride: Any) -> None:
        """16 lines of 64 bytes, `stride` bytes apart."""
        self._load(BYTE(tile), place, stride)

    def store(self, tile: int, place: Any, stride: Any) -> None:
        """The same way back."""
        self._store(BYTE(tile), place, stride)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """total[r, c] += Σ rows[r, w] · columns[w, c], words of two bfloat16."""
        self._multiply(BYTE(total), BYTE(rows), BYTE(columns))


class WithoutUnit:
    """What these instructions do, where there are none: slow, and the same to the last digits."""

    def __init__(self, builder: Any, tiles: int) -> None:
        self._builder = builder
        self._tiles = [
            builder.bitcast(cgutils.alloca_once(builder, WORDS, TILE_ROWS), ir.IntType(32).as_pointer())
            for _ in range(tiles)
        ]

    def _line(self, tile: int, line: Any) -> Any:
        return self._builder.gep(self._tiles[tile], [self._builder.mul(line, LONG(LANES))])

    def _lines(self) -> Any:
        return cgutils.for_range(self._builder, LONG(TILE_ROWS))

    def clear(self, tile: int) -> None:
        """See `Unit`."""
        with self._lines() as loop:
            Lanes(self._builder, ir.Constant(WORDS, [0] * LANES)).store(self._line(tile, loop.index))

    def load(self, tile: int, place: Any, stride: Any) -> None:
        """See `Unit`."""
        with self._lines() as loop:
            line = self._builder.gep(place, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, line).store(self._line(tile, loop.index))

    def store(self, tile: int, place: Any, stride: Any) -> None:
        """See `Unit`."""
        with self._lines() as loop:
            line = self._builder.gep(place, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, self._line(tile, loop.index)).store(line)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """See `Unit`."""
        builder = self._builder
        with self._lines() as row, self._lines() as word:
            factor = builder.load(builder.gep(self._line(rows, row.index), [word.index]))
            column = Lanes.load(builder, WORDS, self._line(columns, word.index)).value
            place = self._line(total, row.index)
            before = Lanes.load(builder, REALS, place).value
            Lanes(builder, fused_pairs(builder, Lanes.everywhere(builder, factor).value, column, before)).store(place)


def _block(sixteens: int) -> Any:
    """The intrinsic for so many times 16 rows."""

    @intrinsic
    def block(
        typing_context: Any,
        parts: Any,
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
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            parts, _, row, word, _, start, stride, behind, words, _, line, column = arguments
            a, b, c = arrays(context, builder, signature, arguments, 1, 4, 9)
            _, a_rows, a_stride = cgutils.unpack_tuple(builder, a.shape)
            c_stride = cgutils.unpack_tuple(builder, c.shape)[1]
            first = builder.gep(a.data, [builder.add(builder.mul(row, a_stride), word)])
            panel = builder.gep(b.data, [start])
            into = builder.gep(c.data, [builder.add(builder.mul(line, c_stride), column)])
            a_behind = builder.mul(a_rows, a_stride)
            words_, reals = ir.IntType(32).as_pointer(), ir.FloatType().as_pointer()
            kinds = [LONG, words_, LONG, LONG, words_, LONG, LONG, LONG, reals, LONG]
            function = called(builder.module, f"softkv_tiles_{sixteens}", kinds, partial(_by_tiles, sixteens))
            builder.call(function, [parts, first, a_stride, a_behind, panel, stride, behind, words, into, c_stride])
            return context.get_dummy_value()

        integers = types.int64
        kinds = (integers, a, integers, integers, b, *[integers] * 4, c, integers, integers)
        return types.void(*kinds), build

    return block


def _by_tiles(
    sixteens: int,
    builder: Any,
    parts: Any,
    a: Any,
    a_stride: Any,
    a_behind: Any,
    b: Any,
    b_stride: Any,
    b_behind: Any,
    words: Any,
    c: Any,
    c_stride: Any,
) -> None:
    """Code for so many times 16 rows; strides are counted in words."""
    # Registers: tmm0 to tmm3 hold sums, float32[16 rows, 16 columns] each; then 16 rows each, and columns.
    sums = [[_SIDES * row + side for side in range(_SIDES)] for row in range(sixteens)]
    factors = [4 + row for row in range(sixteens)]
    columns = [6 + side for side in range(_SIDES)]
    unit = (Unit if HAS_UNIT else WithoutUnit)(builder, 8)

    def bytes_of(stride: Any) -> Any:
        return builder.mul(stride, LONG(4))

    def place(start: Any, *offsets: Any) -> Any:
        return builder.bitcast(builder.gep(start, [reduce(builder.add, offsets)]), PLACE)

    def add(rows: Any, panel: Any) -> None:
        with cgutils.for_range_slice(builder, LONG(0), words, LONG(TILE_WORDS)) as (step, _):
            for number, factor in enumerate(factors):
                unit.load(
                    factor, place(rows, builder.mul(a_stride, LONG(TILE_ROWS * number)), step), bytes_of(a_stride)
                )
            for side, tile in enumerate(columns):
                unit.load(tile, place(panel, builder.mul(b_stride, step), LONG(LANES * side)), bytes_of(b_stride))
                for number, factor in enumerate(factors):
                    unit.multiply(sums[number][side], factor, tile)

    for tile in (tile for line in sums for tile in line):
        unit.clear(tile)
    add(a, b)
    with builder.if_then(builder.icmp_signed("==", parts, LONG(2))):
        add(builder.gep(a, [a_behind]), b)
        add(a, builder.gep(b, [b_behind]))
    for number, line in enumerate(sums):
        for side, tile in enumerate(line):
            into = place(c, builder.mul(c_stride, LONG(TILE_ROWS * number)), LONG(LANES * side))
            unit.store(tile, into, bytes_of(c_stride))


_one, _two = _block(1), _block(2)


@njit(nogil=True, inline="always")
def take_unit() -> None:
    """Have the unit ready, where there is one; `leave_unit` ends that."""
    if HAS_UNIT:
        begin(SHAPES)


@njit(nogil=True, inline="always")
def leave_unit() -> None:
    """Have it forget what it was told."""
    if HAS_UNIT:
        end()


@njit(nogil=True, inline="always")
def multiply_tiles(
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
) -> None:
    """As `blocks.multiply`, by TILES or THREE: whole sixteens of rows are read of a, and written to c.

    Args:
        behind: how far behind the first part of b the second one is, in words.
        words: a multiple of 16.
    """
    parts = 2 if way == THREE else 1
    line = 0
    while line < rows:
        if rows - line > TILE_ROWS:
            _two(parts, a, row + line, word, b, start, stride, behind, words, c, line, column)
            line += 2 * TILE_ROWS
        else:
            _one(parts, a, row + line, word, b, start, stride, behind, words, c, line, column)
            line += TILE_ROWS
