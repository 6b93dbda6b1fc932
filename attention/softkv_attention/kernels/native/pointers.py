"""Addresses of arrays for functions in C, which know neither sizes nor types: both are checked here."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
I16, I32, I64 = np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64)
I8, U8, U64, BOOL = np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.uint64), np.dtype(np.bool_)


_DATA = object.__basicsize__
"""Bytes of an array's object before the address of its elements: those that every object begins with."""


_word_at = ctypes.c_size_t.from_address


def _read(array: Any) -> int:
    """Return the address of an array's elements: ten times as fast as NumPy's attributes, which build objects."""
    return _word_at(id(array) + _DATA).value


def _ask(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


_probe = np.zeros(3)
_READS = _read(_probe) == _ask(_probe)
address_of = _read if _READS else _ask
"""Return the address of an array's first element, without any check."""


def address(array: Any, kind: np.dtype[Any], size: int | None = None) -> int:
    """Return the address of a contiguous array.

    The caller keeps the array alive as long as the address is used.

    Args:
        array: the array.
        kind: its type.
        size: the number of its elements; None for any.

    Raises:
        TypeError: the array has another type, or is not contiguous.
        ValueError: it has another number of elements.
    """
    if (array.dtype is not kind and array.dtype != kind) or not array.flags.c_contiguous:
        raise _unfit(array, kind)
    if size is not None and array.size != size:
        raise _other_size(array, size)
    return _word_at(id(array) + _DATA).value if _READS else _ask(array)


def output(array: Any, kind: np.dtype[Any], size: int | None = None) -> int:
    """Return the address of a contiguous array that a function in C writes to.

    Arguments and errors are those of `address`; a read-only or misaligned array is a TypeError, too.
    """
    # carray: contiguous in C's order, aligned and writable, in one look. Calling `address` would look twice.
    if (array.dtype is not kind and array.dtype != kind) or not array.flags.carray:
        raise _unfit(array, kind)
    if size is not None and array.size != size:
        raise _other_size(array, size)
    return _word_at(id(array) + _DATA).value if _READS else _ask(array)


def _other_size(array: Any, size: int) -> ValueError:
    return ValueError(f"wanted {size} numbers, got an array of shape {array.shape}")


def _unfit(array: Any, kind: np.dtype[Any]) -> TypeError:
    flags = array.flags
    state = ["contiguous" if flags.c_contiguous else "strided"]
    state += [] if flags.aligned else ["misaligned"]
    state += [] if flags.writeable else ["read-only"]
    expected = "contiguous" if flags.aligned else "contiguous, aligned"
    return TypeError(f"wanted a {expected} array of {kind.name}, got a {', '.join(state)} one of {array.dtype.name}")


class Scratch(threading.local):
    """Scratch memory of each thread, which one call uses at a time. It grows to the largest that was asked for."""

    def __init__(self) -> None:
        self._room, self._start, self._size = np.empty(0, dtype=np.uint8), 0, 0

    def of(self, size: int) -> int:
        """Return an address, a multiple of 64, that has `size` bytes behind it."""
        if size > self._size:
            self._room = np.empty(size + 64, dtype=np.uint8)
            first = address_of(self._room)
            self._start, self._size = first + -first % 64, size
        return self._start


scratch = Scratch()


def packer(pointers: int, integers: int, reals: int = 0) -> Callable[..., bytes]:
    """Return what packs addresses, then int64, then float64 as a structure of C, faster than ctypes does."""
    return struct.Struct(f"{pointers}P{integers}q{reals}d").pack


def packer_of(pointers: str, integers: str, reals: str = "") -> Callable[..., bytes]:
    """Return what packs a structure whose fields have these names, which have spaces between them."""
    return packer(*(len(names.split()) for names in (pointers, integers, reals)))


def packers_of(structures: Mapping[str, tuple[str, ...]]) -> SimpleNamespace:
    """Return what packs each of these structures, by name; their fields are arguments of `packer_of`."""
    return SimpleNamespace(**{name: packer_of(*names) for name, names in structures.items()})


def refusal(name: str, index: int) -> IndexError:
    """Return the error of a kernel that refuses an index or a run: it then returns its place, else −1."""
    return IndexError(f"wanted rows, queries and runs within the arrays of {name}, got another at index {index}")


def fields(pointers: str, integers: str, reals: str = "") -> list[tuple[str, Any]]:
    """Return ctypes' list of fields: addresses, then int64, then float64; each argument has names between spaces."""
    kinds = ((pointers, ctypes.c_void_p), (integers, ctypes.c_int64), (reals, ctypes.c_double))
    return [(name, kind) for names, kind in kinds for name in names.split()]
