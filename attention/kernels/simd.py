"""Vectors of 16 numbers (SIMD), for functions that emit machine instructions.

LLVM vectorises a plain loop only if it can prove that its arrays do not overlap, which it often cannot. These vectors
are explicit on every processor. If a register is narrower than 16 numbers, LLVM splits them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from attention.kernels.layout import LANES

_WORD, _REAL = ir.IntType(32), ir.FloatType()
BYTES, WORDS, REALS, DOUBLES = (ir.VectorType(kind, LANES) for kind in (ir.IntType(8), _WORD, _REAL, ir.DoubleType()))
_CONTRACTED = ("contract",)
"""LLVM may fuse a product and a sum."""


class Lanes:
    """A vector of 16 integers, floats or bools in LLVM code that is being built: each operation emits instructions.

    The other operand of an operator is a vector of the same kind, or a Python number that is broadcast.
    """

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @classmethod
    def load(cls, builder: Any, kind: Any, pointer: Any) -> Lanes:
        """Emit a load of 16 numbers from a pointer. `kind` is the LLVM type of the vector."""
        return cls(builder, builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1))

    @classmethod
    def broadcast(cls, builder: Any, number: Any) -> Lanes:
        """Return a vector with the same number in all lanes.

        The number is a value of the code being built, or a Python float, which becomes float32.
        """
        if isinstance(number, float):
            return cls(builder, ir.Constant(REALS, [number] * LANES))
        kind = ir.VectorType(number.type, LANES)
        lone = builder.insert_element(ir.Constant(kind, ir.Undefined), number, _WORD(0))
        first = ir.Constant(WORDS, [0] * LANES)
        return cls(builder, builder.shuffle_vector(lone, ir.Constant(kind, ir.Undefined), first))

    def store(self, pointer: Any) -> None:
        """Emit a store of the vector at a pointer."""
        self.builder.store(self.value, self.builder.bitcast(pointer, self.value.type.as_pointer()), align=1)

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._with(other, "add", "fadd")

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._with(other, "sub", "fsub")

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._with(other, "mul", "fmul")

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._with(other, "sdiv", "fdiv")

    def __lshift__(self, bits: int) -> Lanes:
        return self._with(bits, "shl", "")

    def __rshift__(self, bits: int) -> Lanes:
        return self._with(bits, "ashr", "")

    def __and__(self, other: Lanes) -> Lanes:
        return self._with(other, "and_", "")

    def __or__(self, other: Lanes) -> Lanes:
        return self._with(other, "or_", "")

    def __lt__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fcmp_ordered("<", self.value, self._like(other).value))

    def __gt__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fcmp_ordered(">", self.value, self._like(other).value))

    def __ge__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fcmp_ordered(">=", self.value, self._like(other).value))

    def at_most(self, other: Lanes | float) -> Lanes:
        """Return in each lane the smaller of both numbers."""
        return (self < other).choose(self, self._like(other))

    def at_least(self, other: Lanes | float) -> Lanes:
        """Return in each lane the larger of both numbers."""
        return (self > other).choose(self, self._like(other))

    def choose(self, where: Lanes, elsewhere: Lanes) -> Lanes:
        """Return `where` in the lanes that are true in this bool[16], and `elsewhere` in the others."""
        return Lanes(self.builder, self.builder.select(self.value, where.value, elsewhere.value))

    def to_floats(self, kind: Any = REALS) -> Lanes:
        """Return integers converted to floats; `kind` is the LLVM type of the result."""
        return Lanes(self.builder, self.builder.sitofp(self.value, kind))

    def to_integers(self, kind: Any) -> Lanes:
        """Return floats truncated to integers, or integers cut to a narrower type.

        `kind` is the LLVM type of the result.
        """
        make = self.builder.fptosi if self._is_real() else self.builder.trunc
        return Lanes(self.builder, make(self.value, kind))

    def round_to_nearest(self) -> Lanes:
        """Return float32[16] rounded to the nearest integers, ties to even."""
        rint = self.builder.module.declare_intrinsic("llvm.rint.v16f32", fnty=ir.FunctionType(REALS, [REALS]))
        return Lanes(self.builder, self.builder.call(rint, [self.value]))

    def bits(self) -> Lanes:
        """Return the bits of float32[16] as int32[16]."""
        return Lanes(self.builder, self.builder.bitcast(self.value, WORDS))

    def from_bits(self) -> Lanes:
        """Return the float32[16] whose bits are this int32[16]."""
        return Lanes(self.builder, self.builder.bitcast(self.value, REALS))

    def is_nonzero(self) -> Lanes:
        """Return bool[16], True in the lanes of integers that are not 0."""
        return Lanes(self.builder, self.builder.icmp_unsigned("!=", self.value, self._like(0).value))

    def any(self) -> Any:
        """Return whether any of the lanes of bool[16] is true."""
        together = self.builder.bitcast(self.value, ir.IntType(LANES))
        return self.builder.icmp_unsigned("!=", together, ir.IntType(LANES)(0))

    def sum(self) -> Any:
        """Return the sum of int32[16], or of float32[16] added in pairs."""
        if self.value.type == WORDS:
            kind = ir.FunctionType(_WORD, [WORDS])
            add = self.builder.module.declare_intrinsic("llvm.vector.reduce.add.v16i32", fnty=kind)
            return self.builder.call(add, [self.value])
        kind = ir.FunctionType(_REAL, [_REAL, REALS])
        add = self.builder.module.declare_intrinsic("llvm.vector.reduce.fadd.v16f32", fnty=kind)
        return self.builder.call(add, [_REAL(0.0), self.value], fastmath=("reassoc",))

    def largest(self) -> Any:
        """Return the maximum of float32[16]."""
        kind = ir.FunctionType(_REAL, [REALS])
        reduce = self.builder.module.declare_intrinsic("llvm.vector.reduce.fmax.v16f32", fnty=kind)
        return self.builder.call(reduce, [self.value], fastmath=("nnan",))

    def exponential(self) -> Lanes:
        """Return exp(x) for −87 ≤ x ≤ 0, with relative error 2e-7 + 2⁻²³·|x|.

        It is 2ⁿ times a polynomial, with n ≈ x/ln 2.
        """
        y = self * 1.4426950408889634
        n = y.round_to_nearest()
        f = y - n
        p = f * 1.5403530393381609e-4 + 1.3333558146428443e-3
        for coefficient in (9.618129107628477e-3, 5.550410866482158e-2, 0.2402265069591007, 0.6931471805599453, 1.0):
            p = p * f + coefficient
        # 2ⁿ by writing n into the exponent's bits.
        return p * ((n.to_integers(WORDS) + 127) << 23).from_bits()

    def _is_real(self) -> bool:
        return self.value.type in (REALS, DOUBLES)

    def _like(self, other: Lanes | float) -> Lanes:
        if isinstance(other, Lanes):
            return other
        return Lanes(self.builder, ir.Constant(self.value.type, [other] * LANES))

    def _with(self, other: Lanes | float, whole: str, real: str) -> Lanes:
        value = self._like(other).value
        if self._is_real():
            return Lanes(self.builder, getattr(self.builder, real)(self.value, value, flags=_CONTRACTED))
        return Lanes(self.builder, getattr(self.builder, whole)(self.value, value))
