"""Products of bytes, 64 rows at a time, by the best that the processor has."""

from __future__ import annotations

from numba import njit

from attention.dtypes import I32, Bytes
from attention.kernels.dot.amx import by_amx, has_amx
from attention.kernels.dot.vnni import by_loop, by_vnni, has_vnni
from attention.kernels.tiles import TILE_ROWS

_few_at_a_time = by_vnni if has_vnni() else by_loop


@njit(nogil=True, inline="always")
def _without_amx(codes: Bytes, group: int, packed: I32, products: I32, amx: bool) -> None:
    """Fill products int32[q, 64] with those of 64 rows from `group` on and packed int32[q, words].

    Args:
        codes: uint8[groups, words, 16, 4], contiguous.
        group: a multiple of 4.
        amx: whether the matrix unit may be used, see `amx.amx_usable`; compiled code outlives the answer to that.
    """
    _few_at_a_time(codes, group, packed, 0, products)


@njit(nogil=True, inline="always")
def _with_amx(codes: Bytes, group: int, packed: I32, products: I32, amx: bool) -> None:
    """The same, many queries together."""
    done = by_amx(codes, group, packed, products) if amx and packed.shape[0] >= TILE_ROWS else 0
    if done < packed.shape[0]:
        _few_at_a_time(codes, group, packed, done, products)


byte_products = _with_amx if has_amx() else _without_amx
