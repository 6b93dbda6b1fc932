"""Products of rows with a panel of columns, by vector instructions or by AMX, the matrix unit.

A panel is some columns side by side; `parameters` has its layout. All sums of a block of rows stay in registers: of
vectors, or of tiles. Each sum is added in the order of the words. It does not depend on how many rows are multiplied at
a time, so the vector of a text does not depend on the texts encoded beside it.

AMX multiplies bfloat16 (TDPBF16PS), 16 or 32 rows with the 32 columns of a panel. A panel already has the layout of one
factor, 16 columns of 16 words to a tile. The other factor is 16 rows.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from attention.arrays import F32
from attention.kernels.amx import (
    BYTE,
    PLACE,
    SHAPES,
    TILE_ROWS,
    TILE_WORDS,
    TILES_OF_UNIT,
    allowed,
    configure_tiles,
    instruction,
    release_tiles,
)
from attention.kernels.cpu import arrays, compiles_for, outline, prefetch
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
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
from attention.kernels.transformer.parameters import BFLOAT16, FLOAT32, PANEL, THREE, TILES, Words

WIDE = compiles_for("avx512f")
"""Whether the target has 32 registers of 16 float32."""

COLUMNS = PANEL if WIDE else LANES
"""Columns of a panel. 16 columns of depth 384 are 24 kB, which stay in the L1 cache while all rows are multiplied."""

MAX_ROWS = 12 if WIDE else 6
"""Rows whose sums fit into registers: 12 by 32 columns in 24 of AVX-512's 32, or 6 by 16 columns in 12 of AVX2's 16.

The other registers hold columns and a row's number. A step of AVX2 has 8 loads for 12 multiply-adds.
"""

_SIXTEENS = COLUMNS // LANES

AHEAD = 64
"""Words of a panel to prefetch into the L2 cache, which the hardware does less well.

