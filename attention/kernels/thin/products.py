"""Products of thin codes, 64 rows with one query: by the processor's own instruction, or plainly.

A code's fields are unsigned: 0 to 3 of 2 bits, 0 to 15 of 4. Products are stored twice as large as they are, for the
codes that are meant are the odd numbers 2·field − 3 and 2·field − 15; a caller takes the rest off.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import I32, Bytes
from attention.kernels.cpu import arrays, prefetch
from attention.kernels.dot.vnni import add_products, has_vnni
from attention.kernels.layout import DEEP, FIELDS, LANES, PANEL
from attention.kernels.simd import WORDS, Lanes

GROUPS = PANEL // LANES
PLANES = 2
"""Bytes of a query's code, the first one counting 256 times."""

UPPER_PAIRS = int.from_bytes(bytes([0xCC] * 4), "little", signed=True)
"""The upper two of every four bits."""

_LONG = ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), 64)


def _everywhere(byte: int) -> int:
    return int.from_bytes(bytes([byte] * 4), "little", signed=True)


def two_bits(high: Lanes) -> list[tuple[Lanes, int, int]]:
    """(bytes, which field, whether they count 16 times) of the four fields of 2 bits in each byte."""
    shifted = high >> 2
    lower, upper = _everywhere(0x03), _everywhere(0x30)
    words = ((high, lower, 0, 0), (high, upper, 2, 1), (shifted, lower, 1, 0), (shifted, upper, 3, 1))
    return [(word & word._like(mask), field, heavy) for word, mask, field, heavy in words]


def four_bits(high: Lanes, low: Lanes) -> list[tuple[Lanes, int, int]]:
    """The same of fields of 4 bits, of which the upper two lie in one plane and the lower two in another."""
    mask = high._like(UPPER_PAIRS)
    others = high._like(~UPPER_PAIRS)
    # Fields 0 and 2, then 1 and 3, as the lower and the upper half of every byte.
    even = ((high << 2) & mask) | (low & others)
    odd = (high & mask) | ((low >> 2) & others)
    lower, upper = high._like(_everywhere(0x0F)), high._like(_everywhere(0xF0))
    return [(even & lower, 0, 0), (even & upper, 2, 1), (odd & lower, 1, 0), (odd & upper, 3, 1)]


Sums = dict[tuple[int, int, int], Any]
"""Of a group of 16 rows, a query's plane, and whether it counts 16 times: int32[16 rows] in a register."""


def _asked(builder: Any, factors: list[Any], step: Any) -> list[list[Any]]:
    """Four words of each of a query's planes, every one in all 16 places of a register."""
    asked = []
    for plane in factors:
        at = builder.gep(plane, [builder.mul(step, _LONG(FIELDS))])
        words = [builder.load(builder.gep(at, [_LONG(field)])) for field in range(FIELDS)]
        asked.append([builder.bitcast(Lanes.everywhere(builder, word).value, _BYTES) for word in words])
    return asked


def _added(builder: Any, planes: list[Any], quads: Any, step: Any, asked: list[list[Any]], totals: Sums) -> Sums:
    """The sums with one quad more of 64 rows; what stands at its place in the 64 behind them is fetched."""
    sums, behind = dict(totals), builder.mul(quads, _LONG(GROUPS))
    for part in range(GROUPS):
        here = builder.add(step, builder.mul(quads, _LONG(part)))
        loaded = [Lanes.load(builder, WORDS, builder.gep(plane, [here])) for plane in planes]
        for plane in planes:
            prefetch(builder, builder.gep(plane, [builder.add(here, behind)]))
        cut = four_bits(*loaded) if len(loaded) == PLANES else two_bits(*loaded)
        for rows, field, heavy in cut:
            codes = builder.bitcast(rows.value, _BYTES)
            for plane, words in enumerate(asked):
                into = part, plane, heavy
                sums[into] = add_products(builder, sums[into], codes, words[field])
    return sums


