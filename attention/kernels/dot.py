"""Products of bytes, 64 rows at a time, with the processor's best dot-product instruction.

Each kind of processor has its instruction, which needs the queries packed in its own way. A register holds four
unsigned bytes of each of several rows: codes of keys or values with 128 added. `add_products` adds their products with
four numbers of a query to each row's 32-bit sum.

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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.arrays import I16, I32, Bytes
from attention.kernels.amx import TILE_ROWS, by_amx, has_amx
from attention.kernels.cpu import arrays, compiles_for, outline, prefetch
from attention.kernels.layout import DEEP, LANES, OFFSET, PANEL, pack

_WORD, _HALF, _BYTE = ir.IntType(32), ir.IntType(16), ir.IntType(8)


@dataclass(frozen=True)
class DotProduct:
    """A dot-product instruction: it adds four products of bytes to each 32-bit sum of a register.

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
        """The number by which a code, when it is multiplied, is larger than the number it stands for: 128, or 0.

        The caller subtracts its contribution from the products.
        """
        return 0 if self.signed else OFFSET

    def pack(self, codes: I16, *, fine: bool) -> I32:
        """Pack coded queries int16[q, d] for the instruction, as int32[planes·q, words].

        A word holds four components of 8 bits. If the codes have 8 bits, each query has one plane (row). If they have
        16 bits (`fine`), a query has two planes: the high bytes, then the low ones. The product with the high bytes
        then counts 256 times.
        """
        low = ((codes + OFFSET) & 255) - OFFSET
        planes = [(codes - low) >> 8, low] if fine else [codes]
        return pack(np.stack(planes, axis=1).reshape(len(planes) * len(codes), codes.shape[1]).astype(np.int8))

    def keys(self, builder: Any, codes: Any) -> Any:
        """Prepare a register of key codes uint8[rows, 4] for the instruction, once for all queries.

        Return it as the builder's value.
        """
        kind = ir.VectorType(_BYTE, 4 * self.rows)
        codes = builder.bitcast(codes, kind)
        return builder.xor(codes, ir.Constant(kind, [OFFSET] * kind.count)) if self.signed else codes

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """Emit code for the sums int32[rows] plus the products of each row's four codes with four numbers of a query.

        Args:
            builder: the LLVM builder.
            totals: int32[rows], the sums.
            keys: the result of `keys`.
            factors: `words` registers, each with one word of the query broadcast.

        Returns:
            The new sums, int32[rows], as the builder's value.
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
        """Pack coded queries int16[q, d] into int32[q, 2·words], two components to a number.

        A word is four components. They become the pairs (0, 2) and (1, 3), in the order of `keys`.
        """
        words = -(-codes.shape[1] // DEEP)
        whole = np.zeros((len(codes), words * DEEP), dtype=np.int16)
        whole[:, : codes.shape[1]] = codes
        pairs = np.ascontiguousarray(whole.reshape(-1, DEEP // 2, 2).transpose(0, 2, 1))
        return pairs.reshape(len(codes), words * DEEP).view(np.int32)

    def keys(self, builder: Any, codes: Any) -> tuple[Any, Any]:
        """Split a register of key codes uint8[rows, 4] into the pairs (0, 2) and (1, 3), each int16[rows, 2]."""
        halves = ir.VectorType(_HALF, 2 * self.rows)
        whole = builder.bitcast(codes, ir.VectorType(_WORD, self.rows))
        even = builder.bitcast(builder.and_(whole, ir.Constant(whole.type, [0x00FF00FF] * self.rows)), halves)
        return even, builder.lshr(builder.bitcast(codes, halves), ir.Constant(halves, [8] * halves.count))

    def add_products(self, builder: Any, totals: Any, keys: Any, factors: Any) -> Any:
        """Emit code for the sums int32[rows] plus the products of each row's four codes with four numbers of a query.

        `DotProduct.add_products` explains the arguments.
        """
        for codes, numbers in zip(keys, factors, strict=True):
            totals = builder.add(totals, self._multiply_pairs(builder, codes, builder.bitcast(numbers, codes.type)))
        return totals

    def _multiply_pairs(self, builder: Any, one: Any, other: Any) -> Any:
        """Emit code for the sum of the two products one·other of each row, as int32[rows].

        Both factors are int16[rows, 2].
        """
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
    """Return the fastest dot-product instruction of a processor with these features, which LLVM names."""
    return next((instruction for feature, instruction in INSTRUCTIONS.items() if feature in features), ANY)


INSTRUCTION = instruction_of(*(feature for feature in INSTRUCTIONS if compiles_for(feature)))
"""The instruction of numba's target."""


