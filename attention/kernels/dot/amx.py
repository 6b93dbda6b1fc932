"""Products of bytes, 16 rows with 16 queries, by the matrix unit that some x86 processors have (AMX).

As it happens, 16 rows side by side, 64 components deep, lie just as one of its factors has to (TDPBSUD); the other one
is 16 queries, 64 components of each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import I32, Bytes
from attention.kernels.cpu import arrays, compiles_for, prefetch
from attention.kernels.layout import LANES, PANEL
from attention.kernels.tiles import (
    BYTE,
    LONG,
    PLACE,
    SHAPES,
    TILE_BYTES,
    TILE_ROWS,
    TILE_WORDS,
    allowed,
    begin,
    end,
    instruction,
)

FEW = 4
"""Up to so many queries are multiplied as quickly without the unit."""


def has_amx() -> bool:
    """Whether numba compiles for a processor that has the unit."""
    return compiles_for("amx-tile", "amx-int8")


@cache
def amx_usable() -> bool:
    """Whether it does and the system lets it be used."""
    return has_amx() and allowed()


def _block(sixteens: int, groups: int) -> Callable[..., None]:
    """The intrinsic for so many times 16 queries and so many groups of 16 rows, four tiles of sums in all.

    Its loop goes over the words, 16 of four components at a time. The 64 rows behind these are fetched into the cache
    meanwhile.
    """
    # Registers: tmm0 to tmm3 hold sums, int32[16 queries, 16 rows] each; from tmm4 on stand `sixteens` tiles of
    # queries, int8[16 queries, 64]; what is left takes keys in turn, uint8[16 words, 16 rows · 4]. tdpbsud adds to each
    # sum the products of 16 words of four components, signed by unsigned.
    sums = [[query * groups + group for group in range(groups)] for query in range(sixteens)]
    factors = [4 + query for query in range(sixteens)]
    spare = 4 - sixteens

    @intrinsic
    def block(typing_context: Any, codes: Any, group: Any, packed: Any, query: Any, products: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, first_group, _, first_query, _ = arguments
            codes, packed, products = arrays(context, builder, signature, arguments, 0, 2, 4)
            words = cgutils.unpack_tuple(builder, codes.shape)[1]
            line = builder.mul(words, LONG(4))
            rows = builder.gep(
                builder.bitcast(codes.data, PLACE), [builder.mul(first_group, builder.mul(words, LONG(TILE_BYTES)))]
            )
            queries = builder.gep(builder.bitcast(packed.data, PLACE), [builder.mul(first_query, line)])
            clear = instruction(builder, "tilezero", BYTE)
            load = instruction(builder, "tileloadd64", BYTE, PLACE, LONG)
            store = instruction(builder, "tilestored64", BYTE, PLACE, LONG)
            multiply = instruction(builder, "tdpbsud", BYTE, BYTE, BYTE)
            for tile in (tile for tiles in sums for tile in tiles):
                clear(BYTE(tile))
            with cgutils.for_range_slice(builder, LONG(0), words, LONG(TILE_WORDS)) as (step, _):
                for query in range(sixteens):
                    at = builder.add(builder.mul(line, LONG(TILE_ROWS * query)), builder.mul(step, LONG(4)))
                    load(BYTE(factors[query]), builder.gep(queries, [at]), line)
                for group in range(groups):
                    at = builder.mul(builder.add(step, builder.mul(words, LONG(group))), LONG(TILE_BYTES))
                    behind = builder.add(at, builder.mul(words, LONG(TILE_BYTES * PANEL // LANES)))
                    keys = BYTE(4 + sixteens + group % spare)
                    load(keys, builder.gep(rows, [at]), LONG(TILE_BYTES))
                    for number in range(TILE_ROWS):
                        prefetch(builder, builder.gep(rows, [builder.add(behind, LONG(TILE_BYTES * number))]))
                    for query in range(sixteens):
                        multiply(BYTE(sums[query][group]), BYTE(factors[query]), keys)
            column = builder.mul(builder.and_(first_group, LONG(PANEL // LANES - 1)), LONG(TILE_BYTES))
            for query in range(sixteens):
                for group in range(groups):
                    start = builder.mul(builder.add(first_query, LONG(TILE_ROWS * query)), LONG(4 * PANEL))
                    at = builder.add(start, builder.add(column, LONG(TILE_BYTES * group)))
                    store(
                        BYTE(sums[query][group]),
                        builder.gep(builder.bitcast(products.data, PLACE), [at]),
                        LONG(4 * PANEL),
                    )
            return context.get_dummy_value()

        return types.void(codes, types.int64, packed, types.int64, products), build

    return block


_two_by_two, _one_by_four = _block(2, 2), _block(1, 4)


@njit(nogil=True)
def padded(rows: int, words: int, amx: bool) -> int:
    """How many rows of packed queries are as quick as so many: whole sixteens where the unit takes them."""
    return -(-rows // TILE_ROWS) * TILE_ROWS if amx and rows > FEW and words % TILE_WORDS == 0 else rows


@njit(nogil=True)
def by_amx(codes: Bytes, group: int, packed: I32, products: I32) -> int:
    """Fill products int32[q, 64] like `vnni.by_vnni`, but only those of the first queries.

    Returns:
        Of how many: a multiple of 16; 0 where the rows are no whole tiles deep.
    """
    if codes.shape[1] % TILE_WORDS != 0:
        return 0
    begin(SHAPES)
    query = 0
    while query + 2 * TILE_ROWS <= packed.shape[0]:
        _two_by_two(codes, group, packed, query, products)
        _two_by_two(codes, group + 2, packed, query, products)
        query += 2 * TILE_ROWS
    if query + TILE_ROWS <= packed.shape[0]:
        _one_by_four(codes, group, packed, query, products)
        query += TILE_ROWS
    end()
    return query
