"""Matrices and rows in words of four bytes: one float32, or two bfloat16 that lie one behind the other.

A product goes over words: a float32 is multiplied by a float32, or two bfloat16 by two, and both are added to one sum.
So one order of numbers serves both, and the instructions alone differ.
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
"""Widths of heads and layers are multiples of it; a matrix unit multiplies as many columns at a time."""

FLOAT32, BFLOAT16, TILES, THREE = range(4)
"""Ways to multiply: float32; bfloat16; the same by a matrix unit; float32 by three products of such a unit.

The unit's three products are of numbers in two parts, the nearest bfloat16 and the one nearest to what it leaves out:
high by high, low by high, high by low.
"""


def parts(way: int) -> int:
    """Of how many parts a number is."""
    return 2 if way == THREE else 1


def depth(numbers: int, way: int) -> int:
    """Words that so many numbers take, an even count."""
    return numbers if way == FLOAT32 else numbers // 2


def rows_of(count: int, width: int, way: int) -> Words:
    """Room for rows, zeros: uint32[parts, count, words]."""
    room = words_room(parts(way), count, depth(width, way))
    room[...] = 0
    return room


def words_room(*shape: int) -> Words:
    """Uninitialised uint32[shape], beginning where a cache line does."""
    return private(shape, np.uint32)


def panels(matrices: Sequence[F32], way: int, columns: int) -> Words:
    """Matrices float32[depth, n] of one shape → uint32[layers, parts, n/columns, words, columns].

    Args:
        matrices: n is a multiple of `columns`.
        way: which words.
        columns: of a panel, as `choosing.columns_of` has it.
    """
    numbers, width = matrices[0].shape
    packed = words_room(len(matrices), parts(way), width // columns, depth(numbers, way), columns)
    for into, matrix in zip(packed, matrices, strict=True):
        if way == FLOAT32:
            into[0] = side_by_side(np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32)[:, None], columns)
            continue
        rest = np.asarray(matrix, dtype=np.float32)
        for part in into:
            near = bfloat16(rest)
            part[...] = side_by_side(np.stack([near[0::2], near[1::2]], axis=1).astype(np.uint32), columns)
            rest = rest - widened(near)
    return packed


def side_by_side(numbers: Words, columns: int) -> Words:
    """The bits of numbers [words, numbers a word, n] → uint32[n/columns, words, columns]."""
    shifts = np.arange(numbers.shape[1], dtype=np.uint32)[:, None] * np.uint32(16)
    whole: Words = np.bitwise_or.reduce(numbers << shifts, axis=1)
    return whole.reshape(len(whole), -1, columns).transpose(1, 0, 2)


def bfloat16(numbers: F32) -> npt.NDArray[np.uint16]:
    """The bits of the nearest bfloat16 numbers, of two as near the even one."""
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def widened(bits: npt.NDArray[np.uint16]) -> F32:
    """bfloat16 numbers as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
