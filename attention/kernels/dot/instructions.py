"""The dot-product instruction of each kind of processor, and how it needs the queries packed.

A register holds four unsigned bytes of each of several rows: codes of keys or values with 128 added. `add_products`
adds their products with four numbers of a query to each row's 32-bit sum.

| processor             | instruction                            | rows | bits of a query's number |
|-----------------------|----------------------------------------|------|--------------------------|
| AVX-512 VNNI          | vpdpbusd zmm                           | 16   | 8                        |
| AVX-VNNI              | vpdpbusd ymm                           | 8    | 8                        |
| AVX-512BW             | 2 vpmaddwd zmm, 2 vpaddd               | 16   | 16                       |
| AVX2                  | 2 vpmaddwd ymm, 2 vpaddd               | 8    | 16                       |
| ARM with i8mm         | usdot                                  | 4    | 8                        |
| ARM with dotprod      | eor, sdot                              | 4    | 8                        |
| any other             | multiplications of 16 bits, additions  | 4    | 16                       |

If a query's numbers have 8 bits, a 16-bit query is split into two planes of 8 bits. The products of the first plane
count 256 times. All sums are exact: they wrap around at 32 bits, and the result after subtracting the 128's
contribution fits into 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from attention.dtypes import I16, I32
from attention.kernels.cpu import compiles_for
from attention.kernels.layout import DEEP, OFFSET, pack

_WORD, _HALF, _BYTE = ir.IntType(32), ir.IntType(16), ir.IntType(8)


@dataclass(frozen=True)
class DotProduct:
    """An instruction that adds the products of four bytes at once.

    Attributes:
        name: the name shown to users.
        intrinsic: LLVM's name of the instruction.
        rows: the number of rows whose sums fit into a register.
        registers: vector registers of the processor.
        signed: whether it needs signed codes, so that 128 is subtracted before multiplying.
    """

    name: str
    intrinsic: str
    rows: int
    registers: int
    signed: bool = False

    words = 1
    """Number of int32 per four numbers of a query."""
    wide = False
    """Whether 16-bit numbers cost no more than 8-bit ones."""
    dtype = np.int8
    """The type of a query's numbers."""

    @property
    def offset(self) -> int:
        """The number added to each key's code before it is multiplied; its effect is subtracted later."""
        return 0 if self.signed else OFFSET

    def pack(self, codes: I16, *, fine: bool) -> I32:
        """Pack queries int16[q, d] into int32[planes·q, words], four components to a word.

        A query of 16 bits (`fine`) takes two planes of 8 bits, any other takes one.
        """
        low = ((codes + OFFSET) & 255) - OFFSET
        planes = [(codes - low) >> 8, low] if fine else [codes]
        return pack(np.stack(planes, axis=1).reshape(len(planes) * len(codes), codes.shape[1]).astype(np.int8))

    def keys(self, builder: Any, codes: Any) -> Any:
        """Prepare a register of key codes uint8[rows, 4], once for all queries."""
        kind = ir.VectorType(_BYTE, 4 * self.rows)
        codes = builder.bitcast(codes, kind)
        return builder.xor(codes, ir.Constant(kind, [OFFSET] * kind.count)) if self.signed else codes

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """Return the sums int32[rows] plus the products of each row's four codes with a query's four numbers.

        Args:
            builder: the LLVM builder.
            totals: int32[rows].
            keys: the result of `keys`.
            factors: `words` registers, each with one word of the query broadcast.
        """
        sums, numbers = totals.type, keys.type
        instruction = builder.module.declare_intrinsic(
            self.intrinsic, fnty=ir.FunctionType(sums, [sums, numbers, numbers])
        )
        return builder.call(instruction, [totals, keys, builder.bitcast(factors[0], numbers)])


