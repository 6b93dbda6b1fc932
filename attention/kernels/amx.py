"""The matrix unit of some x86 processors (AMX), and products of bytes by it.

The unit has eight tile registers, each of 16 rows of 64 bytes. Its instruction TDPBSUD multiplies 16 rows with 16
queries: 16 interleaved rows of 64 components already have the layout of one factor, and 16 queries of 64 components
are the other.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.arrays import I32, Bytes
from attention.kernels.cpu import arrays, compiles_for, prefetch
from attention.kernels.layout import LANES, PANEL

TILES_OF_UNIT, TILE_ROWS, TILE_BYTES = 8, 16, 64
TILE_WORDS = TILE_BYTES // 4
"""Words of four bytes in each row of a tile."""

SHAPES = np.zeros(64, dtype=np.uint8)
"""The operand of ldtilecfg: palette 1, and eight tiles of 16 rows of 64 bytes."""
SHAPES[0] = 1
SHAPES[16:32:2] = TILE_BYTES
SHAPES[48:56] = TILE_ROWS

LONG, BYTE = ir.IntType(64), ir.IntType(8)
PLACE = BYTE.as_pointer()

_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


@cache
def allowed() -> bool:
    """Return whether Linux permits this process to use AMX, the matrix unit.

    The first call asks for the permission, which each process needs. Return False on other systems.
    """
    if platform.system() != "Linux":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0


def instruction(builder: Any, name: str, *kinds: Any) -> Callable[..., None]:
    """Return a function that emits one of AMX's instructions.

    Args:
        builder: the LLVM builder.
        name: LLVM's name of the instruction, without "llvm.x86.".
        kinds: the LLVM types of its operands.
    """
    function = builder.module.declare_intrinsic(f"llvm.x86.{name}", fnty=ir.FunctionType(ir.VoidType(), kinds))
    return lambda *operands: builder.call(function, operands)


@intrinsic
def configure_tiles(typing_context: Any, shapes: Any) -> Any:
    """Emit AMX's instruction ldtilecfg, which sets how many rows and bytes each tile register has.

    Args:
        shapes: uint8[64], the operand of the instruction; callers pass SHAPES, eight tiles of 16 rows of 64 bytes.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # ldtilecfg reads 64 bytes: the palette, and of tmm0 to tmm7 the bytes a row (uint16) and the rows (uint8).
        (shapes,) = arrays(context, builder, signature, arguments, 0)
        instruction(builder, "ldtilecfg", PLACE)(builder.bitcast(shapes.data, PLACE))
        return context.get_dummy_value()

    return types.void(shapes), build


