"""What the code of several kernels is built of: places in arrays, loops over sixteens, numbers written as words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, WORDS, Lanes
from attention.kernels.transformer.words import FLOAT32, THREE


@dataclass(frozen=True)
class Strided:
    """Lines of words or numbers in code being built.

    Attributes:
        start: a pointer to the first.
        stride: how far apart lines are.
        behind: how far behind the first part the second one is, where there is one.
    """

    start: Any
    stride: Any
    behind: Any = None

    def line(self, builder: Any, number: int, column: int = 0) -> Any:
        """The place in a line that is known while code is built."""
        return builder.gep(self.start, [builder.add(builder.mul(self.stride, LONG(number)), LONG(column))])

    def second(self, builder: Any) -> Strided:
        """The second part."""
        return Strided(builder.gep(self.start, [self.behind]), self.stride)


LONG, REAL = ir.IntType(64), ir.FloatType()
REAL_PLACE, WORD_PLACE = REAL.as_pointer(), ir.IntType(32).as_pointer()
_HALVES = ir.VectorType(ir.IntType(16), LANES)
INTEGER, _FIRST = types.int64, LONG(0)


def stride_of(builder: Any, array: Any) -> Any:
    """How far apart the lines of a contiguous array's last axis are."""
    return builder.extract_value(array.shape, array.shape.type.count - 1)


def place_of(builder: Any, array: Any, line: Any, column: Any = _FIRST) -> Any:
    """The place of a number; `line` counts all lines of the array."""
    return builder.gep(array.data, [builder.add(builder.mul(line, stride_of(builder, array)), column)])


def second_part(builder: Any, words: Any) -> Any:
    """How far behind words uint32[parts, lines, words] their second part is."""
    _, lines, width = cgutils.unpack_tuple(builder, words.shape)
    return builder.mul(lines, width)


def lanes_at(builder: Any, start: Any, at: Any) -> Lanes:
    """16 float32 from a place on."""
    return Lanes.load(builder, REALS, builder.gep(start, [at]))


def sixteens(builder: Any, count: Any) -> Any:
    """A loop over so many numbers, 16 at a time."""
    return cgutils.for_range_slice(builder, LONG(0), count, LONG(LANES))


def put(builder: Any, way: Any, x: Lanes, line: Any, column: Any, behind: Any) -> None:
    """Write 16 numbers as words of a line, from number `column` on; with a second part where there is one."""
    whole = builder.icmp_signed("==", way, LONG(FLOAT32))
    with builder.if_else(whole) as (one, two):
        with one:
            x.bits().store(builder.gep(line, [column]))
        with two:
            near = _nearest(x)
            place = builder.gep(line, [builder.lshr(column, LONG(1))])
            _halves(near).store(place)
            with builder.if_then(builder.icmp_signed("==", way, LONG(THREE))):
                _halves(_nearest(x - near.of_bits())).store(builder.gep(place, [behind]))


def _nearest(x: Lanes) -> Lanes:
    """The bits of float32 numbers that are bfloat16 ones, the nearest; of two as near the even one."""
    bits = x.bits()
    one = Lanes(x.builder, ir.Constant(WORDS, [1] * LANES))
    upper = Lanes(x.builder, ir.Constant(WORDS, [-65536] * LANES))
    return (bits + ((bits >> 16) & one) + 0x7FFF) & upper


def _halves(bits: Lanes) -> Lanes:
    return (bits >> 16).whole(_HALVES)
