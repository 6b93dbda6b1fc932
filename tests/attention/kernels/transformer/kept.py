"""Numbers as rows of words, and what a way keeps of them."""

from __future__ import annotations

import numpy as np

from attention.kernels.transformer.parameters import (
    BFLOAT16,
    FLOAT32,
    THREE,
    TILES,
    from_bfloat16,
    to_bfloat16,
    zero_rows,
)

OFF_BY = {FLOAT32: 3e-7, BFLOAT16: 1e-6, TILES: 1e-6, THREE: 2e-5}
"""The error of a sum of products of stored numbers, relative to the sum of their sizes; low parts are omitted."""


def words_of(numbers, way, spare=0):
    """Convert float32[n, d] to uint32[parts, n + spare, words]."""
    rows = zero_rows(len(numbers) + spare, numbers.shape[1], way)
    rest = numbers
    for part in rows:
        if way == FLOAT32:
            part[: len(numbers)] = numbers.view(np.uint32)
        else:
            part[: len(numbers)] = to_bfloat16(rest).view(np.uint32)
            rest = rest - from_bfloat16(to_bfloat16(rest))
    return rows


def kept(numbers, way):
    """Return the values of the words of one way, float64."""
    if way == FLOAT32:
        return numbers.astype(np.float64)
    near = from_bfloat16(to_bfloat16(numbers))
    return near.astype(np.float64) + (from_bfloat16(to_bfloat16(numbers - near)) if way == THREE else 0)


def numbers_of(words, way):
    """Convert uint32[parts, n, words] back to float64[n, d]."""
    if way == FLOAT32:
        return words[0].view(np.float32).astype(np.float64)
    return from_bfloat16(words.view(np.uint16)).astype(np.float64).sum(axis=0)
