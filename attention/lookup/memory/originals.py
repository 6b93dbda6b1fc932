"""Room for the float32 originals of a block: in memory, or in a file that only this process knows."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, Index
from attention.shared_memory import file_of, private

MIN_FILE_BYTES = 2**24
"""Bytes of originals from which on a file is worth its while."""


class OriginalsCheck(Protocol):
    """Originals that lie in a file, and are held against their checksums before they are first used.

    Each call raises a ValueError where what is asked for is not what was written.
    """

    @property
    def done(self) -> bool:
        """Whether all of them were found to be what was written."""

    def check_keys(self, rows: slice | Index) -> None:
        """Before the keys of these rows are used."""

    def check_values(self, rows: slice | Index) -> None:
        """Before their values are used."""

    def check_next(self, size: int) -> None:
        """Check about so many bytes that nobody has checked."""


def allocate_originals(rows: int, width: int, directory: Path | None) -> F32:
    """Room for float32[rows, width], in memory, or in a file that goes when nobody maps it any more.

    What lies in a file the system keeps in memory as far as it is read, and takes back when memory runs short.

    The file has no name from the start, so that nothing is left behind however the process ends: what it holds can
    be read again from where the rows came from. Its disk is taken up at once: a mapped file that runs out of disk on
    writing would end the process. Where the disk has no room, memory has to do: what is written here was acknowledged
    already.
    """
    size = rows * width * np.dtype(np.float32).itemsize
    if directory is not None and size >= MIN_FILE_BYTES:
        with suppress(OSError), tempfile.TemporaryFile(dir=directory, prefix="originals-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    return private((rows, width), np.float32)


def bytes_in_file(vectors: F32) -> int:
    """How many bytes of originals lie in a file; 0 where they lie in memory."""
    return vectors.nbytes if file_of(vectors) is not None else 0


def machine_memory() -> int:
    """Bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_ahead(vectors: F32, rows: Index) -> None:
    """Have the system read some rows that lie in a file, all at once, before one after another is waited for.

    Args:
        vectors: as `allocate_originals` made them, or anywhere in a map of a file.
        rows: int64[r]; of them only what memory does not hold is read from disk.
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
    """Where its first byte lies."""
    return int(array.__array_interface__["data"][0])
