"""Memory that other processes can map, and where in it an array lies."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, finalize

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]
Room: TypeAlias = Callable[[tuple[int, ...], DTypeLike], Array]
"""Makes an uninitialised array, of a shape and a type, that begins where a cache line does."""

LINE = 64
"""Bytes of a cache line."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """A file, or memory without a name, that a process has mapped from its first byte on.

    Attributes:
        descriptor: by which it can be given to another process; open for as long as it is mapped here.
        size: in bytes.
        writable: whether what is written here is seen by all who map it; else each has what it writes for itself.
        on_disk: whether it is a file, which the system may put out of memory.
    """

    descriptor: int
    size: int
    writable: bool
    on_disk: bool


@dataclass(frozen=True)
class Location:
    """Where an array begins, in bytes from the first of what is mapped."""

    mapped: Mapped
    offset: int


_mapped: WeakKeyDictionary[mmap.mmap, Mapped] = WeakKeyDictionary()


def private(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An uninitialised array in this process's own memory, see `Room`."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, dtype=np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + size].view(dtype).reshape(shape)


def shared(size: int) -> Room:
    """Room for arrays of `size` bytes together, and a line for each, in memory of one descriptor.

    Memory is taken up as it is written to. A system without memory of that kind has a file without a name instead.

    Raises:
        OSError: there can be no more descriptors.
        MemoryError: as the room is asked for more than that.
    """
    size = max(size, mmap.PAGESIZE)
    pages = mapping(_without_name(size), size, writable=True, on_disk=False)
    taken = 0

    def room(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        nonlocal taken
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if taken + nbytes > len(pages):
            raise MemoryError(f"room for {len(pages)} bytes was made, and {taken + nbytes} are wanted")
        made = np.ndarray(shape, dtype, buffer=pages, offset=taken)
        taken += -(-nbytes // LINE) * LINE
        return made

    return room


def mapping(descriptor: int, size: int, *, writable: bool, on_disk: bool = True) -> mmap.mmap:
    """Map a file from its first byte on; the descriptor is closed when nobody looks at what was mapped any more.

    Raises:
        OSError, ValueError: it cannot be mapped, or has not so many bytes.
    """
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_COPY
    try:
        pages = mmap.mmap(descriptor, size, access=access)
    except BaseException:
        os.close(descriptor)
        raise
    register(pages, descriptor, writable=writable, on_disk=on_disk)
    return pages


def register(pages: mmap.mmap, descriptor: int, *, writable: bool, on_disk: bool = True) -> None:
    """Have arrays in `pages` be `located`; from now on the descriptor belongs to them, see `mapping`."""
    _mapped[pages] = Mapped(descriptor, len(pages), writable, on_disk)
    finalize(pages, os.close, descriptor)


def file_of(array: Array) -> mmap.mmap | None:
    """The map of a file that an array is a part of; None where it lies in memory."""
    base = array.base
    if not isinstance(base, mmap.mmap) or (base in _mapped and not _mapped[base].on_disk):
        return None
    return base


def located(array: Array) -> Location | None:
    """Where an array lies that is a part of something mapped; None of one in this process's own memory."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if not isinstance(base, mmap.mmap) or base not in _mapped:
        return None
    return Location(_mapped[base], array.ctypes.data - np.frombuffer(base, dtype=np.uint8).ctypes.data)


def _without_name(size: int) -> int:
    """A descriptor of so many bytes that nobody has written."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("softkv")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
