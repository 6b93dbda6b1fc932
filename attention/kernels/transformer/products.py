"""Products of rows with a panel of 32 columns, by what the processor has for numbers of a kind."""

from __future__ import annotations

from numba import njit

from attention.dtypes import F32
from attention.kernels.transformer.blocks import multiply_lanes
from attention.kernels.transformer.tile_blocks import multiply_tiles
from attention.kernels.transformer.words import TILES, Words


@njit(nogil=True, inline="always")
def multiply(
    way: int,
    rows: int,
    a: Words,
    row: int,
    word: int,
    b: Words,
    start: int,
    stride: int,
    behind: int,
    words: int,
    c: F32,
    column: int,
) -> None:
    """c[: rows, column : column + 32] = a[row : row + rows, word : word + words] · b.

    Args:
        way: one of `words`; of tiles, whole sixteens of rows are read of a, and written to c.
        rows: how many, at least 1.
        a: uint32[parts, n, words], rows.
        row, word: where they begin.
        b: uint32[…], 32 words from each `stride`-th on, the first at `start`.
        behind: how far behind it b's second part is, where there is one.
        words: how many, at least 1; of tiles a multiple of 16.
        c: float32[≥ rows, m]
    """
    if way >= TILES:
        multiply_tiles(way, rows, a, row, word, b, start, stride, behind, words, c, column)
    else:
        multiply_lanes(way, rows, a, row, word, b, start, stride, words, c, column)
