"""Products of interleaved bytes, 16 rows with 16 queries, by the matrix unit that some x86 processors have (AMX).

Its eight registers, tiles, are of 16 lines of 64 bytes. As it happens, 16 rows side by side, 64 components deep, lie
just as one of its factors has to (Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBSUD); the other one
is 16 queries, 64 components of each.
"""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type, no-untyped-call"

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
from numpy.typing import NDArray

from attention.kernels.cpu import arrays, compiles_for, prefetch
from attention.kernels.layout import LANES, RUN

LINES, LINE = 16, 64
STEPS = LINE // 4
"""Depth of a tile: groups of four components."""

FEW = 4
"""Up to so many queries are multiplied as quickly without the unit."""

_LONG, _BYTE = ir.IntType(64), ir.IntType(8)
_PLACE = _BYTE.as_pointer()

_SHAPES = np.zeros(64, dtype=np.uint8)
"""What the unit is told: palette 1, and each of its eight tiles of 16 lines of 64 bytes."""
_SHAPES[0] = 1
_SHAPES[16:32:2] = LINE
_SHAPES[48:56] = LINES

_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


def has_unit() -> bool:
    """Whether numba compiles for a processor that has the unit."""
    return compiles_for("amx-tile", "amx-int8")


@cache
def usable() -> bool:
    """Whether it does and the system, which has to be asked once by each process, lets it be used."""
    if not has_unit() or platform.system() != "Linux":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0


def _declared(builder: Any, name: str, *kinds: Any) -> Callable[..., None]:
    function = builder.module.declare_intrinsic(f"llvm.x86.{name}", fnty=ir.FunctionType(ir.VoidType(), kinds))
    return lambda *arguments: builder.call(function, arguments)


@intrinsic
def _begin(typing_context: Any, shapes: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (shapes,) = arrays(context, builder, signature, arguments, 0)
        _declared(builder, "ldtilecfg", _PLACE)(builder.bitcast(shapes.data, _PLACE))
        return context.get_dummy_value()

    return types.void(shapes), build


@intrinsic
def _end(typing_context: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _declared(builder, "tilerelease")()
        return context.get_dummy_value()

    return types.void(), build


def _block(sixteens: int, groups: int) -> Callable[..., None]:
    """The intrinsic for so many times 16 queries and so many groups of 16 rows, four tiles of sums in all.

    Its loop goes over the depth. The 64 rows behind these are fetched into the cache meanwhile.
    """
    sums = [[query * groups + group for group in range(groups)] for query in range(sixteens)]
    factors = [4 + query for query in range(sixteens)]
    spare = 4 - sixteens

    @intrinsic
    def block(typing_context: Any, codes: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, first_group, _, first_query, _ = arguments
            codes, packed, products = arrays(context, builder, signature, arguments, 0, 2, 4)
            depth = cgutils.unpack_tuple(builder, codes.shape)[1]
            line = builder.mul(depth, _LONG(4))
            rows = builder.gep(
                builder.bitcast(codes.data, _PLACE), [builder.mul(first_group, builder.mul(depth, _LONG(LINE)))]
            )
            queries = builder.gep(builder.bitcast(packed.data, _PLACE), [builder.mul(first_query, line)])
            clear = _declared(builder, "tilezero", _BYTE)
            load = _declared(builder, "tileloadd64", _BYTE, _PLACE, _LONG)
            store = _declared(builder, "tilestored64", _BYTE, _PLACE, _LONG)
            multiply = _declared(builder, "tdpbsud", _BYTE, _BYTE, _BYTE)
            for tile in (tile for tiles in sums for tile in tiles):
                clear(_BYTE(tile))
            with cgutils.for_range_slice(builder, _LONG(0), depth, _LONG(STEPS)) as (step, _):
                for query in range(sixteens):
                    at = builder.add(builder.mul(line, _LONG(LINES * query)), builder.mul(step, _LONG(4)))
                    load(_BYTE(factors[query]), builder.gep(queries, [at]), line)
                for group in range(groups):
                    at = builder.mul(builder.add(step, builder.mul(depth, _LONG(group))), _LONG(LINE))
                    behind = builder.add(at, builder.mul(depth, _LONG(LINE * RUN // LANES)))
                    keys = _BYTE(4 + sixteens + group % spare)
                    load(keys, builder.gep(rows, [at]), _LONG(LINE))
                    for number in range(LINES):
                        prefetch(builder, builder.gep(rows, [builder.add(behind, _LONG(LINE * number))]))
                    for query in range(sixteens):
                        multiply(_BYTE(sums[query][group]), _BYTE(factors[query]), keys)
            column = builder.mul(builder.and_(first_group, _LONG(RUN // LANES - 1)), _LONG(LINE))
            for query in range(sixteens):
                for group in range(groups):
                    start = builder.mul(builder.add(first_query, _LONG(LINES * query)), _LONG(4 * RUN))
                    at = builder.add(start, builder.add(column, _LONG(LINE * group)))
                    store(
                        _BYTE(sums[query][group]),
                        builder.gep(builder.bitcast(products.data, _PLACE), [at]),
                        _LONG(4 * RUN),
                    )
            return context.get_dummy_value()

        return types.void(codes, types.int64, packed, types.int64, products), build

    return block


_two_by_two, _one_by_four = _block(2, 2), _block(1, 4)


@njit(nogil=True)
def padded(rows: int, depth: int, unit: bool) -> int:
    """How many rows of packed queries are as quick as so many: whole sixteens where the unit takes them."""
    return -(-rows // LINES) * LINES if unit and rows > FEW and depth % STEPS == 0 else rows


@njit(nogil=True)
def by_unit(codes: NDArray[np.uint8], group: int, packed: NDArray[np.int32], products: NDArray[np.int32]) -> int:
    """Fill products int32[q, 64] like `instructions.by_instruction`, but only those of the first queries.

    Returns:
        Of how many: a multiple of 16; 0 where the rows are no whole tiles deep.
    """
    if codes.shape[1] % STEPS != 0:
        return 0
    _begin(_SHAPES)
    query = 0
    while query + 2 * LINES <= packed.shape[0]:
        _two_by_two(codes, group, packed, query, products)
        _two_by_two(codes, group + 2, packed, query, products)
        query += 2 * LINES
    if query + LINES <= packed.shape[0]:
        _one_by_four(codes, group, packed, query, products)
        query += LINES
    _end()
    return query
