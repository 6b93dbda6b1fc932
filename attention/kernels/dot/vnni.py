"""Products of bytes, 64 rows with a few queries: by the processor's own instruction, or plainly.

x86 processors with AVX-512 VNNI have `vpdpbusd`; elsewhere the compiler makes of the plain loop what it can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import I32, Bytes
from attention.kernels.cpu import arrays, compiles_for, prefetch
from attention.kernels.layout import LANES, PANEL
from attention.kernels.simd import WORDS, Lanes

GROUPS = PANEL // LANES
_LONG = ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), 64)


def has_vnni() -> bool:
    """Whether numba compiles for a processor that has the instruction."""
    return compiles_for("avx512vnni")


def add_products(builder: Any, totals: Any, codes: Any, factors: Any) -> Any:
    """vpdpbusd, in code being built: int32[16] and to each of them four neighbours' products, uint8[64] by int8[64]."""
    kind = ir.FunctionType(WORDS, [WORDS, _BYTES, _BYTES])
    multiply = builder.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.512", fnty=kind)
    return builder.call(multiply, [totals, codes, factors])


def _block(queries: int) -> Callable[..., None]:
    """The intrinsic that fills int32[queries, 64] with the products of 64 rows with so many queries.

    Its loop goes over the words of four components; all sums stay in registers, and each load of keys serves every
    query. The 64 rows behind these are fetched into the cache meanwhile, for that is where a scan goes next.
    """
    # Registers of 64 bytes: 4 sums a query, int32[16 rows] each; 4 of keys, uint8[16 rows, 4 components]; one with a
    # query's word, int8[4], in all 16 lanes. With four queries these are 21 of 32.

    @intrinsic
    def block(typing_context: Any, codes: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, group, _, query, _ = arguments
            codes, packed, products = arrays(context, builder, signature, arguments, 0, 2, 4)
            words = cgutils.unpack_tuple(builder, codes.shape)[1]
            rows = builder.gep(builder.bitcast(codes.data, _BYTES.as_pointer()), [builder.mul(group, words)])
            factors = builder.gep(packed.data, [builder.mul(query, words)])
            sums = builder.gep(builder.bitcast(products.data, WORDS.as_pointer()), [builder.mul(query, _LONG(GROUPS))])
            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_LONG)
            step.add_incoming(_LONG(0), before)
            totals = [builder.phi(WORDS) for _ in range(queries * GROUPS)]
            starts = [builder.add(step, builder.mul(words, _LONG(part))) for part in range(GROUPS)]
            keys = [builder.load(builder.gep(rows, [start]), align=1) for start in starts]
            behind = builder.mul(words, _LONG(GROUPS))
            for start in starts:
                prefetch(builder, builder.gep(rows, [builder.add(start, behind)]))
            added = []
            for one in range(queries):
                word = builder.load(builder.gep(factors, [builder.add(step, builder.mul(words, _LONG(one)))]))
                factor = builder.bitcast(Lanes.everywhere(builder, word).value, _BYTES)
                mine = totals[one * GROUPS : (one + 1) * GROUPS]
                added += [add_products(builder, total, key, factor) for total, key in zip(mine, keys, strict=True)]
            following = builder.add(step, _LONG(1))
            step.add_incoming(following, loop)
            for total, then in zip(totals, added, strict=True):
                total.add_incoming(ir.Constant(WORDS, [0] * LANES), before)
                total.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
            builder.position_at_end(after)
            for number, total in enumerate(added):
                builder.store(total, builder.gep(sums, [_LONG(number)]), align=4)
            return context.get_dummy_value()

        return types.void(codes, types.int64, packed, types.int64, products), build

    return block


_one, _two, _four = _block(1), _block(2), _block(4)


@njit(nogil=True)
def by_vnni(codes: Bytes, group: int, packed: I32, query: int, products: I32) -> None:
    """Fill products int32[q, 64], from `query` on, with those of 64 rows from `group` on and packed int32[q, words].

    Args:
        codes: uint8[groups, words, 16, 4], contiguous.
    """
    while query + 4 <= packed.shape[0]:
        _four(codes, group, packed, query, products)
        query += 4
    if query + 2 <= packed.shape[0]:
        _two(codes, group, packed, query, products)
        query += 2
    if query < packed.shape[0]:
        _one(codes, group, packed, query, products)


@njit(nogil=True)
def by_loop(codes: Bytes, group: int, packed: I32, first: int, products: I32) -> None:
    """The same without the instruction."""
    factors = packed.view(np.int8)
    products[first:] = 0
    for query in range(first, packed.shape[0]):
        for part in range(GROUPS):
            for step in range(codes.shape[1]):
                for lane in range(LANES):
                    total = int32(0)
                    for at in range(4):
                        total += int32(
                            int32(codes[group + part, step, lane, at]) * int32(factors[query, 4 * step + at])
                        )
                    products[query, part * LANES + lane] += total