GROUPS = PANEL // LANES
_LONG, _PLACE = ir.IntType(64), _BYTE.as_pointer()
_LINE = LANES * DEEP
"""Bytes of four components of a group of 16 rows: one cache line."""


def groups_of(instruction: Instruction, queries: int) -> int:
    """Return how many groups of 16 rows are multiplied at a time with `queries` queries.

    Their sums take half of the processor's vector registers.
    """
    return max(1, min(GROUPS, instruction.registers // 2 * instruction.rows // (LANES * queries)))


def block_of(instruction: Instruction, queries: int) -> Callable[..., None]:
    """Return a function that emits the code of a block: products of some groups of 16 rows with `queries` queries.

    `groups_of` is the number of groups. The block's loop runs over the words of four components. All sums stay in
    registers, and each load of keys serves every query. The next 64 rows are prefetched, except if a block of many
    queries reads 64 rows in several passes.
    """
    registers = LANES // instruction.rows
    sums = ir.VectorType(_WORD, instruction.rows)

    def everywhere(builder: Any, number: Any) -> Any:
        lone = builder.insert_element(ir.Constant(sums, ir.Undefined), number, _WORD(0))
        return builder.shuffle_vector(lone, ir.Constant(sums, ir.Undefined), ir.Constant(sums, [0] * sums.count))

    def build(builder: Any, rows: Any, factors: Any, words: Any, products: Any) -> None:
        # rows: uint8[groups, words, 16, 4]; factors: int32[queries, words · instruction.words]; products:
        # int32[queries, 64]. Of a group's 16 rows each register of codes, and each of sums, has instruction.rows.
        groups = groups_of(instruction, queries)
        fetches_ahead = queries <= 2 or groups == GROUPS
        count = groups * registers
        line = builder.mul(words, _LONG(instruction.words))
        lines = [builder.gep(factors, [builder.mul(line, _LONG(query))]) for query in range(queries)]
        before, loop, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(_LONG)
        totals = [[builder.phi(sums) for _ in range(count)] for _ in range(queries)]
        keys = []
        for register in range(count):
            group, part = divmod(register, registers)
            start = builder.mul(builder.add(builder.mul(words, _LONG(group)), step), _LONG(_LINE))
            address = builder.gep(rows, [builder.add(start, _LONG(part * DEEP * instruction.rows))])
            loaded = builder.load(builder.bitcast(address, sums.as_pointer()), align=1)
            keys.append(instruction.keys(builder, loaded))
            if part == 0 and fetches_ahead:
                prefetch(builder, builder.gep(address, [builder.mul(words, _LONG(GROUPS * _LINE))]))
        added = []
        for query in range(queries):
            start = builder.gep(lines[query], [builder.mul(step, _LONG(instruction.words))])
            numbers = [
                everywhere(builder, builder.load(builder.gep(start, [_LONG(word)])))
                for word in range(instruction.words)
            ]
            pairs = zip(totals[query], keys, strict=True)
            added.append([instruction.add_products(builder, total, key, numbers) for total, key in pairs])
        following = builder.add(step, _LONG(1))
        step.add_incoming(_LONG(0), before)
        step.add_incoming(following, loop)
        for query in range(queries):
            for total, then in zip(totals[query], added[query], strict=True):
                total.add_incoming(ir.Constant(sums, [0] * sums.count), before)
                total.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
        builder.position_at_end(after)
        for query in range(queries):
            for register, total in enumerate(added[query]):
                address = builder.gep(products, [_LONG(PANEL * query + instruction.rows * register)])
                builder.store(total, builder.bitcast(address, sums.as_pointer()), align=4)

    return build


def _block(queries: int) -> Callable[..., None]:
    """Return an intrinsic that multiplies one block of rows with `queries` queries, by the code of `block_of`.

    An intrinsic is a function that emits instructions.
    """
    build_block = block_of(INSTRUCTION, queries)

    @intrinsic
    def block(typing_context: Any, codes: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, group, _, query, _ = arguments
            codes, packed, products = arrays(context, builder, signature, arguments, 0, 2, 4)
            words = cgutils.unpack_tuple(builder, codes.shape)[1]
            line = builder.mul(words, _LONG(INSTRUCTION.words))
            rows = builder.gep(
                builder.bitcast(codes.data, _PLACE), [builder.mul(group, builder.mul(words, _LONG(_LINE)))]
            )
            factors = builder.gep(packed.data, [builder.mul(query, line)])
            column = builder.mul(builder.and_(group, _LONG(GROUPS - 1)), _LONG(LANES))
            sums = builder.gep(products.data, [builder.add(builder.mul(query, _LONG(PANEL)), column)])
            kinds = [rows.type, factors.type, words.type, sums.type]
            function = outline(builder.module, f"softkv_products_{queries}", kinds, build_block)
            builder.call(function, [rows, factors, words, sums])
            return context.get_dummy_value()

        return types.void(codes, types.int64, packed, types.int64, products), build

    return block


_one, _two, _four = _block(1), _block(2), _block(4)
_OF_ONE, _OF_TWO, _OF_FOUR = (groups_of(INSTRUCTION, queries) for queries in (1, 2, 4))


@njit(nogil=True)
def by_instruction(codes: Bytes, group: int, packed: I32, query: int, products: I32) -> None:
    """Fill products int32[q, 64] with dot products of coded queries and 64 rows of codes, by dot-product instructions.

    Args:
        codes: uint8[groups, words, 16, 4], the rows, contiguous.
        group: the first of the rows' groups of 16, a multiple of 4.
        packed: int32[q, ≥ words], the queries, from `DotProduct.pack` or `PairsOf16Bits.pack`.
        query: the first query to multiply; products[: query] are left as they are.
        products: filled from line `query` on.
    """
    while query + 4 <= packed.shape[0]:
        for part in range(0, GROUPS, _OF_FOUR):
            _four(codes, group + part, packed, query, products)
        query += 4
    if query + 2 <= packed.shape[0]:
        for part in range(0, GROUPS, _OF_TWO):
            _two(codes, group + part, packed, query, products)
        query += 2
    if query < packed.shape[0]:
        for part in range(0, GROUPS, _OF_ONE):
            _one(codes, group + part, packed, query, products)


@njit(nogil=True, inline="always")
def _without_amx(codes: Bytes, group: int, packed: I32, products: I32, amx: bool) -> None:
    """Fill products int32[q, 64] with dot products of coded queries and 64 rows of codes, by dot-product instructions.

    The rows are those from `group` on. `by_instruction` explains the arguments. `amx` is ignored: this is the code for
    processors without AMX, the matrix unit.
    """
    by_instruction(codes, group, packed, 0, products)


@njit(nogil=True, inline="always")
def _with_amx(codes: Bytes, group: int, packed: I32, products: I32, amx: bool) -> None:
    """Fill products int32[q, 64] with dot products of coded queries and 64 rows of codes, by AMX and by instructions.

    AMX, the matrix unit, multiplies multiples of 16 queries, and dot-product instructions the rest. The rows are those
    from `group` on. `by_instruction` explains the other arguments.

    Args:
        amx: whether AMX may be used, from `amx_usable`. It is an argument because compiled code is cached.
    """
    done = by_amx(codes, group, packed, products) if amx and packed.shape[0] >= TILE_ROWS else 0
    if done < packed.shape[0]:
        by_instruction(codes, group, packed, done, products)


byte_products = _with_amx if has_amx() else _without_amx