Measured: this saves a tenth to a fifth of the time of one short text, and a thirtieth for many texts.
"""

FEW_BLOCKS = 4
"""Up to this number of blocks, multiplying takes less time than loading the next panel from memory."""


class _BFloat16(ir.Type):  # type: ignore[misc]  # llvmlite has neither bfloat16 nor type annotations
    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(type(self))


_PAIRS = ir.VectorType(_BFloat16(), 2 * LANES)
MULTIPLIES_PAIRS = compiles_for("avx512bf16")
"""Whether the target has VDPBF16PS, which adds two products of bfloat16 in one instruction."""


def fma(builder: Any, row: Any, column: Any, total: Any) -> Any:
    """Emit code for total + row · column in float32, rounded once (fused multiply-add). All are vectors of 16."""
    multiply = builder.module.declare_intrinsic("llvm.fma.v16f32", fnty=ir.FunctionType(REALS, [REALS] * 3))
    return builder.call(multiply, [builder.bitcast(row, REALS), builder.bitcast(column, REALS), total])


def fma_pairs(builder: Any, row: Any, column: Any, total: Any) -> Any:
    """Emit code for total float32[16] plus the two products of each pair of bfloat16, row · column.

    Row and column are 16 words, each of which holds two bfloat16.
    """
    if MULTIPLIES_PAIRS:
        name, kind = "llvm.x86.avx512bf16.dpbf16ps.512", ir.FunctionType(REALS, [REALS, _PAIRS, _PAIRS])
        multiply = builder.module.declare_intrinsic(name, fnty=kind)
        return builder.call(multiply, [total, builder.bitcast(row, _PAIRS), builder.bitcast(column, _PAIRS)])
    half, upper = ir.Constant(WORDS, [16] * LANES), ir.Constant(WORDS, [-65536] * LANES)
    total = fma(builder, builder.shl(row, half), builder.shl(column, half), total)
    return fma(builder, builder.and_(row, upper), builder.and_(column, upper), total)


def rows_by_panel(
    builder: Any,
    multiply_add: Any,
    count: int,
    a: Strided,
    b: Strided,
    words: Any,
    c: Strided,
    goes_on: Any,
    ahead: Any,
) -> None:
    """Emit code that multiplies `count` rows, at most MAX_ROWS, with a panel of columns, by vector instructions.

    c = a · b, or c + a · b. All sums stay in registers until they are stored.

    Args:
        builder: the LLVM builder.
        multiply_add: `fma` or `fma_pairs`.
        a: the rows, in words.
        b: the panel, one line of columns per word.
        words: the number of words of a row.
        c: the sums, float32.
        goes_on: whether the sums start at c instead of 0.
        ahead: elements from a word of the panel to the one that is prefetched; None for AHEAD words.
    """
    if ahead is None:
        ahead = builder.mul(b.stride, LONG(AHEAD))
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    zero = ir.Constant(REALS, [0.0] * LANES)
    rows = [a.line(builder, number) for number in range(count)]
    pointers = [[c.line(builder, number, LANES * side) for side in range(_SIXTEENS)] for number in range(count)]
    initial = [
        [builder.select(goes_on, Lanes.load(builder, REALS, pointer).value, zero) for pointer in line]
        for line in pointers
    ]
    builder.branch(loop)
    builder.position_at_end(loop)
    step, panel = builder.phi(LONG), builder.phi(b.start.type)
    totals = [[builder.phi(REALS) for _ in range(_SIXTEENS)] for _ in range(count)]
    coming = builder.gep(panel, [ahead])
    for side in range(_SIXTEENS):
        prefetch(builder, builder.gep(coming, [LONG(LANES * side)]))
    columns = [Lanes.load(builder, WORDS, builder.gep(panel, [LONG(LANES * side)])).value for side in range(_SIXTEENS)]
    sums = []
    for row, total in zip(rows, totals, strict=True):
        factor = Lanes.broadcast(builder, builder.load(builder.gep(row, [step]))).value
        sums.append([multiply_add(builder, factor, column, one) for column, one in zip(columns, total, strict=True)])
    following = builder.add(step, LONG(1))
    for phi, first, later in (
        (step, LONG(0), following),
        (panel, b.start, builder.gep(panel, [b.stride])),
        *(
            edge
            for total, begun, news in zip(totals, initial, sums, strict=True)
            for edge in zip(total, begun, news, strict=True)
        ),
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
    builder.position_at_end(after)
    for line, into in zip(sums, pointers, strict=True):
        for one, pointer in zip(line, into, strict=True):
            Lanes(builder, one).store(pointer)


HAS_UNIT = compiles_for("amx-tile", "amx-bf16")
_SIDES = PANEL // TILE_ROWS


@cache
def usable() -> bool:
    """Return whether AMX, the matrix unit, can multiply bfloat16: the processor has it and the system permits it."""
    return HAS_UNIT and allowed()


class Unit:
    """AMX, the matrix unit, in LLVM code that is being built: each method emits an instruction.

    A tile is a register of 16 rows of 64 bytes, given by its number from 0 to 7.
    """

    def __init__(self, builder: Any) -> None:
        self._clear = instruction(builder, "tilezero", BYTE)
        self._load = instruction(builder, "tileloadd64", BYTE, PLACE, LONG)
        self._store = instruction(builder, "tilestored64", BYTE, PLACE, LONG)
        self._multiply = instruction(builder, "tdpbf16ps", BYTE, BYTE, BYTE)

    def clear(self, tile: int) -> None:
        """Emit an instruction that sets a tile to zeros."""
        self._clear(BYTE(tile))

    def load(self, tile: int, pointer: Any, stride: Any) -> None:
        """Emit a load of 16 rows of 64 bytes, `stride` bytes apart, into a tile."""
        self._load(BYTE(tile), pointer, stride)

    def store(self, tile: int, pointer: Any, stride: Any) -> None:
        """Emit a store of a tile as 16 rows of 64 bytes, `stride` bytes apart."""
        self._store(BYTE(tile), pointer, stride)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """Emit AMX's instruction that multiplies two tiles and adds the product to a third: total += rows · columns.

        For all r and c it computes total[r, c] += Σ_w rows[r, w] · columns[w, c], over the 16 words w. A word holds two
        bfloat16, so each term is the sum of two products; sums are float32.

        Args:
            total, rows, columns: the numbers of three tile registers, 0 to 7.
        """
        self._multiply(BYTE(total), BYTE(rows), BYTE(columns))


class EmulatedUnit:
    """An emulation of `Unit` for processors without AMX: slow, with the same results to the last digit."""

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
        """Emit code that sets a tile to zeros. See `Unit.clear`."""
        with self._lines() as loop:
            Lanes(self._builder, ir.Constant(WORDS, [0] * LANES)).store(self._line(tile, loop.index))

    def load(self, tile: int, pointer: Any, stride: Any) -> None:
        """Emit code that loads 16 rows of 64 bytes, `stride` bytes apart, into a tile. See `Unit.load`."""
        with self._lines() as loop:
            line = self._builder.gep(pointer, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, line).store(self._line(tile, loop.index))

    def store(self, tile: int, pointer: Any, stride: Any) -> None:
        """Emit code that stores a tile as 16 rows of 64 bytes, `stride` bytes apart. See `Unit.store`."""
        with self._lines() as loop:
            line = self._builder.gep(pointer, [self._builder.mul(loop.index, stride)])
            Lanes.load(self._builder, WORDS, self._line(tile, loop.index)).store(line)

    def multiply(self, total: int, rows: int, columns: int) -> None:
        """Emit code that adds the product of two tiles to a third: total += rows · columns. See `Unit.multiply`."""
        builder = self._builder
        with self._lines() as row, self._lines() as word:
            factor = builder.load(builder.gep(self._line(rows, row.index), [word.index]))
            column = Lanes.load(builder, WORDS, self._line(columns, word.index)).value
            pointer = self._line(total, row.index)
            before = Lanes.load(builder, REALS, pointer).value
            Lanes(builder, fma_pairs(builder, Lanes.broadcast(builder, factor).value, column, before)).store(pointer)


def by_tiles(
    builder: Any, sixteens: int, parts: int, a: Strided, b: Strided, words: Any, c: Strided, goes_on: Any
) -> None:
    """Emit code that multiplies 16 or 32 rows of bfloat16 with a panel of 32 columns, by AMX.

    c = a · b, or c + a · b.

    Args:
        builder: the LLVM builder.
        sixteens: the number of rows, divided by 16: 1 or 2.
        parts: into how many bfloat16 each number is split. With two, three products are added, which nearly have the
            precision of float32.
        a: the rows, in words of two bfloat16.
        b: the panel, one line of columns per word.
        words: the number of words of a row, a multiple of 16.
        c: the sums, float32.
        goes_on: whether the sums start at c instead of 0.
    """
    # Registers: tmm0 to tmm3 hold sums, float32[16 rows, 16 columns] each; then 16 rows each, and columns.
    sums = [[_SIDES * row + side for side in range(_SIDES)] for row in range(sixteens)]
    factors = [4 + row for row in range(sixteens)]
    columns = [6 + side for side in range(_SIDES)]
    unit = (Unit if HAS_UNIT else EmulatedUnit)(builder)
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
    """Emit code that converts a stride in words of four bytes to bytes."""
    return builder.mul(stride, LONG(4))


@njit(nogil=True, inline="always")
def take_unit() -> None:
    """Configure AMX, the matrix unit, for this thread, if the processor has it. `leave_unit` releases it."""
    if HAS_UNIT:
        configure_tiles(SHAPES)


@njit(nogil=True, inline="always")
def leave_unit() -> None:
    """Release AMX, the matrix unit, if the processor has it."""
    if HAS_UNIT:
        release_tiles()


@register_jitable
def columns_of(way: int) -> int:
    """Return the number of columns of a matrix that are packed side by side, as one panel, for this way to multiply."""
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
    """Set c[: rows, column :] = a[row : row + rows, word : word + words] · b, or add the product to c.

    b is one panel: some columns of a matrix, stored side by side.

    Args:
        way: how numbers are packed and multiplied, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`. With
            tiles, rows of a and c are read and written in multiples of 16.
        rows: the number of rows, at least 1.
        a: uint32[parts, n, words].
        row, word: the first row and word of a.
        b: uint32[…], which has one line of the panel's words every `stride` elements, from element `start` on.
        behind: elements from b's first part to its second, if numbers have two parts.
        words: the number of words, at least 1; with tiles a multiple of 16.
        c: float32[≥ rows, m].
        column: the first column of c.
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
    """Multiply one block of rows with a panel, the inner step of `multiply`.

    A block has at most MAX_ROWS rows, or with tiles 16 or 32. `line` is the block's first row in c, and `ahead` is the
    distance in elements at which the panel is prefetched. `multiply` explains the other arguments.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, rows, _, row, word, _, start, stride, behind, words, _, line, column, goes_on, ahead = arguments
        a, b, c = arrays(context, builder, signature, arguments, 2, 5, 10)
        rows_of = [pointer_to(builder, a, row, word), stride_of(builder, a), second_part(builder, a)]
        panel = [builder.gep(b.data, [start]), stride, behind]
        into = [pointer_to(builder, c, line, column), stride_of(builder, c)]
        kinds = [LONG, LONG, *[WORD_PLACE, LONG, LONG] * 2, LONG, REAL_PLACE, LONG, goes_on.type, LONG]
        block = outline(builder.module, "softkv_block", kinds, _choose_block)
        builder.call(block, [way, rows, *rows_of, *panel, words, *into, goes_on, ahead])
        return context.get_dummy_value()

    kinds = (INTEGER, INTEGER, a, INTEGER, INTEGER, b, *[INTEGER] * 4, c, INTEGER, INTEGER, types.boolean, INTEGER)
    return types.void(*kinds), build


def _choose_block(builder: Any, way: Any, rows: Any, *arguments: Any) -> None:
    """Emit code that jumps, at run time, to the code for one way to multiply and one number of rows.

    Code for every combination of the two is emitted. `arguments` are those of `_lanes` and `_tiles`.
    """
    end = builder.append_basic_block("end")
    ways = builder.switch(way, end)

    def cases(choice: Any, numbers: Any) -> Any:
        """Begin the case of a switch for each of these numbers, and yield the number: the caller emits its code."""
        for number in numbers:
            case = builder.append_basic_block("case")
            choice.add_case(LONG(number), case)
            builder.position_at_end(case)
            yield number

    for mine in cases(ways, (FLOAT32, BFLOAT16)):
        for count in cases(builder.switch(rows, end), range(1, MAX_ROWS + 1)):
            _emit_inline_or_call(builder, f"lanes_{mine}_{count}", partial(_lanes, mine, count), arguments)
            builder.branch(end)
    for mine in cases(ways, (TILES, THREE)):
        for count in cases(builder.switch(rows, end), (TILE_ROWS, 2 * TILE_ROWS)):
            _emit_inline_or_call(builder, f"tiles_{mine}_{count}", partial(_tiles, mine, count), arguments)
            builder.branch(end)
    builder.position_at_end(end)


def _emit_inline_or_call(builder: Any, name: str, build: Any, arguments: Any) -> None:
    """Emit code for one way to multiply and one number of rows, inline or as a call of a function.

    With few registers it is a function: inline, LLVM would keep the panel's address in memory, which costs more than
    the products of a step, and would reserve stack for each block.

    Args:
        builder: the LLVM builder.
        name: the name of the function.
        build: called with a builder and the arguments, to emit the code.
        arguments: values of the code being built.
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
