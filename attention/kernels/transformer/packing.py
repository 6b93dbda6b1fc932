"""Matrices and rows packed into words of four bytes: one float32, or two consecutive bfloat16.

A product runs over words: it multiplies two float32, or two pairs of bfloat16, and adds the result to one sum. So both
share one layout and differ only in the instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attention.dtypes import F32
from attention.shared_memory import private

Words: TypeAlias = npt.NDArray[np.uint32]

PANEL = 32
"""Columns that AMX multiplies at a time. Widths of heads and layers are multiples of it."""

FLOAT32, BFLOAT16, TILES, THREE = range(4)
"""Ways to multiply: float32; bfloat16; bfloat16 with AMX; float32 by three AMX products.

For three products a number has two parts: the nearest bfloat16, and the bfloat16 nearest to the rest. The products are
high by high, low by high and high by low.
"""


def parts(way: int) -> int:
    """Return the number of parts that this way of packing splits a number into."""
    return 2 if way == THREE else 1


def depth(numbers: int, way: int) -> int:
    """Return the number of words that hold `numbers` numbers, an even count, packed."""
    return numbers if way == FLOAT32 else numbers // 2


def zero_rows(count: int, width: int, way: int) -> Words:
    """Return rows of zeros for packed numbers, uint32[parts, count, words]."""
    room = empty_words(parts(way), count, depth(width, way))
    room[...] = 0
    return room


def empty_words(*shape: int) -> Words:
    """Return uninitialised memory uint32[shape], aligned to a cache line."""
    return private(shape, np.uint32)


def pack_panels(matrices: Sequence[F32], way: int, columns: int) -> Words:
    """Pack matrices float32[depth, n] into uint32[layers, parts, n/columns, words, columns].

    Args:
        matrices: of one shape; n is a multiple of `columns`.
        way: how numbers are packed.
        columns: columns of a panel; see `columns_of`.
    """
    numbers, width = matrices[0].shape
    packed = empty_words(len(matrices), parts(way), width // columns, depth(numbers, way), columns)
    for into, matrix in zip(packed, matrices, strict=True):
        if way == FLOAT32:
            into[0] = side_by_side(np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32)[:, None], columns)
            continue
        rest = np.asarray(matrix, dtype=np.float32)
        for part in into:
            near = bfloat16(rest)
            part[...] = side_by_side(np.stack([near[0::2], near[1::2]], axis=1).astype(np.uint32), columns)
            rest = rest - widen(near)
    return packed


def side_by_side(numbers: Words, columns: int) -> Words:
    """Interleave the bits of numbers [words, numbers per word, n] by columns, as uint32[n/columns, words, columns]."""
    shifts = np.arange(numbers.shape[1], dtype=np.uint32)[:, None] * np.uint32(16)
    whole: Words = np.bitwise_or.reduce(numbers << shifts, axis=1)
    return whole.reshape(len(whole), -1, columns).transpose(1, 0, 2)


def bfloat16(numbers: F32) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16 numbers, ties to even."""
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def widen(bits: npt.NDArray[np.uint16]) -> F32:
    """Return the float32 numbers of bfloat16 numbers that are given by their bits."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
