"""Originals in files: the system keeps in memory what is read, and takes it back when memory runs short."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SMALLEST = 2**24
"""Bytes from which on a file is worth its while."""


def originals(rows: int, width: int, directory: Path | None) -> NDArray[np.float32]:
    """Room for float32[rows, width], in memory or in a file that goes when nobody maps it any more.

    The file has no name from the start, so that nothing is left behind however the process ends: what it holds can
    be read again from where the rows came from. Its disk is taken up at once: a mapped file that runs out of disk on
    writing would end the process. Where the disk has no room, memory has to do: what is written here was acknowledged
    already.
    """
    size = rows * width * np.dtype(np.float32).itemsize
    if directory is not None and size >= SMALLEST:
        with suppress(OSError), tempfile.TemporaryFile(dir=directory, prefix="originals-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    return np.empty((rows, width), dtype=np.float32)
