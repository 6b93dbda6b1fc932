"""Matrix products by vector instructions: a few rows times a panel of columns, with all sums in registers.

Each sum is added in the order of the words. It does not depend on how many rows are multiplied at a time, so a text's
vector does not depend on the texts encoded beside it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from attention.kernels.cpu import compiles_for, prefetch
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.code_building import Strided
from attention.kernels.transformer.parameters import PANEL

_LONG = ir.IntType(64)
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
    """Emit code for total + row · column in float32, rounded once."""
    multiply = builder.module.declare_intrinsic("llvm.fma.v16f32", fnty=ir.FunctionType(REALS, [REALS] * 3))
    return builder.call(multiply, [builder.bitcast(row, REALS), builder.bitcast(column, REALS), total])


def fma_pairs(builder: Any, row: Any, column: Any, total: Any) -> Any:
    """Emit code for total + the two products of pairs of bfloat16."""
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
    """Emit code that multiplies `count` rows, at most MAX_ROWS, with a panel of columns.

    Sums start at 0 or at c, and are stored in c.

    Args:
        multiply_add: `fma` or `fma_pairs`.
        goes_on: whether the sums start at c.
        ahead: elements from a word of the panel to the one that is prefetched; None for AHEAD words.
    """
    if ahead is None:
        ahead = builder.mul(b.stride, _LONG(AHEAD))
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
