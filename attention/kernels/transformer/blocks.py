"""Sums of products of a few rows with the 32 columns of a panel, held in registers until a column's depth is done.

Each sum is added in the order of the words, by itself: it does not depend on how many rows are multiplied at a time,
and so not on a text's neighbours.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from attention.dtypes import F32
from attention.kernels.cpu import arrays, called, compiles_for
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, PANEL, Words

_LONG = ir.IntType(64)
_SIXTEENS = PANEL // LANES

ROWS = 12 if compiles_for("avx512f") else 3
"""As many as there are registers for: 12 rows by two times 16 columns of 32; of AVX2's 16 registers of 8, 3 by 4."""


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


def _fused(builder: Any, row: Any, column: Any, total: Any) -> Any:
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
    total = _fused(builder, builder.shl(row, half), builder.shl(column, half), total)
    return _fused(builder, builder.and_(row, upper), builder.and_(column, upper), total)


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
    words: Any,
    c: Any,
    line: Any,
    column: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        way, rows, _, row, word, _, start, stride, words, _, line, column = arguments
        a, b, c = arrays(context, builder, signature, arguments, 2, 5, 9)
        a_stride, c_stride = (builder.extract_value(array.shape, array.shape.type.count - 1) for array in (a, c))
        first = builder.gep(a.data, [builder.add(builder.mul(row, a_stride), word)])
        panel = builder.gep(b.data, [start])
        into = builder.gep(c.data, [builder.add(builder.mul(line, c_stride), column)])
        words_, reals = ir.IntType(32).as_pointer(), ir.FloatType().as_pointer()
        kinds = [_LONG, _LONG, words_, _LONG, words_, _LONG, _LONG, reals, _LONG]
        block = called(builder.module, "softkv_block", kinds, _by_way)
        builder.call(block, [way, rows, first, a_stride, panel, stride, words, into, c_stride])
        return context.get_dummy_value()

    integers = types.int64
    kinds = (integers, integers, a, integers, integers, b, *[integers] * 3, c, integers, integers)
    return types.void(*kinds), build


def _by_way(
    builder: Any,
    way: Any,
    rows: Any,
    a: Any,
    a_stride: Any,
    b: Any,
    b_stride: Any,
    words: Any,
    c: Any,
    c_stride: Any,
) -> None:
    """Code for each way and number of rows."""
    end = builder.append_basic_block("end")
    for multiply_add, mine in ((_fused, FLOAT32), (fused_pairs, BFLOAT16)):
        this, other = builder.append_basic_block("this"), builder.append_basic_block("other")
        builder.cbranch(builder.icmp_signed("==", way, _LONG(mine)), this, other)
        builder.position_at_end(this)
        choice = builder.switch(rows, end)
        for count in range(1, ROWS + 1):
            case = builder.append_basic_block(f"rows_{count}")
            choice.add_case(_LONG(count), case)
            builder.position_at_end(case)
            _rows_by_panel(builder, multiply_add, count, (a, a_stride), (b, b_stride), words, (c, c_stride))
            builder.branch(end)
        builder.position_at_end(other)
    builder.branch(end)
    builder.position_at_end(end)


def _rows_by_panel(builder: Any, multiply_add: Any, count: int, a: Any, b: Any, words: Any, c: Any) -> None:
    """Code for so many rows: the loop over words, then the sums' way to memory. Pairs are a pointer and a stride."""
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    zero = ir.Constant(REALS, [0.0] * LANES)
    rows = [builder.gep(a[0], [builder.mul(a[1], _LONG(number))]) for number in range(count)]
    builder.branch(loop)
    builder.position_at_end(loop)
    step, panel = builder.phi(_LONG), builder.phi(b[0].type)
    totals = [[builder.phi(REALS) for _ in range(_SIXTEENS)] for _ in range(count)]
    columns = [Lanes.load(builder, WORDS, builder.gep(panel, [_LONG(LANES * side)])).value for side in range(_SIXTEENS)]
    sums = []
    for row, total in zip(rows, totals, strict=True):
        factor = Lanes.everywhere(builder, builder.load(builder.gep(row, [step]))).value
        sums.append([multiply_add(builder, factor, column, one) for column, one in zip(columns, total, strict=True)])
    following = builder.add(step, _LONG(1))
    for phi, initial, later in (
        (step, _LONG(0), following),
        (panel, b[0], builder.gep(panel, [b[1]])),
        *(
            (one, zero, new)
            for total, news in zip(totals, sums, strict=True)
            for one, new in zip(total, news, strict=True)
        ),
    ):
        phi.add_incoming(initial, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
    builder.position_at_end(after)
    for number, line in enumerate(sums):
        into = builder.gep(c[0], [builder.mul(c[1], _LONG(number))])
        for side, one in enumerate(line):
            Lanes(builder, one).store(builder.gep(into, [_LONG(LANES * side)]))


@njit(nogil=True, inline="always")
def multiply_lanes(
    way: int,
    rows: int,
    a: Words,
    row: int,
    word: int,
    b: Words,
    start: int,
    stride: int,
    words: int,
    c: F32,
    column: int,
) -> None:
    """c[: rows, column : column + 32] = a[row : row + rows, word : word + words] · b.

    Args:
        way: FLOAT32 or BFLOAT16.
        rows: how many, at least 1.
        a: uint32[parts, n, words], rows.
        row, word: where they begin.
        b: uint32[…], 32 words from each `stride`-th on, the first at `start`.
        words: how many, at least 1.
        c: float32[≥ rows, m]
    """
    line = 0
    while line < rows:
        # As like each other as can be: 13 rows are 7 and 6, for a panel is read once for each.
        left = rows - line
        count = -(-left // -(-left // ROWS))
        _block(way, count, a, row + line, word, b, start, stride, words, c, line, column)
        line += count
