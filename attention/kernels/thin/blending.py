"""Sums of thin codes over 64 rows by whole levels of weight: by the processor's own instruction, or plainly.

Codes lie as products want them, 16 rows side by side and four components of each together. A sum over rows wants four
rows together: so the bytes of four groups of rows are turned as they are read, in registers. The sums of a component
are then in four of 16 lanes, which whoever takes them adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import float64, int32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import F64, I32, Bytes
from attention.kernels.cpu import arrays
from attention.kernels.dot.vnni import add_products, has_vnni
from attention.kernels.layout import DEEP, FIELDS, LANES, PANEL
from attention.kernels.simd import DOUBLES, WORDS, Lanes
from attention.kernels.thin.products import GROUPS, four_bits, two_bits

HEAVY = 16
"""Times that the sums of every second two fields of a byte are as large as they should be."""

_LONG = ir.IntType(64)
_BYTES, _PAIRS = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(16), 32)


def _woven(builder: Any, one: Any, other: Any, *, upper: bool) -> Any:
    """Elements of two vectors in turns, of the lower or the upper half of each 16 bytes of theirs."""
    count = one.type.count
    part = count // 4
    first = part // 2 * upper
    order = [
        start + first + at + count * which
        for start in range(0, count, part)
        for at in range(part // 2)
        for which in (0, 1)
    ]
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), count), order))


def _turned(builder: Any, groups: Sequence[Any]) -> list[Lanes]:
    """Of four groups uint8[16 rows, 4 components], four words[4 rows, 4 components] of a byte a group.

    The i-th has rows i, 4 + i, 8 + i and 12 + i of every group.
    """
    found: list[Lanes] = []
    for upper in (False, True):
        pairs = [builder.bitcast(_woven(builder, groups[at], groups[at + 1], upper=upper), _PAIRS) for at in (0, 2)]
        halves = [_woven(builder, *pairs, upper=half) for half in (False, True)]
        found += [Lanes(builder, builder.bitcast(half, WORDS)) for half in halves]
    return found


def _block(bits: int) -> Callable[..., None]:
    """The intrinsic that adds level·field of 64 rows to int32[quads, 4 fields, 16 lanes]."""
    # Registers of 64 bytes: four of levels, a row's in all four bytes of a word; for each quad the bytes of four groups
    # of rows, turned; and four sums, which are read and written once a quad.

    @intrinsic
    def block(typing_context: Any, high: Any, low: Any, group: Any, levels: Any, at: Any, sums: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, _, group, _, at, _ = arguments
            high, low, levels, sums = arrays(context, builder, signature, arguments, 0, 1, 3, 5)
            quads = cgutils.unpack_tuple(builder, high.shape)[1]
            first = builder.mul(group, quads)
            planes = [
                builder.gep(builder.bitcast(plane.data, WORDS.as_pointer()), [first])
                for plane in ((high, low) if bits == 4 else (high,))
            ]
            words = Lanes.load(builder, WORDS, builder.gep(levels.data, [at])).value
            weights = []
            for row in range(DEEP):
                order = [DEEP * (lane // DEEP) + row for lane in range(LANES)]
                spread = builder.shuffle_vector(words, words, ir.Constant(WORDS, order))
                weights.append(builder.bitcast(spread, _BYTES))
            with cgutils.for_range(builder, quads, intp=_LONG) as loop:
                turned = []
                for plane in planes:
                    parts = [builder.add(loop.index, builder.mul(quads, _LONG(part))) for part in range(GROUPS)]
                    loaded = [Lanes.load(builder, _BYTES, builder.gep(plane, [part])).value for part in parts]
                    turned.append(_turned(builder, loaded))
                numbers = [builder.add(builder.mul(loop.index, _LONG(FIELDS)), _LONG(field)) for field in range(FIELDS)]
                into = [builder.gep(sums.data, [builder.mul(number, _LONG(LANES))]) for number in numbers]
                totals = [Lanes.load(builder, WORDS, place).value for place in into]
                for row in range(DEEP):
                    cut = four_bits(turned[0][row], turned[1][row]) if bits == 4 else two_bits(turned[0][row])
                    for fields, field, _ in cut:
                        codes = builder.bitcast(fields.value, _BYTES)
                        totals[field] = add_products(builder, totals[field], codes, weights[row])
                for place, total in zip(into, totals, strict=True):
                    Lanes(builder, total).store(place)
            return context.get_dummy_value()

        return types.void(high, low, types.int64, levels, types.int64, sums), build

    return block


_of_two, _of_four = _block(2), _block(4)


@njit(nogil=True, inline="always")
def by_vnni(high: Bytes, low: Bytes, group: int, levels: I32, at: int, sums: I32) -> None:
    """Add level·field of 64 rows from `group` on to what `sums` has of each component.

    Args:
        high, low: uint8[groups, quads, 16, 4], contiguous; low of no groups where 2 bits are to be read.
        levels: int32[m], from word `at` on those of the 64 rows, from 0 to 127: byte g of word r is of row 16·g + r.
        sums: int32[quads·4·16]; component 16·i + 4·f + b has what is in lanes b, 4 + b, 8 + b and 12 + b of field f of
            quad i; of fields 2 and 3 it is `HEAVY` times as much.
    """
    if low.shape[0]:
        _of_four(high, low, group, levels, at, sums)
    else:
        _of_two(high, low, group, levels, at, sums)


@njit(nogil=True)
def by_loop(high: Bytes, low: Bytes, group: int, levels: I32, at: int, sums: I32) -> None:
    """The same without the instruction."""
    fine = low.shape[0] > 0
    for part in range(PANEL // LANES):
        for lane in range(LANES):
            level = (levels[at + lane] >> (8 * part)) & int32(255)
            if level == 0:
                continue
            for quad in range(high.shape[1]):
                for byte in range(DEEP):
                    upper = int32(high[group + part, quad, lane, byte])
                    lower = int32(low[group + part, quad, lane, byte]) if fine else int32(0)
                    for field in range(FIELDS):
                        number = (upper >> (2 * field)) & int32(3)
                        if fine:
                            number = 4 * number + ((lower >> (2 * field)) & int32(3))
                        if field >= 2:
                            number *= HEAVY
                        sums[LANES * (FIELDS * quad + field) + byte] += level * number


add_levels = by_vnni if has_vnni() else by_loop


def _one(bits: int) -> Callable[..., None]:
    """The intrinsic that adds weight times the odd numbers of one row's code to float64[16·quads]."""
    # A quad's word of 4 bytes in 16 lanes, each shifted to its component: lane 4·f + b has field f of byte b.

    @intrinsic
    def one(typing_context: Any, high: Any, low: Any, first: Any, weight: Any, into: Any, at: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, _, first, weight, _, at = arguments
            high, low, into = arrays(context, builder, signature, arguments, 0, 1, 4)
            quads = cgutils.unpack_tuple(builder, high.shape)[1]
            shifts = Lanes(
                builder, ir.Constant(WORDS, [8 * (lane % DEEP) + 2 * (lane // DEEP) for lane in range(LANES)])
            )
            weights = Lanes.everywhere(builder, weight)
            word = ir.IntType(32).as_pointer()
            planes = [builder.bitcast(plane.data, word) for plane in ((high, low) if bits == 4 else (high,))]
            with cgutils.for_range(builder, quads, intp=_LONG) as loop:
                here = builder.add(first, builder.mul(loop.index, _LONG(LANES)))
                fields = []
                for plane in planes:
                    spread = Lanes.everywhere(builder, builder.load(builder.gep(plane, [here])))
                    shifted = Lanes(builder, builder.lshr(spread.value, shifts.value))
                    fields.append(shifted & shifted._like(3))
                number = fields[0] if bits == 2 else (fields[0] << 2) | fields[1]
                odd = (number << 1) - (2**bits - 1)
                place = builder.gep(into.data, [builder.add(at, builder.mul(loop.index, _LONG(LANES)))])
                (odd.real(DOUBLES) * weights + Lanes.load(builder, DOUBLES, place)).store(place)
            return context.get_dummy_value()

        return types.void(high, low, types.int64, types.float64, into, types.int64), build

    return one


_one_of_two, _one_of_four = _one(2), _one(4)


@njit(nogil=True, inline="always")
def add_code(high: Bytes, low: Bytes, row: int, weight: float, into: F64, at: int) -> None:
    """Add weight times the odd numbers that the code of a row means to the elements of a contiguous array from `at` on.

    Args:
        high, low: uint8[groups, quads, 16, 4], contiguous; low of no groups where 2 bits are to be read.
        into: float64, any shape; 16·quads elements are added to.
    """
    first = row // LANES * high.shape[1] * LANES + row % LANES
    if low.shape[0]:
        _one_of_four(high, low, first, float64(weight), into, at)
    else:
        _one_of_two(high, low, first, float64(weight), into, at)
