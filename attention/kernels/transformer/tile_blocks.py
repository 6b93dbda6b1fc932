"""Products of bfloat16 by AMX (TDPBF16PS), 16 or 32 rows with the 32 columns of a panel.

A panel already has the layout of one factor, 16 columns of 16 words to a tile. The other factor is 16 rows. Each sum is
added in the order of the words.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils

from attention.kernels.cpu import compiles_for
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.tiles import (
    BYTE,
    LONG,
    PLACE,
    SHAPES,
    TILE_ROWS,
    TILE_WORDS,
    TILES_OF_UNIT,
    allowed,
    begin,
    end,
    instruction,
)
from attention.kernels.transformer.code_building import Strided
from attention.kernels.transformer.lane_blocks import fma_pairs
from attention.kernels.transformer.parameters import PANEL

HAS_UNIT = compiles_for("amx-tile", "amx-bf16")
_SIDES = PANEL // TILE_ROWS


@cache
def usable() -> bool:
    """Return whether AMX, the matrix unit, can be used: the processor has it and the system permits it."""
    return HAS_UNIT and allowed()


class Unit:
    """The matrix unit (AMX) in code being built: each method emits an instruction. Tiles are given by number."""

    def __init__(self, builder: Any) -> None:
        self._clear = instruction(builder, "tilezero", BYTE)
        self._load = instruction(builder, "tileloadd64", BYTE, PLACE, LONG)
        self._store = instruction(builder, "tilestored64", BYTE, PLACE, LONG)
        self._multiply = instruction(builder, "tdpbf16ps", BYTE, BYTE, BYTE)

    def clear(self, tile: int) -> None:
        """Set a tile to zeros."""
        self._clear(BYTE(tile))

    def load(self, tile: int, pointer: Any, stride: Any) -> None:
        """Load 16 rows of 64 bytes, `stride` bytes apart."""
        self._load(BYTE(tile), pointer, stride)

    def store(self, tile: int, pointer: Any, stride: Any) -> None:
        """Store 16 rows of 64 bytes, `stride` bytes apart."""
        self._store(BYTE(tile), pointer, stride)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """Add rows · columns to a tile: total[r, c] += Σ rows[r, w] · columns[w, c].

        A word w holds two bfloat16.
        """
        self._multiply(BYTE(total), BYTE(rows), BYTE(columns))


class WithoutUnit:
    """An emulation of `Unit` for targets without AMX: slow, with the same results to the last digit."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        self._tiles = [
            builder.bitcast(cgutils.alloca_once(builder, WORDS, TILE_ROWS), ir.IntType(32).as_pointer())
            for _ in range(TILES_OF_UNIT)
        ]

    def _line(self, tile: int, line: Any) -> Any:
        return self._builder.gep(self._tiles[tile], [self._builder.mul(line, LONG(LANES))])

    def _lines(self) -> Any:
        return cgutils.for_range(self._builder, LONG(TILE_ROWS))

    def clear(self, tile: int) -> None:
        """Set a tile to zeros. See `Unit.clear`."""
        with self._lines() as loop:
            Lanes(self._builder, ir.Constant(WORDS, [0] * LANES)).store(self._line(tile, loop.index))

    def load(self, tile: int, pointer: Any, stride: Any) -> None:
        """Load 16 rows of 64 bytes, `stride` bytes apart. See `Unit.load`."""
        with self._lines() as loop:
            line = self._builder.gep(pointer, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, line).store(self._line(tile, loop.index))

    def store(self, tile: int, pointer: Any, stride: Any) -> None:
        """Store 16 rows of 64 bytes, `stride` bytes apart. See `Unit.store`."""
        with self._lines() as loop:
            line = self._builder.gep(pointer, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, self._line(tile, loop.index)).store(line)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """Add the product of two tiles to a third. See `Unit.multiply`."""
        builder = self._builder
        with self._lines() as row, self._lines() as word:
            factor = builder.load(builder.gep(self._line(rows, row.index), [word.index]))
            column = Lanes.load(builder, WORDS, self._line(columns, word.index)).value
            pointer = self._line(total, row.index)
            before = Lanes.load(builder, REALS, pointer).value
            Lanes(builder, fma_pairs(builder, Lanes.everywhere(builder, factor).value, column, before)).store(pointer)


def by_tiles(
    builder: Any, sixteens: int, parts: int, a: Strided, b: Strided, words: Any, c: Strided, goes_on: Any
) -> None:
    """Emit code that multiplies `sixteens` · 16 rows (16 or 32) with a panel of columns.

    Args:
        parts: parts of a number; with two, three products are added.
        words: a multiple of 16.
        goes_on: whether the sums start at c.
    """
    # Registers: tmm0 to tmm3 hold sums, float32[16 rows, 16 columns] each; then 16 rows each, and columns.
    sums = [[_SIDES * row + side for side in range(_SIDES)] for row in range(sixteens)]
    factors = [4 + row for row in range(sixteens)]
    columns = [6 + side for side in range(_SIDES)]
    unit = (Unit if HAS_UNIT else WithoutUnit)(builder)
    c_bytes = bytes_of(builder, c.stride)
    totals = [
        (tile, builder.bitcast(c.line(builder, TILE_ROWS * number, LANES * side), PLACE))
        for number, line in enumerate(sums)
        for side, tile in enumerate(line)
    ]

    def add(rows: Strided, panel: Strided) -> None:
        with cgutils.for_range_slice(builder, LONG(0), words, LONG(TILE_WORDS)) as (step, _):
            for number, factor in enumerate(factors):
                pointer = builder.gep(rows.line(builder, TILE_ROWS * number), [step])
                unit.load(factor, builder.bitcast(pointer, PLACE), bytes_of(builder, rows.stride))
            for side, tile in enumerate(columns):
                pointer = builder.gep(panel.line(builder, 0, LANES * side), [builder.mul(panel.stride, step)])
                unit.load(tile, builder.bitcast(pointer, PLACE), bytes_of(builder, panel.stride))
                for number, factor in enumerate(factors):
                    unit.multiply(sums[number][side], factor, tile)

    with builder.if_else(goes_on) as (later, first):
        with later:
            for tile, pointer in totals:
                unit.load(tile, pointer, c_bytes)
        with first:
            for tile, _ in totals:
                unit.clear(tile)
    add(a, b)
    if parts == 2:
        add(a.second(builder), b)
        add(a, b.second(builder))
    for tile, pointer in totals:
        unit.store(tile, pointer, c_bytes)


def bytes_of(builder: Any, stride: Any) -> Any:
    """Return a stride in bytes, from a stride in words."""
    return builder.mul(stride, LONG(4))


@njit(nogil=True, inline="always")
def take_unit() -> None:
    """Configure AMX, the matrix unit, if the processor has it. `leave_unit` releases it."""
    if HAS_UNIT:
        begin(SHAPES)


@njit(nogil=True, inline="always")
def leave_unit() -> None:
    """Release AMX, the matrix unit, if the processor has it."""
    if HAS_UNIT:
        end()