@intrinsic
def release_tiles(typing_context: Any) -> Any:
    """Release AMX's tile registers (the instruction tilerelease)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        instruction(builder, "tilerelease")()
        return context.get_dummy_value()

    return types.void(), build


FEW_QUERIES = 4
"""Up to this number of queries AMX is not faster."""


def has_amx() -> bool:
    """Return whether the processor that numba compiles for can multiply bytes by AMX, the matrix unit."""
    return compiles_for("amx-tile", "amx-int8")


@cache
def amx_usable() -> bool:
    """Return whether bytes can be multiplied by AMX: the processor has it and the system permits it."""
    return has_amx() and allowed()


def _block(sixteens: int, groups: int) -> Callable[..., None]:
    """Return an intrinsic that multiplies `sixteens` · 16 queries with `groups` · 16 rows of bytes, by AMX.

    An intrinsic is a function that emits machine instructions. The sums are in four tiles. The loop runs over the words
    of four components, 16 words at a time, and prefetches the next 64 rows.
    """
    # Registers: tmm0 to tmm3 hold sums, int32[16 queries, 16 rows] each; from tmm4 on stand `sixteens` tiles of
    # queries, int8[16 queries, 64]; what is left takes keys in turn, uint8[16 words, 16 rows · 4]. tdpbsud adds to each
    # sum the products of 16 words of four components, signed by unsigned.
    sums = [[query * groups + group for group in range(groups)] for query in range(sixteens)]
    factors = [4 + query for query in range(sixteens)]
    spare = 4 - sixteens

    @intrinsic
    def block(typing_context: Any, codes: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, first_group, _, first_query, _ = arguments
            codes, packed, products = arrays(context, builder, signature, arguments, 0, 2, 4)
            words = cgutils.unpack_tuple(builder, codes.shape)[1]
            line = builder.mul(words, LONG(4))
            rows = builder.gep(
                builder.bitcast(codes.data, PLACE), [builder.mul(first_group, builder.mul(words, LONG(TILE_BYTES)))]
            )
            queries = builder.gep(builder.bitcast(packed.data, PLACE), [builder.mul(first_query, line)])
            clear = instruction(builder, "tilezero", BYTE)
            load = instruction(builder, "tileloadd64", BYTE, PLACE, LONG)
            store = instruction(builder, "tilestored64", BYTE, PLACE, LONG)
            multiply = instruction(builder, "tdpbsud", BYTE, BYTE, BYTE)
            for tile in (tile for tiles in sums for tile in tiles):
                clear(BYTE(tile))
            with cgutils.for_range_slice(builder, LONG(0), words, LONG(TILE_WORDS)) as (step, _):
                for query in range(sixteens):
                    offset = builder.add(builder.mul(line, LONG(TILE_ROWS * query)), builder.mul(step, LONG(4)))
                    load(BYTE(factors[query]), builder.gep(queries, [offset]), line)
                for group in range(groups):
                    offset = builder.mul(builder.add(step, builder.mul(words, LONG(group))), LONG(TILE_BYTES))
                    behind = builder.add(offset, builder.mul(words, LONG(TILE_BYTES * PANEL // LANES)))
                    keys = BYTE(4 + sixteens + group % spare)
                    load(keys, builder.gep(rows, [offset]), LONG(TILE_BYTES))
                    for number in range(TILE_ROWS):
                        prefetch(builder, builder.gep(rows, [builder.add(behind, LONG(TILE_BYTES * number))]))
                    for query in range(sixteens):
                        multiply(BYTE(sums[query][group]), BYTE(factors[query]), keys)
            column = builder.mul(builder.and_(first_group, LONG(PANEL // LANES - 1)), LONG(TILE_BYTES))
            for query in range(sixteens):
                for group in range(groups):
                    start = builder.mul(builder.add(first_query, LONG(TILE_ROWS * query)), LONG(4 * PANEL))
                    offset = builder.add(start, builder.add(column, LONG(TILE_BYTES * group)))
                    store(
                        BYTE(sums[query][group]),
                        builder.gep(builder.bitcast(products.data, PLACE), [offset]),
                        LONG(4 * PANEL),
                    )
            return context.get_dummy_value()

        return types.void(codes, types.int64, packed, types.int64, products), build

    return block


_two_by_two, _one_by_four = _block(2, 2), _block(1, 4)


@njit(nogil=True)
def pad_rows(rows: int, words: int, amx: bool) -> int:
    """Return the number of packed query rows to allocate: `rows`, or the next multiple of 16 if AMX multiplies them.

    `words` is the length of a row in words of four bytes, and `amx` says whether AMX may be used.
    """
    return -(-rows // TILE_ROWS) * TILE_ROWS if amx and rows > FEW_QUERIES and words % TILE_WORDS == 0 else rows


@njit(nogil=True)
def by_amx(codes: Bytes, group: int, packed: I32, products: I32) -> int:
    """Fill products int32[q, 64] with dot products of the first coded queries and 64 rows of codes, by AMX.

    AMX, the matrix unit, multiplies a multiple of 16 queries; `dot.by_instruction` multiplies the rest.

    Args:
        codes: uint8[groups, words, 16, 4], the rows, contiguous.
        group: the first of the rows' groups of 16, a multiple of 4.
        packed: int32[q, words], the queries.
        products: filled.

    Returns:
        The number of queries done; 0 if the number of words is not a multiple of 16.
    """
    if codes.shape[1] % TILE_WORDS != 0:
        return 0
    configure_tiles(SHAPES)
    query = 0
    while query + 2 * TILE_ROWS <= packed.shape[0]:
        _two_by_two(codes, group, packed, query, products)
        _two_by_two(codes, group + 2, packed, query, products)
        query += 2 * TILE_ROWS
    if query + TILE_ROWS <= packed.shape[0]:
        _one_by_four(codes, group, packed, query, products)
        query += TILE_ROWS
    release_tiles()
    return query
