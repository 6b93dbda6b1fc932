"""Products of bytes, 64 rows at a time, with the processor's best instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import I32, Bytes
from attention.kernels.cpu import arrays, outline, prefetch
from attention.kernels.dot.amx import by_amx, has_amx
from attention.kernels.dot.instructions import INSTRUCTION, Instruction
from attention.kernels.layout import DEEP, LANES, PANEL
from attention.kernels.tiles import TILE_ROWS

GROUPS = PANEL // LANES
_LONG, _WORD, _PLACE = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
_LINE = LANES * DEEP
"""Bytes of four components of a group of 16 rows: one cache line."""


def groups_of(instruction: Instruction, queries: int) -> int:
    """Return the number of groups of 16 rows in a block, such that its sums take half of the registers."""
    return max(1, min(GROUPS, instruction.registers // 2 * instruction.rows // (LANES * queries)))


def block_of(instruction: Instruction, queries: int) -> Callable[..., None]:
    """Return a function that emits the code of a block: products of `groups_of` groups of rows with some queries.

    Its loop runs over the words of four components. All sums stay in registers, and each load of keys serves every
    query. The next 64 rows are prefetched, except if a block of many queries reads 64 rows in several passes.
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
    """Return an intrinsic (a function that emits instructions) for one block and `queries` queries.

    See `block_of`.
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
    """Fill products int32[q, 64] of the queries from `query` on with the 64 rows from `group` on.

    Args:
        codes: uint8[groups, words, 16, 4], contiguous.
        group: a multiple of 4.
        packed: int32[q, ≥ words], from `Instruction.pack`.
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
    """Fill products int32[q, 64] of all queries with the 64 rows from `group` on, by vector instructions.

    Args:
        codes, group, packed: see `by_instruction`.
        amx: whether AMX may be used, see `amx.amx_usable`. It is an argument because compiled code is cached.
    """
    by_instruction(codes, group, packed, 0, products)


@njit(nogil=True, inline="always")
def _with_amx(codes: Bytes, group: int, packed: I32, products: I32, amx: bool) -> None:
    """Fill products int32[q, 64] of all queries with the 64 rows from `group` on.

    The matrix unit (AMX) multiplies multiples of 16 queries, vector instructions the rest.
    """
    done = by_amx(codes, group, packed, products) if amx and packed.shape[0] >= TILE_ROWS else 0
    if done < packed.shape[0]:
        by_instruction(codes, group, packed, done, products)


byte_products = _with_amx if has_amx() else _without_amx
