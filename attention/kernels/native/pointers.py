"""Addresses of arrays for functions in C, which know neither sizes nor types: both are checked here."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

import numpy as np

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
I16, I32, I64 = np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64)
I8, U8, BOOL = np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.bool_)


def address(array: Any, kind: np.dtype[Any], *shape: int) -> int:
    """Return the address of a contiguous array.

    The caller keeps the array alive as long as the address is used.

    Args:
        array: the array.
        kind: its type.
        shape: its shape; −1 for any length. Without one, the shape is not checked.

    Raises:
        TypeError: the array has another type, or is not contiguous.
        ValueError: it has another shape.
    """
    if array.dtype != kind or not array.flags.c_contiguous:
        order = "contiguous" if array.flags.c_contiguous else "strided"
        raise TypeError(f"wanted a contiguous array of {kind.name}, got a {order} one of {array.dtype.name}")
    if shape and not _fits(array.shape, shape):
        raise ValueError(f"wanted an array of shape {shape}, got {array.shape}")
    return int(array.__array_interface__["data"][0])


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return shape == wanted or (
        len(shape) == len(wanted) and all(want in (-1, length) for length, want in zip(shape, wanted, strict=True))
    )


def scratch(size: int) -> tuple[Any, int]:
    """Return uninitialised memory, and an address in it that is a multiple of 64 and has `size` bytes behind it."""
    room = np.empty(size + 64, dtype=np.uint8)
    start = int(room.__array_interface__["data"][0])
    return room, start + -start % 64


class Record(ctypes.Structure):
    """A structure of C that keeps the arrays alive whose addresses it holds.

    Attributes:
        arrays: what has to live as long as the structure.
    """

    arrays: Any
    POINTERS: ClassVar[tuple[str, ...]] = ()


def fields(pointers: str, integers: str, reals: str = "") -> list[tuple[str, Any]]:
    """Return ctypes' list of fields: addresses, then int64, then float64; each argument has names between spaces."""
    kinds = ((pointers, ctypes.c_void_p), (integers, ctypes.c_int64), (reals, ctypes.c_double))
    return [(name, kind) for names, kind in kinds for name in names.split()]
