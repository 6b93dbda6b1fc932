"""The instruction of each kind of processor for products of bytes, and the layout of the other factor.

A register holds four bytes of each of some rows, unsigned: codes of keys or values, 128 higher. `add_products` adds to
each row's sum of 32 bits the products with four numbers of a query, the same for all rows.

| processor             | instruction                            | rows | bits of a query's number |
|-----------------------|----------------------------------------|------|--------------------------|
| AVX-512 VNNI          | vpdpbusd zmm                           | 16   | 8                        |
| AVX-VNNI              | vpdpbusd ymm                           | 8    | 8                        |
| AVX-512BW             | 2 vpmaddwd zmm, 2 vpaddd               | 16   | 16                       |
| AVX2                  | 2 vpmaddwd ymm, 2 vpaddd               | 8    | 16                       |
| ARM with i8mm         | usdot                                  | 4    | 8                        |
| ARM with dotprod      | eor, sdot                              | 4    | 8                        |
| any other             | multiplications of 16 bits, additions  | 4    | 16                       |

Where a number has 8 bits, a query of 16 is multiplied as two of 8, of which the first counts 256 times. All sums are
exact: they wrap round at 32 bits, and what is left once the 128 are taken off again fits into these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from attention.dtypes import I16, I32
from attention.kernels.cpu import compiles_for
from attention.kernels.layout import DEEP, OFFSET, packed

_WORD, _HALF, _BYTE = ir.IntType(32), ir.IntType(16), ir.IntType(8)


@dataclass(frozen=True)
class DotProduct:
    """An instruction that adds the products of four bytes at once.

    Attributes:
        name: what people call it.
        intrinsic: the compiler's name of it.
        rows: sums in a register.
        registers: how many a processor has.
        signed: whether it wants signed codes, so that 128 is taken off before it multiplies.
    """

    name: str
    intrinsic: str
    rows: int
    registers: int
    signed: bool = False

    words = 1
    """int32 to four numbers of a query."""
    wide = False
    """Whether a query's number has 16 bits at the price of 8."""
    dtype = np.int8
    """Of a query's number."""

    @property
    def offset(self) -> int:
        """What is added to each code before it is multiplied."""
        return 0 if self.signed else OFFSET

    def packed(self, codes: I16, *, fine: bool) -> I32:
        """int32[planes·q, words] of codes int16[q, d]: two planes a query if they are fine, else one."""
        low = ((codes + OFFSET) & 255) - OFFSET
        planes = [(codes - low) >> 8, low] if fine else [codes]
        return packed(np.stack(planes, axis=1).reshape(len(planes) * len(codes), -1).astype(np.int8))

    def keys(self, builder: Any, codes: Any) -> Any:
        """A register of codes uint8[rows, 4], made ready once for all queries."""
        kind = ir.VectorType(_BYTE, 4 * self.rows)
        codes = builder.bitcast(codes, kind)
        return builder.xor(codes, ir.Constant(kind, [OFFSET] * kind.count)) if self.signed else codes

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """int32[rows]: the totals, and to each the products of its row's four codes with a query's four numbers.

        Args:
            keys: from `keys`.
            factors: `words` registers, each with a word of the query's in all places.
        """
        sums, numbers = totals.type, keys.type
        instruction = builder.module.declare_intrinsic(
            self.intrinsic, fnty=ir.FunctionType(sums, [sums, numbers, numbers])
        )
        return builder.call(instruction, [totals, keys, builder.bitcast(factors[0], numbers)])


@dataclass(frozen=True)
class PairsOf16Bits:
    """Multiplications of 16-bit numbers, two of whose products are added: `vpmaddwd` on x86 processors.

    Four bytes c0 c1 c2 c3 are cut into two registers of 16-bit numbers, (c0, c2) by a mask and (c1, c3) by a shift. The
    compiler makes `vpmaddwd` of plain code that widens all, multiplies and then pairs, in this order only.

    Attributes:
        name, rows, registers: as of `DotProduct`.
    """

    name: str
    rows: int
    registers: int

    words = 2
    wide = True
    dtype = np.int16
    offset = OFFSET

    def packed(self, codes: I16, *, fine: bool) -> I32:
        """int32[q, 2·words] of codes int16[q, d]: of every four numbers the pairs (0, 2) and (1, 3)."""
        words = -(-codes.shape[1] // DEEP)
        whole = np.zeros((len(codes), words * DEEP), dtype=np.int16)
        whole[:, : codes.shape[1]] = codes
        pairs = np.ascontiguousarray(whole.reshape(-1, DEEP // 2, 2).transpose(0, 2, 1))
        return pairs.reshape(len(codes), words * DEEP).view(np.int32)

    def keys(self, builder: Any, codes: Any) -> tuple[Any, Any]:
        """int16[rows, 2] twice: of the codes uint8[rows, 4] of a register the pairs (0, 2) and (1, 3)."""
        halves = ir.VectorType(_HALF, 2 * self.rows)
        whole = builder.bitcast(codes, ir.VectorType(_WORD, self.rows))
        even = builder.bitcast(builder.and_(whole, ir.Constant(whole.type, [0x00FF00FF] * self.rows)), halves)
        return even, builder.lshr(builder.bitcast(codes, halves), ir.Constant(halves, [8] * halves.count))

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """See `DotProduct.add_products`."""
        for codes, numbers in zip(keys, factors, strict=True):
            totals = builder.add(totals, self._paired(builder, codes, builder.bitcast(numbers, codes.type)))
        return totals

    def _paired(self, builder: Any, one: Any, other: Any) -> Any:
        """int32[rows]: the sums of the products of neighbours, of int16[rows, 2] twice."""
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
"""By the compiler's names of what a processor has, the fastest first."""

ANY = PairsOf16Bits("plain", rows=4, registers=32)
"""For every other processor."""


def instruction_of(*features: str) -> Instruction:
    """Return the fastest instruction for a processor that has these features."""
    return next((instruction for feature, instruction in INSTRUCTIONS.items() if feature in features), ANY)


INSTRUCTION = instruction_of(*(feature for feature in INSTRUCTIONS if compiles_for(feature)))
"""The one that kernels are compiled with."""
