"""Aligned arrays in memory, and arrays in mapped files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]
Room: TypeAlias = Callable[[tuple[int, ...], DTypeLike], Array]
"""A function that returns an uninitialised array of a shape and a type, aligned to a cache line."""

LINE = 64
"""Bytes of a cache line."""


def private(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return an uninitialised array in the memory of this process. It is the default `Room`."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, dtype=np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + size].view(dtype).reshape(shape)


def mapping(descriptor: int, size: int, *, writable: bool) -> mmap.mmap:
    """Map a file into memory from its first byte on, and close the descriptor.

    Args:
        writable: whether writes change the file; if not, a write changes only the memory of this process.

    Raises:
        OSError, ValueError: the file cannot be mapped, or is shorter than `size` bytes.
    """
    try:
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)


def file_of(array: Array) -> mmap.mmap | None:
    """Return the file map that holds the array; None if the array lies in ordinary memory."""
    return array.base if isinstance(array.base, mmap.mmap) else None
