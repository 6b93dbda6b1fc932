"""Sums of products of a few rows with the columns of a panel, held in registers until a column's depth is done.

Each sum is added in the order of the words, by itself: it does not depend on how many rows are multiplied at a time,
and so not on a text's neighbours.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from attention.kernels.cpu import compiles_for, prefetch
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.building import Strided
from attention.kernels.transformer.words import PANEL

_LONG = ir.IntType(64)
WIDE = compiles_for("avx512f")
"""Whether there are 32 registers of 16 numbers."""

COLUMNS = PANEL if WIDE else LANES
"""Of a panel. 16 columns of depth 384 are 24 kB, which stay in the first cache while all rows are multiplied."""

MOST = 12 if WIDE else 6
"""Rows whose sums the registers hold: 12 rows by 32 columns in 24 registers of 16, or 6 by 16 in 12 of AVX2's 16 of 8.

The rest is for the columns and for a row's number. Of each step AVX2 has 8 loads for 12 sums, and could load 12 times.
"""

_SIXTEENS = COLUMNS // LANES

AHEAD = 64
"""Words of a panel that are on their way to the second cache: by itself the processor brings them less well.

Measured: a tenth to a fifth of the time of one short text, a thirtieth of many.
"""

FEW = 4
"""Blocks of rows that take less time than the next panel takes to come from memory."""


class _BFloat16(ir.Type):  # type: ignore[misc]  # llvmlite has none, nor types of its own
    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(type(self))


_PAIRS = ir.VectorType(_BFloat16(), 2 * LANES)
MULTIPLIES_PAIRS = compiles_for("avx512bf16")
"""Whether the processor adds the products of two bfloat16 in one instruction (VDPBF16PS)."""


def fused(builder: Any, row: Any, column: Any, total: Any) -> Any:
    """float32: total + row · column, rounded once."""
    multiply = builder.module.declare_intrinsic("llvm.fma.v16f32", fnty=ir.FunctionType(REALS, [REALS] * 3))
    return builder.call(multiply, [builder.bitcast(row, REALS), builder.bitcast(column, REALS), total])


def fused_pairs(builder: Any, row: Any, column: Any, total: Any) -> Any:
    """bfloat16, two by two: both products are added to the total."""
    if MULTIPLIES_PAIRS:
        name, kind = "llvm.x86.avx512bf16.dpbf16ps.512", ir.FunctionType(REALS, [REALS, _PAIRS, _PAIRS])
        multiply = builder.module.declare_intrinsic(name, fnty=kind)
        return builder.call(multiply, [total, builder.bitcast(row, _PAIRS), builder.bitcast(column, _PAIRS)])
    half, upper = ir.Constant(WORDS, [16] * LANES), ir.Constant(WORDS, [-65536] * LANES)
    total = fused(builder, builder.shl(row, half), builder.shl(column, half), total)
    return fused(builder, builder.and_(row, upper), builder.and_(column, upper), total)


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
    """Code for so many rows, at most MOST: the loop over words, from zeros or the sums in memory, and back there.

    Args:
        multiply_add: `fused` or `fused_pairs`.
        goes_on: whether the sums begin with those of c.
        ahead: how far behind a word of the panel the one is that is brought; None for AHEAD words.
    """
    if ahead is None:
        ahead = builder.mul(b.stride, _LONG(AHEAD))
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    zero = ir.Constant(REALS, [0.0] * LANES)
    rows = [a.line(builder, number) for number in range(count)]
    places = [[c.line(builder, number, LANES * side) for side in range(_SIXTEENS)] for number in range(count)]
    initial = [
        [builder.select(goes_on, Lanes.load(builder, REALS, place).value, zero) for place in line] for line in places
    ]
    builder.branch(loop)
    builder.position_at_end(loop)
    step, panel = builder.phi(_LONG), builder.phi(b.start.type)
    totals = [[builder.phi(REALS) for _ in range(_SIXTEENS)] for _ in range(count)]
    coming = builder.gep(panel, [ahead])
    for side in range(_SIXTEENS):
        prefetch(builder, builder.gep(coming, [_LONG(LANES * side)]))
    columns = [Lanes.load(builder, WORDS, builder.gep(panel, [_LONG(LANES * side)])).value for side in range(_SIXTEENS)]
    sums = []
    for row, total in zip(rows, totals, strict=True):
        factor = Lanes.everywhere(builder, builder.load(builder.gep(row, [step]))).value
        sums.append([multiply_add(builder, factor, column, one) for column, one in zip(columns, total, strict=True)])
    following = builder.add(step, _LONG(1))
    for phi, first, later in (
        (step, _LONG(0), following),
        (panel, b.start, builder.gep(panel, [b.stride])),
        *(
            each
            for total, begun, news in zip(totals, initial, sums, strict=True)
            for each in zip(total, begun, news, strict=True)
        ),
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
    builder.position_at_end(after)
    for line, into in zip(sums, places, strict=True):
        for one, place in zip(line, into, strict=True):
            Lanes(builder, one).store(place)
