"""A file of named arrays, each with a checksum: written completely or not at all, and mapped when read."""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64

from attention.shared_memory import mapping

Array = NDArray[Any]

MAGIC = b"softkvb\n"
VERSION = 2
"""The version of the format, of the order of codes, and of the size of a piece; other versions are not read."""

_PAGE = 4096
_HEAD = struct.Struct("<8sQQ")  # magic, bytes of the head with its padding, their checksum
_MAX_HEAD = 1 << 20
_WRITE_BYTES = 1 << 24


class SealedError(ValueError):
    """Error for a file that is not a block written by `seal`, or that differs from what was written.

    Attributes:
        path: the path of the file.
    """

    def __init__(self, path: Path, wrong: str) -> None:
        super().__init__(f"{path} {wrong}")
        self.path = path


def write(path: Path, description: Mapping[str, Any], arrays: Mapping[str, Array], later: Collection[str] = ()) -> None:
    """Write arrays and their JSON description to a file, either completely or not at all.

    The file gets its name only when all of it is on disk.

    Args:
        path: the name of the file.
        description: JSON fields to store with the arrays.
        arrays: the arrays by name.
        later: the names of the arrays that `read` does not check, so that they get no checksum; see `CheckedPieces`.

    Raises:
        OSError: the disk is full, or fails; nothing is left behind.
    """
    unfinished = path.with_name(f"{path.name}.new")
    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        with unfinished.open("wb") as file:
            sections, offset = {}, 0
            for name, array in contents.items():
                sections[name] = {
                    "dtype": array.dtype.str,
                    "shape": array.shape,
                    "offset": offset,
                    "checksum": None if name in later else checksum(bytes_of(array)),
                }
                offset += _round_up_to_page(array.nbytes)
            head = _head(dict(description), sections)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, len(head) + offset)
            file.write(head)
            for array in contents.values():
                content = bytes_of(array)
                for first in range(0, len(content), _WRITE_BYTES):
                    file.write(content[first : first + _WRITE_BYTES])
                file.write(bytes(_round_up_to_page(array.nbytes) - array.nbytes))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays that `write` stored, checked against their checksums.

    The arrays that `write` was given as `later` are not checked. All arrays are parts of one memory map of the file,
    which is the `base` of each. If the caller changes an array, the file does not change.

    Raises:
        SealedError: a byte differs from what was written, or the version or the byte order is another one.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            magic, length, expected = _HEAD.unpack(file.read(_HEAD.size))
        except struct.error:
            raise SealedError(path, "ends within its head") from None
        if magic != MAGIC or not _HEAD.size < length <= _MAX_HEAD:
            raise SealedError(path, "is not a sealed block")
        text = file.read(length - _HEAD.size)
    if len(text) != length - _HEAD.size or checksum(text) != expected:
        raise SealedError(path, "is not what was written: its head has another checksum")
    head = json.loads(text.rstrip(b"\0"))
    if (head["version"], head["order"]) != (VERSION, sys.byteorder):
        raise SealedError(path, f"is of version {head['version']}, {head['order']}-endian")
    if size != length + sum(_round_up_to_page(_nbytes(section)) for section in head["sections"].values()):
        raise SealedError(path, f"has {size} bytes, which is not what was written")
    with path.open("rb") as file:
        # Once for all arrays: each map keeps a descriptor of the file open.
        mapped = mapping(os.dup(file.fileno()), size, writable=False)
    if len(mapped) != size:
        raise SealedError(path, "became shorter while it was read")
    return head["said"], {
        name: _array(path, mapped, length, name, section) for name, section in head["sections"].items()
    }


def sync(directory: Path) -> None:
    """Force the file names of a directory to disk, so that a rename in it survives a crash."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _head(description: dict[str, Any], sections: dict[str, Any]) -> bytes:
    text = json.dumps({"version": VERSION, "order": sys.byteorder, "said": description, "sections": sections}).encode()
    text += bytes(_round_up_to_page(_HEAD.size + len(text)) - _HEAD.size - len(text))
    return _HEAD.pack(MAGIC, _HEAD.size + len(text), checksum(text)) + text


def _array(path: Path, mapped: mmap.mmap, start: int, name: str, section: Mapping[str, Any]) -> Array:
    nbytes = _nbytes(section)
    if not nbytes:
        return np.empty(section["shape"], dtype=section["dtype"])
    offset = start + section["offset"]
    pages = np.ndarray((_round_up_to_page(nbytes),), np.uint8, mapped, offset)
    wrong = section["checksum"] is not None and checksum(pages[:nbytes].data) != section["checksum"]
    # With what fills up its last page, which is 0.
    if wrong or pages[nbytes:].any():
        raise SealedError(path, f"is not what was written: {name} have another checksum")
    return np.ndarray(tuple(section["shape"]), section["dtype"], mapped, offset)


def _nbytes(section: Mapping[str, Any]) -> int:
    return int(np.prod(section["shape"], dtype=np.int64) * np.dtype(section["dtype"]).itemsize)


def _round_up_to_page(size: int) -> int:
    """Return the number of bytes, rounded up to whole pages."""
    return -(-size // _PAGE) * _PAGE


def bytes_of(array: Array) -> memoryview:
    """Return the bytes of a contiguous array, without copying."""
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def checksum(content: bytes | memoryview) -> int:
    """Return a checksum of 64 bits (XXH3).

    It is computed in pieces, so that other threads can run in between.
    """
    digest, view = xxh3_64(), memoryview(content)
    for first in range(0, len(view), _WRITE_BYTES):
        digest.update(view[first : first + _WRITE_BYTES])
    return int(digest.intdigest())
