"""Products of interleaved bytes, 64 rows at a time, compiled by numba: with the processor's own instruction or plainly.

x86 processors with AVX-512 VNNI have `vpdpbusd`; elsewhere the compiler makes of the plain loop what it can.
"""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type, no-untyped-call"

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numpy.typing import NDArray

from attention.lookup.interleaved import LANES, RUN

GROUPS = RUN // LANES
_LONG, _WORD, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_FOR_READING, _TO_SECOND_LEVEL, _TO_ALL_LEVELS, _AS_DATA = _WORD(0), _WORD(2), _WORD(3), _WORD(1)
_SUMS, _BYTES = ir.VectorType(_WORD, LANES), ir.VectorType(ir.IntType(8), 64)


def has_instruction() -> bool:
    """Whether numba compiles for a processor that has the instruction."""
    return "+avx512vnni" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")


@intrinsic
def fetch(typing_context: Any, place: Any) -> Any:
    """Have the processor bring the cache line at an address (uintp), which will be read soon."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _fetch(builder, builder.inttoptr(arguments[0], _BYTE.as_pointer()), _TO_ALL_LEVELS)
        return context.get_dummy_value()

    return types.void(types.uintp), build


def _fetch(builder: Any, place: Any, level: Any) -> None:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), *[_WORD] * 3]), "llvm.prefetch.p0"
    )
    builder.call(function, [builder.bitcast(place, _BYTE.as_pointer()), _FOR_READING, level, _AS_DATA])


def _block(queries: int) -> Callable[..., None]:
    """The intrinsic that adds to int32[queries, 64] the products of 64 rows with so many queries.

    Its loop goes over the depth; all sums stay in registers, and each load of keys serves every query. The 64 rows
    behind these are fetched into the cache meanwhile, for that is where a scan goes next.
    """

    @intrinsic
    def block(typing_context: Any, rows: Any, packed: Any, sums: Any, depth: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows, packed, sums, depth = arguments
            rows = builder.inttoptr(rows, _BYTES.as_pointer())
            packed = builder.inttoptr(packed, _WORD.as_pointer())
            sums = builder.inttoptr(sums, _SUMS.as_pointer())
            multiply = builder.module.declare_intrinsic(
                "llvm.x86.avx512.vpdpbusd.512", fnty=ir.FunctionType(_SUMS, [_SUMS, _BYTES, _BYTES])
            )
            places = [builder.gep(sums, [_LONG(number)]) for number in range(queries * GROUPS)]
            opening = [builder.load(place, align=4) for place in places]
            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_LONG)
            step.add_incoming(_LONG(0), before)
            totals = [builder.phi(_SUMS) for _ in places]
            starts = [builder.add(step, builder.mul(depth, _LONG(group))) for group in range(GROUPS)]
            keys = [builder.load(builder.gep(rows, [start]), align=1) for start in starts]
            behind = builder.mul(depth, _LONG(GROUPS))
            for start in starts:
                _fetch(builder, builder.gep(rows, [builder.add(start, behind)]), _TO_SECOND_LEVEL)
            added = []
            for query in range(queries):
                word = builder.load(builder.gep(packed, [builder.add(step, builder.mul(depth, _LONG(query)))]), align=4)
                lone = builder.insert_element(ir.Constant(_SUMS, ir.Undefined), word, _WORD(0))
                everywhere = builder.shuffle_vector(
                    lone, ir.Constant(_SUMS, ir.Undefined), ir.Constant(_SUMS, [0] * LANES)
                )
                factor = builder.bitcast(everywhere, _BYTES)
                added += [
                    builder.call(multiply, [totals[query * GROUPS + group], keys[group], factor])
                    for group in range(GROUPS)
                ]
            following = builder.add(step, _LONG(1))
            step.add_incoming(following, loop)
            for total, first, then in zip(totals, opening, added, strict=True):
                total.add_incoming(first, before)
                total.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
            builder.position_at_end(after)
            for place, total in zip(places, added, strict=True):
                builder.store(total, place, align=4)
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.uintp, types.int64), build

    return block


_one, _two, _four = _block(1), _block(2), _block(4)


@njit(nogil=True)
def by_instruction(
    codes: NDArray[np.uint8], group: int, packed: NDArray[np.int32], products: NDArray[np.int32]
) -> None:
    """Add to products int32[q, 64] those of 64 rows from `group` on with packed int32[q, depth].

    Args:
        codes: uint8[groups, depth, 16, 4], contiguous.
    """
    depth = codes.shape[1]
    rows = codes.ctypes.data + np.uintp(group * depth * 64)
    factors, sums = packed.ctypes.data, products.ctypes.data
    query = 0
    while query + 4 <= packed.shape[0]:
        _four(rows, factors + np.uintp(query * depth * 4), sums + np.uintp(query * 256), depth)
        query += 4
    if query + 2 <= packed.shape[0]:
        _two(rows, factors + np.uintp(query * depth * 4), sums + np.uintp(query * 256), depth)
        query += 2
    if query < packed.shape[0]:
        _one(rows, factors + np.uintp(query * depth * 4), sums + np.uintp(query * 256), depth)


@njit(nogil=True)
def by_loop(codes: NDArray[np.uint8], group: int, packed: NDArray[np.int32], products: NDArray[np.int32]) -> None:
    """The same without the instruction."""
    factors = packed.view(np.int8)
    for query in range(packed.shape[0]):
        for part in range(GROUPS):
            for step in range(codes.shape[1]):
                for lane in range(LANES):
                    total = int32(0)
                    for at in range(4):
                        total += int32(
                            int32(codes[group + part, step, lane, at]) * int32(factors[query, 4 * step + at])
                        )
                    products[query, part * LANES + lane] += total


byte_products = by_instruction if has_instruction() else by_loop
