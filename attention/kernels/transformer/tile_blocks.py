"""Sums of products of bfloat16 by the matrix unit, 16 or 32 rows with the 32 columns of a panel.

A panel lies just as one factor has to, 16 columns of 16 words to a tile (TDPBF16PS); the other one is 16 rows. Each sum
is added in the order of the words, by itself.
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
from attention.kernels.transformer.building import Strided
from attention.kernels.transformer.lane_blocks import fused_pairs
from attention.kernels.transformer.words import PANEL

HAS_UNIT = compiles_for("amx-tile", "amx-bf16")
_SIDES = PANEL // TILE_ROWS


@cache
def usable() -> bool:
    """Whether numba compiles for a processor that has the unit, and the system lets it be used."""
    return HAS_UNIT and allowed()


class Unit:
    """The matrix unit's instructions in code being built; a tile is its number."""

    def __init__(self, builder: Any) -> None:
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


def by_tiles(
    builder: Any, sixteens: int, parts: int, a: Strided, b: Strided, words: Any, c: Strided, goes_on: Any
) -> None:
    """Code for so many times 16 rows, one or two.

    Args:
        parts: of how many parts numbers are; of two, three products are added.
        words: a multiple of 16.
        goes_on: whether the sums begin with those of c.
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
                place = builder.gep(rows.line(builder, TILE_ROWS * number), [step])
                unit.load(factor, builder.bitcast(place, PLACE), bytes_of(builder, rows.stride))
            for side, tile in enumerate(columns):
                place = builder.gep(panel.line(builder, 0, LANES * side), [builder.mul(panel.stride, step)])
                unit.load(tile, builder.bitcast(place, PLACE), bytes_of(builder, panel.stride))
                for number, factor in enumerate(factors):
                    unit.multiply(sums[number][side], factor, tile)

    with builder.if_else(goes_on) as (later, first):
        with later:
            for tile, place in totals:
                unit.load(tile, place, c_bytes)
        with first:
            for tile, _ in totals:
                unit.clear(tile)
    add(a, b)
    if parts == 2:
        add(a.second(builder), b)
        add(a, b.second(builder))
    for tile, place in totals:
        unit.store(tile, place, c_bytes)


def bytes_of(builder: Any, stride: Any) -> Any:
    """A stride that is counted in words."""
    return builder.mul(stride, LONG(4))


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
