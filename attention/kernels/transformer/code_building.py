"""Building blocks of emitted code: pointers into arrays, loops over vectors of 16, stores of packed numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.parameters import FLOAT32, THREE


@dataclass(frozen=True)
class Strided:
    """A matrix in LLVM code that is being built, given by a pointer and strides.

    Attributes:
        start: a pointer to the first element.
        stride: elements from one line to the next.
        behind: elements from the matrix's first part to its second, if each number is split into two; else None.
    """

    start: Any
    stride: Any
    behind: Any = None

    def line(self, builder: Any, number: int, column: int = 0) -> Any:
        """Return a pointer to the element in line `number` and this column.

        Both are Python numbers, known while the code is built.
        """
        return builder.gep(self.start, [builder.add(builder.mul(self.stride, LONG(number)), LONG(column))])

    def second(self, builder: Any) -> Strided:
        """Return the matrix of the second parts, if each number is split into two.

        It has the shape of the first.
        """
        return Strided(builder.gep(self.start, [self.behind]), self.stride)


LONG, REAL = ir.IntType(64), ir.FloatType()
REAL_PLACE, WORD_PLACE = REAL.as_pointer(), ir.IntType(32).as_pointer()
_HALVES = ir.VectorType(ir.IntType(16), LANES)
INTEGER, _FIRST = types.int64, LONG(0)


def stride_of(builder: Any, array: Any) -> Any:
    """Emit code for the length of a contiguous array's last axis."""
    return builder.extract_value(array.shape, array.shape.type.count - 1)


def pointer_to(builder: Any, array: Any, line: Any, column: Any = _FIRST) -> Any:
    """Emit code for a pointer to an element of a contiguous array.

    `line` counts the lines of all leading axes, and `column` the elements of the last axis.
    """
    return builder.gep(array.data, [builder.add(builder.mul(line, stride_of(builder, array)), column)])


def second_part(builder: Any, words: Any) -> Any:
    """Emit code for the distance, in elements, from the first part of uint32[parts, lines, words] to the second."""
    _, lines, width = cgutils.unpack_tuple(builder, words.shape)
    return builder.mul(lines, width)


def lanes_at(builder: Any, start: Any, offset: Any) -> Lanes:
    """Emit a load of 16 float32, from `offset` elements after the pointer `start` on."""
    return Lanes.load(builder, REALS, builder.gep(start, [offset]))


def loop_by_16(builder: Any, count: Any) -> Any:
    """Return a context manager that builds a loop over `count` numbers, 16 at a time.

    Code built in the `with` block is the body of the loop.
    """
    return cgutils.for_range_slice(builder, LONG(0), count, LONG(LANES))


def store_packed(builder: Any, way: Any, x: Lanes, line: Any, column: Any, behind: Any) -> None:
    """Emit a store of 16 float32, packed as `way` says, from number `column` of a line on.

    Packed numbers are one float32 to a word, or two bfloat16.

    Args:
        builder: the LLVM builder.
        way: one of FLOAT32, BFLOAT16, TILES and THREE, known at run time only; see `parameters`.
        x: float32[16].
        line: a pointer to the line's first word.
        column: a multiple of 16.
        behind: elements from the line to the line of the second parts, which THREE stores too.
    """
    whole = builder.icmp_signed("==", way, LONG(FLOAT32))
    with builder.if_else(whole) as (one, two):
        with one:
            x.bits().store(builder.gep(line, [column]))
        with two:
            near = _nearest(x)
            pointer = builder.gep(line, [builder.lshr(column, LONG(1))])
            _halves(near).store(pointer)
            with builder.if_then(builder.icmp_signed("==", way, LONG(THREE))):
                _halves(_nearest(x - near.from_bits())).store(builder.gep(pointer, [behind]))


def _nearest(x: Lanes) -> Lanes:
    """Round float32[16] to bfloat16, ties to even, and return the bits as those of float32."""
    bits = x.bits()
    one = Lanes(x.builder, ir.Constant(WORDS, [1] * LANES))
    upper = Lanes(x.builder, ir.Constant(WORDS, [-65536] * LANES))
    return (bits + ((bits >> 16) & one) + 0x7FFF) & upper


def _halves(bits: Lanes) -> Lanes:
    return (bits >> 16).to_integers(_HALVES)