@dataclass(frozen=True)
class PairsOf16Bits:
    """A dot-product instruction that multiplies 16-bit numbers and adds pairs of products: `vpmaddwd` on x86.

    Four bytes c0 c1 c2 c3 become two registers of 16-bit numbers: (c0, c2) by a mask, (c1, c3) by a shift. LLVM emits
    `vpmaddwd` for plain code that widens, multiplies and then adds pairs, in this order only.

    Attributes:
        name, rows, registers: see `DotProduct`.
    """

    name: str
    rows: int
    registers: int

    words = 2
    wide = True
    dtype = np.int16
    offset = OFFSET

    def pack(self, codes: I16, *, fine: bool) -> I32:
        """Pack queries int16[q, d] into int32[q, 2·words]: of every four numbers, the pairs (0, 2) and (1, 3)."""
        words = -(-codes.shape[1] // DEEP)
        whole = np.zeros((len(codes), words * DEEP), dtype=np.int16)
        whole[:, : codes.shape[1]] = codes
        pairs = np.ascontiguousarray(whole.reshape(-1, DEEP // 2, 2).transpose(0, 2, 1))
        return pairs.reshape(len(codes), words * DEEP).view(np.int32)

    def keys(self, builder: Any, codes: Any) -> tuple[Any, Any]:
        """Split the codes uint8[rows, 4] of a register into the pairs (0, 2) and (1, 3), each int16[rows, 2]."""
        halves = ir.VectorType(_HALF, 2 * self.rows)
        whole = builder.bitcast(codes, ir.VectorType(_WORD, self.rows))
        even = builder.bitcast(builder.and_(whole, ir.Constant(whole.type, [0x00FF00FF] * self.rows)), halves)
        return even, builder.lshr(builder.bitcast(codes, halves), ir.Constant(halves, [8] * halves.count))

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """Return the sums plus the products of codes and query numbers. See `DotProduct.add_products`."""
        for codes, numbers in zip(keys, factors, strict=True):
            totals = builder.add(totals, self._multiply_pairs(builder, codes, builder.bitcast(numbers, codes.type)))
        return totals

    def _multiply_pairs(self, builder: Any, one: Any, other: Any) -> Any:
        """Return int32[rows], for each row the sum of the two products of `one` and `other` int16[rows, 2]."""
        wide = ir.VectorType(_WORD, one.type.count)
        products = builder.mul(builder.sext(one, wide), builder.sext(other, wide))
        firsts, seconds = (
            builder.shuffle_vector(
                products,
                ir.Constant(wide, ir.Undefined),
                ir.Constant(ir.VectorType(_WORD, self.rows), list(range(start, wide.count, 2))),
            )
            for start in (0, 1)
        )
        return builder.add(firsts, seconds)


Instruction = DotProduct | PairsOf16Bits

INSTRUCTIONS: dict[str, Instruction] = {
    "avx512vnni": DotProduct("VNNI", "llvm.x86.avx512.vpdpbusd.512", rows=16, registers=32),
    "avxvnni": DotProduct("AVX-VNNI", "llvm.x86.avx512.vpdpbusd.256", rows=8, registers=16),
    "avx512bw": PairsOf16Bits("AVX-512", rows=16, registers=32),
    "avx2": PairsOf16Bits("AVX2", rows=8, registers=16),
    "i8mm": DotProduct("I8MM", "llvm.aarch64.neon.usdot.v4i32.v16i8", rows=4, registers=32),
    "dotprod": DotProduct("DotProd", "llvm.aarch64.neon.sdot.v4i32.v16i8", rows=4, registers=32, signed=True),
}
"""Instructions by LLVM's name of the feature, fastest first."""

ANY = PairsOf16Bits("plain", rows=4, registers=32)
"""The instruction of all other processors."""


def instruction_of(*features: str) -> Instruction:
    """Return the fastest instruction for a processor that has these features."""
    return next((instruction for feature, instruction in INSTRUCTIONS.items() if feature in features), ANY)


INSTRUCTION = instruction_of(*(feature for feature in INSTRUCTIONS if compiles_for(feature)))
"""The instruction of numba's target."""
