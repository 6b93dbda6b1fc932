"""Storage for the float32 originals of a block: in memory, or in an unnamed file of this process."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attention.arrays import F32, Index
from attention.shared_memory import file_of, private


class OriginalsCheck(Protocol):
    """A check of keys and values in a file: they are compared with their checksums before their first use.

    Each method raises a ValueError if the content of the file differs from what was written.
    """

    @property
    def done(self) -> bool:
        """Whether all keys and values were checked."""

    def check_keys(self, rows: slice | Index) -> None:
        """Compare the keys of these rows with their checksums before they are used."""

    def check_values(self, rows: slice | Index) -> None:
        """Compare the values of these rows with their checksums before they are used."""

    def check_next(self, size: int) -> None:
        """Compare about `size` more bytes of keys and values, which were not checked yet, with their checksums."""


def allocate_originals(rows: int, width: int, directory: Path | None, min_file_bytes: int) -> F32:
    """Return a new array float32[rows, width] for keys or values, in memory or in a file without a name.

    The file exists only while it is mapped. The operating system caches the parts of it that are read, and frees them
    when memory runs short.

    The file never has a name, so nothing is left behind however the process ends: its rows can be read again from their
    source. Its disk space is reserved at once, because writing to a mapped file on a full disk would end the process.
    If the disk is full, memory is used instead: the rows were acknowledged already.

    Args:
        rows, width: the shape of the array.
        directory: the directory of the file; None to use memory.
        min_file_bytes: an array of fewer bytes stays in memory.
    """
    size = rows * width * np.dtype(np.float32).itemsize
    if directory is not None and size >= min_file_bytes:
        with suppress(OSError), tempfile.TemporaryFile(dir=directory, prefix="originals-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    return private((rows, width), np.float32)


def bytes_in_file(vectors: F32) -> int:
    """Return the number of bytes of an array if it lies in a file; 0 if it lies in memory."""
    return vectors.nbytes if file_of(vectors) is not None else 0


def machine_memory() -> int:
    """Return the size of the machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_ahead(vectors: F32, rows: Index) -> None:
    """Ask the operating system to read rows from a file into memory before they are needed.

    Do nothing if the array lies in memory.

    Args:
        vectors: float32[n, d], an array in a mapped file.
        rows: int64[r]; only rows that are not in memory yet are read from disk.
    """
    mapped = file_of(vectors)
    if mapped is None or not hasattr(mmap, "MADV_WILLNEED"):
        return
    size = vectors.strides[0]
    starts = rows * size + _address_of(vectors) - _address_of(np.ndarray(1, np.uint8, mapped))
    first = starts // mmap.PAGESIZE * mmap.PAGESIZE
    for start, length in zip(first.tolist(), (starts + size - first).tolist(), strict=True):
        mapped.madvise(mmap.MADV_WILLNEED, start, length)


def _address_of(array: NDArray[Any]) -> int:
    """Return the memory address of the array's first byte."""
    return int(array.__array_interface__["data"][0])