def _store(builder: Any, sums: Sums, products: Any) -> None:
    """Write twice of what both sums of a group and a plane come to."""
    for part in range(GROUPS):
        for plane in range(PLANES):
            once, heavy_sum = (Lanes(builder, sums[part, plane, heavy]) for heavy in range(2))
            total = (once + (heavy_sum >> 4)) << 1
            builder.store(total.value, builder.gep(products, [_LONG(plane * GROUPS + part)]), align=4)


def _block(bits: int) -> Callable[..., None]:
    """The intrinsic that fills int32[2, 64] with twice the products of 64 rows with a query's two planes.

    Its loop goes over quads of words; all sums stay in registers. The 64 rows behind these are fetched into the cache
    meanwhile, for that is where a scan goes next.
    """
    # Registers of 64 bytes: for each of 4 groups of rows and 2 planes two sums, int32[16 rows], of which one counts 16
    # times: 16 of 32. The rest hold what a quad's bytes are cut into, uint8[16 rows, 4 components], and query words.

    @intrinsic
    def block(typing_context: Any, high: Any, low: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, _, group, _, query, _ = arguments
            high, low, packed, products = arrays(context, builder, signature, arguments, 0, 1, 3, 5)
            quads = cgutils.unpack_tuple(builder, high.shape)[1]
            words = builder.mul(quads, _LONG(FIELDS))
            first = builder.mul(group, quads)
            planes = [
                builder.gep(builder.bitcast(plane.data, WORDS.as_pointer()), [first])
                for plane in ((high, low) if bits == 4 else (high,))
            ]
            factors = [
                builder.gep(packed.data, [builder.mul(builder.add(query, _LONG(plane)), words)])
                for plane in range(PLANES)
            ]
            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_LONG)
            totals = {place: builder.phi(WORDS) for place in product(range(GROUPS), range(PLANES), range(2))}
            sums = _added(builder, planes, quads, step, _asked(builder, factors, step), totals)
            following = builder.add(step, _LONG(1))
            step.add_incoming(_LONG(0), before)
            step.add_incoming(following, loop)
            for place, total in totals.items():
                total.add_incoming(ir.Constant(WORDS, [0] * LANES), before)
                total.add_incoming(sums[place], loop)
            builder.cbranch(builder.icmp_signed("<", following, quads), loop, after)
            builder.position_at_end(after)
            _store(builder, sums, builder.bitcast(products.data, WORDS.as_pointer()))
            return context.get_dummy_value()

        return types.void(high, low, types.int64, packed, types.int64, products), build

    return block


_of_two, _of_four = _block(2), _block(4)


@njit(nogil=True, inline="always")
def by_vnni(high: Bytes, low: Bytes, group: int, packed: I32, query: int, products: I32) -> None:
    """Fill products int32[2, 64] with twice those of 64 rows from `group` on and two planes of a query.

    Args:
        high, low: uint8[groups, quads, 16, 4], contiguous; low of no groups where 2 bits are to be read.
        packed: int32[≥ 2·q, 4·quads].
        query: where its first plane stands.
    """
    if low.shape[0]:
        _of_four(high, low, group, packed, query, products)
    else:
        _of_two(high, low, group, packed, query, products)


@njit(nogil=True)
def by_loop(high: Bytes, low: Bytes, group: int, packed: I32, query: int, products: I32) -> None:
    """The same without the instruction."""
    factors = packed.view(np.int8)
    products[:] = 0
    fine = low.shape[0] > 0
    for part in range(GROUPS):
        for quad in range(high.shape[1]):
            for lane in range(LANES):
                for at in range(DEEP):
                    upper = int32(high[group + part, quad, lane, at])
                    lower = int32(low[group + part, quad, lane, at]) if fine else int32(0)
                    for field in range(FIELDS):
                        number = (upper >> (2 * field)) & int32(3)
                        if fine:
                            number = 4 * number + ((lower >> (2 * field)) & int32(3))
                        place = DEEP * (FIELDS * quad + field) + at
                        for plane in range(PLANES):
                            products[plane, part * LANES + lane] += int32(
                                2 * number * int32(factors[query + plane, place])
                            )


thin_products = by_vnni if has_vnni() else by_loop
