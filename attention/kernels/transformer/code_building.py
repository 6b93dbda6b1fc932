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
    """A matrix in code being built, given by a pointer and strides.

    Attributes:
        start: a pointer to the first element.
        stride: elements from one line to the next.
        behind: elements from the first part to the second; None if there is one part.
    """

    start: Any
    stride: Any
    behind: Any = None

    def line(self, builder: Any, number: int, column: int = 0) -> Any:
        """Return a pointer to an element.

        Its line and column are numbers that are known while the code is built.
        """
        return builder.gep(self.start, [builder.add(builder.mul(self.stride, LONG(number)), LONG(column))])

    def second(self, builder: Any) -> Strided:
        """Return the second part of the matrix.

        If numbers are split into two parts, each part has the same shape.
        """
        return Strided(builder.gep(self.start, [self.behind]), self.stride)


LONG, REAL = ir.IntType(64), ir.FloatType()
REAL_PLACE, WORD_PLACE = REAL.as_pointer(), ir.IntType(32).as_pointer()
_HALVES = ir.VectorType(ir.IntType(16), LANES)
INTEGER, _FIRST = types.int64, LONG(0)


def stride_of(builder: Any, array: Any) -> Any:
    """Return the length of a contiguous array's last axis."""
    return builder.extract_value(array.shape, array.shape.type.count - 1)


def pointer_to(builder: Any, array: Any, line: Any, column: Any = _FIRST) -> Any:
    """Return a pointer to an element; `line` counts the lines of all leading axes."""
    return builder.gep(array.data, [builder.add(builder.mul(line, stride_of(builder, array)), column)])


def second_part(builder: Any, words: Any) -> Any:
    """Return the distance, in elements, from the first part of uint32[parts, lines, words] to the second."""
    _, lines, width = cgutils.unpack_tuple(builder, words.shape)
    return builder.mul(lines, width)


def lanes_at(builder: Any, start: Any, offset: Any) -> Lanes:
    """Load 16 float32 numbers from an offset on."""
    return Lanes.load(builder, REALS, builder.gep(start, [offset]))


def sixteens(builder: Any, count: Any) -> Any:
    """Begin a loop over `count` numbers, 16 at a time."""
    return cgutils.for_range_slice(builder, LONG(0), count, LONG(LANES))


def put(builder: Any, way: Any, x: Lanes, line: Any, column: Any, behind: Any) -> None:
    """Store 16 numbers, packed, from number `column` of a line on.

    Store their second part too, if the way of packing has two.
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
                _halves(_nearest(x - near.of_bits())).store(builder.gep(pointer, [behind]))


def _nearest(x: Lanes) -> Lanes:
    """Round float32 to bfloat16, ties to even, and return the bits as float32 bits."""
    bits = x.bits()
    one = Lanes(x.builder, ir.Constant(WORDS, [1] * LANES))
    upper = Lanes(x.builder, ir.Constant(WORDS, [-65536] * LANES))
    return (bits + ((bits >> 16) & one) + 0x7FFF) & upper


def _halves(bits: Lanes) -> Lanes:
    return (bits >> 16).whole(_HALVES)
