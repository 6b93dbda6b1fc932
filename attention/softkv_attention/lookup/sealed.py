"""Blocks in files: the next start maps them into memory, and checks every byte against checksums.

A file has named arrays, each with a checksum. It is written completely or not at all.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64

from softkv_attention.aligned import file_of, mapping, private
from softkv_attention.arrays import F32, F64, I64, Bools, Index
from softkv_attention.kernels.layout import CHUNK, LANES, PANEL
from softkv_attention.lookup.codes.moments import Moments, SpreadBound
from softkv_attention.lookup.codes.quantisation import Codes, ValueCodes
from softkv_attention.lookup.memory.blocks import Block
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import View

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


def read(path: Path, min_file_bytes: int = 0) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays that `write` stored, checked against their checksums.

    The arrays that `write` was given as `later` are not checked. All arrays are parts of one memory map of the file,
    which is the `base` of each, or of memory. If the caller changes an array, the file does not change.

    Args:
        path: the name of the file.
        min_file_bytes: the file is read into memory if each of its arrays has fewer bytes.

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
    small = all(_nbytes(section) < min_file_bytes for section in head["sections"].values())
    with path.open("rb") as file:
        # Once for all arrays: each map keeps a descriptor of the file open.
        mapped = _load(file, size) if small else mapping(os.dup(file.fileno()), size, writable=False)
    if len(mapped) != size:
        raise SealedError(path, "became shorter while it was read")
    return head["said"], {
        name: _array(path, mapped, length, name, section) for name, section in head["sections"].items()
    }


def sync(directory: Path) -> None:
    """Force the file names of a directory to disk, so that a rename in it survives a crash.

    Do nothing on Windows, which opens no directory.
    """
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _head(description: dict[str, Any], sections: dict[str, Any]) -> bytes:
    text = json.dumps({"version": VERSION, "order": sys.byteorder, "said": description, "sections": sections}).encode()
    text += bytes(_round_up_to_page(_HEAD.size + len(text)) - _HEAD.size - len(text))
    return _HEAD.pack(MAGIC, _HEAD.size + len(text), checksum(text)) + text


def _load(file: BufferedReader, size: int) -> Array:
    """Return the bytes of a file, fewer than `size` if it became shorter."""
    content = private((size,), np.uint8)
    return content[: file.readinto(content.data)]


def _array(path: Path, mapped: mmap.mmap | Array, start: int, name: str, section: Mapping[str, Any]) -> Array:
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


PIECE_BYTES = 2**17
"""The largest size of a piece, unless one row is larger: read from disk in about the time of its first byte. See
`VERSION`.
"""

Checksums = NDArray[np.uint64]


def checksums(vectors: F32) -> Checksums:
    """Return uint64[p], one checksum for each of the p pieces (runs of rows) of float32[n, d]."""
    rows = _rows_per_piece(vectors)
    sums = [checksum(bytes_of(vectors[first : first + rows])) for first in range(0, len(vectors), rows)]
    return np.array(sums, dtype=np.uint64)


class CheckedPieces:
    """One array of a file whose pieces (runs of rows) are compared with their checksums before their first use.

    Many threads may use it.

    Args:
        path: the path of the file.
        name: the name of the array in the file.
        vectors: float32[n, d], the memory-mapped array.
        expected: uint64[pieces], the checksums that were written.

    Attributes:
        done: whether all pieces were checked.

    Raises:
        SealedError: the number of checksums differs from the number of pieces.
    """

    def __init__(self, path: Path, name: str, vectors: F32, expected: Checksums) -> None:
        self._path, self._name = path, name
        self._vectors, self._expected = vectors, expected
        self._rows = _rows_per_piece(vectors)
        # A flag is set after its check: two threads may check the same piece, with the same result.
        self._sound = np.zeros(-(-len(vectors) // self._rows), dtype=np.bool_)
        self.done = not len(self._sound)
        if expected.shape != self._sound.shape:
            raise SealedError(path, f"has {expected.size} checksums of {len(self._sound)} pieces of its {name}")

    def check_size(self) -> None:
        """Raise SealedError if the file became shorter than what was mapped."""
        mapped = file_of(self._vectors)
        if mapped is not None and mapped.size() < len(mapped):
            raise SealedError(self._path, f"has {mapped.size()} bytes of {len(mapped)}: it became shorter in use")

    def check(self, rows: slice | Index) -> None:
        """Compare the pieces that contain these rows with their checksums, unless they were checked before.

        Raises:
            SealedError: a piece differs from what was written.
        """
        if not self.done:
            self._check(self._of(rows))

    def check_next(self, size: int) -> int:
        """Compare the next unchecked pieces (runs of rows) with their checksums, and return how many bytes they have.

        At least one piece is checked, even if it is larger than `size` bytes; more are checked if they fit into `size`.

        Raises:
            SealedError: a piece differs from what was written.
        """
        piece_bytes = self._rows * self._vectors.strides[0]
        unchecked = np.flatnonzero(~self._sound)[: max(1, size // max(piece_bytes, 1))]
        self._check(unchecked)
        return len(unchecked) * piece_bytes

    def _of(self, rows: slice | Index) -> I64:
        if not isinstance(rows, slice):
            return np.unique(np.asarray(rows, dtype=np.int64) // self._rows)
        first, stop, _ = rows.indices(len(self._vectors))
        return np.arange(first // self._rows, -(-stop // self._rows) if stop > first else first // self._rows)

    def _check(self, pieces: I64) -> None:
        left = pieces[~self._sound[pieces]]
        for piece in left.tolist():
            rows = self._vectors[piece * self._rows : (piece + 1) * self._rows]
            if checksum(bytes_of(rows)) != self._expected[piece]:
                first = piece * self._rows
                raise SealedError(
                    self._path,
                    f"is not what was written: {self._name} {first} to {first + len(rows) - 1} have another checksum",
                )
            self._sound[piece] = True
        if len(left):
            self.done = bool(self._sound.all())


class SealedOriginals:
    """The keys and values of a block in a file, each piece (run of rows) checked before its first use.

    It implements `memory.blocks.OriginalsCheck`.

    Args:
        keys: the check of the keys.
        values: the check of the values; None if the values are the keys.
    """

    def __init__(self, keys: CheckedPieces, values: CheckedPieces | None) -> None:
        self._keys, self._values = keys, keys if values is None else values

    @property
    def done(self) -> bool:
        """Whether all keys and values were checked."""
        return self._keys.done and self._values.done

    def check_size(self) -> None:
        """Check that the file was not cut: the system ends a process that reads beyond its end.

        Raises:
            SealedError: the file is shorter than what was mapped.
        """
        self._keys.check_size()

    def check_keys(self, rows: slice | Index) -> None:
        """Check the keys of these rows against their checksums before they are used.

        Raises:
            SealedError: the content of the file differs from what was written.
        """
        self._keys.check(rows)

    def check_values(self, rows: slice | Index) -> None:
        """Check the values of these rows against their checksums before they are used.

        Raises:
            SealedError: the content of the file differs from what was written.
        """
        self._values.check(rows)

    def check_next(self, size: int) -> None:
        """Check about `size` bytes of keys and values that were not checked yet.

        Raises:
            SealedError: the content of the file differs from what was written.
        """
        if not self._keys.done:
            size -= self._keys.check_next(size)
        if size > 0 and not self._values.done:
            self._values.check_next(size)


def _rows_per_piece(vectors: F32) -> int:
    return max(1, PIECE_BYTES // max(1, 4 * int(vectors.shape[1])))


MIN_FULL_SHARE = 0.5
"""A block that gets no more rows is written to a file if it is filled to at least this share."""
MIN_COMPLETE_SHARE = 1 / 16
"""The minimal share if the block gets no more rows because the view is complete."""


@dataclass(frozen=True, eq=False)
class SealedBlock:
    """A block of rows that was read from its file.

    Every byte was checked except keys and values, which `block.unread` checks as they are used.

    Attributes:
        block: the arrays of the rows.
        count: the number of rows.
        ties: int64[count], a number that identifies the content of each row; the caller of `seal` computes it. 0 for a
            removed row.
        similarity: the name of the similarity of queries and keys.
    """

    block: Block
    count: int
    ties: I64
    similarity: str

    @property
    def numbers(self) -> I64:
        """int64[count], the permanent numbers of the rows, ascending; rows that were removed later are included."""
        return self.block.numbers[: self.count]

    @property
    def owners(self) -> I64:
        """int64[count], the document that each row is a key of, ascending."""
        return self.block.owners[: self.count]

    def segment(self, live: Bools) -> Segment:
        """Return the block as a segment of a view in which only some rows are present.

        Args:
            live: bool[count], True for the rows that are present.
        """
        several = bool((self.owners != self.numbers).any())
        return Segment(self.block, self.count, None if live.all() else live, several)


def sealable_segments(view: View, *, complete: bool = False) -> list[Segment]:
    """Return the segments of a view whose blocks get no more rows, so that they can be written to files.

    These are full blocks, and large blocks that are not the last one. Blocks without 8-bit codes are left out.

    Args:
        complete: whether no row is expected to be added to the view, so that its last block gets no more rows either.
    """
    last = None if complete or not view.segments else view.segments[-1]
    least = MIN_COMPLETE_SHARE if complete else MIN_FULL_SHARE
    return [
        segment
        for segment in view.segments
        if segment.block.codes is not None
        and _has_current_sums(segment)
        and segment.count >= view.limits.block_rows * (least if segment is not last else 1)
    ]


def _has_current_sums(segment: Segment) -> bool:
    """Return whether the block's sums over its values cover exactly the rows of the segment.

    Rows that were added later would be in the sums too.
    """
    return segment.block.value_codes is None or _covers(segment.block.value_codes.moments, segment)


def _covers(moments: Moments | None, segment: Segment) -> bool:
    return moments is None or moments.count == segment.count


def seal(path: Path, view: View, segment: Segment, ties: I64) -> bool:
    """Write the block of a segment to a file, either completely or not at all; return whether it was written.

    A block that has more rows than the segment is not written, because its sums include them. Rows that are added to
    it meanwhile are not in the file.

    Args:
        path: the name of the file.
        view: the view that the segment belongs to.
        segment: the segment to write.
        ties: int64[count], a number that identifies the content of each row, 0 for a removed row.

    Raises:
        OSError: the disk is full, or fails; nothing is left behind.
    """
    block, count = segment.block, segment.count
    codes, values = block.codes, block.value_codes
    assert codes is not None
    assert values is not None
    # The key sums first, since a write adds to them first. Should they include more rows, they still are a bound.
    grams, moments = codes.grams, values.moments
    if not _covers(moments, segment):
        return False
    groups = -(-count // PANEL) * (PANEL // LANES)
    key_codes, value_codes = codes.codes[:groups], values.codes[: -(-count // CHUNK)]
    if count < block.capacity:  # the codes of a row that is added now would lie among those of the last rows
        key_codes, value_codes = key_codes.copy(), value_codes.copy()
    arrays: dict[str, Array] = {
        "numbers": segment.numbers,
        "owners": segment.owners,
        "ties": ties,
        "keys": segment.keys,
        "key_checksums": checksums(segment.keys),
        "norms": block.norms[:count],
        "codes": key_codes,
        "scales": codes.scales[:count],
        "residuals": codes.residuals[:count],
        "value_codes": value_codes,
        "value_scales": values.scales[:count],
        "value_residuals": values.residuals[:count],
    }
    if block.values is not None:
        arrays |= {"values": segment.values, "value_norms": block.value_norms[:count]}
        arrays["value_checksums"] = checksums(segment.values)
    if grams is not None:
        arrays["grams"] = grams
    description: dict[str, Any] = {
        "similarity": view.similarity,
        "count": count,
        "value_width": values.width,
        "normalised": block.normalised,
    }
    if moments is not None:
        spread = moments.compute_bound()
        arrays |= {
            "value_total": moments.total,
            "value_residual_total": moments.residual_total,
            "value_grams": np.asarray(moments.grams),
        }
        description["moments"] = [moments.count, spread.spread, spread.residual_spread, spread.typical_eigenvalue]
    write(path, description, arrays, later=("keys", "values"))
    return True


def unseal(path: Path, min_file_bytes: int = 0) -> SealedBlock:
    """Read a block from a file that `seal` wrote.

    Keys and values are checked against their checksums as they are used.

    Args:
        path: the name of the file.
        min_file_bytes: if an array has this many bytes or more, the file is mapped; else it is read into memory.

    Raises:
        SealedError: a byte differs from what was written, or another version wrote the file.
        OSError: the file cannot be read.
    """
    description, arrays = read(path, min_file_bytes)
    try:
        norms, keys = arrays["norms"], arrays["keys"]
        values = arrays.get("values")
        of_values = None if values is None else CheckedPieces(path, "values", values, arrays["value_checksums"])
        block = Block(
            numbers=arrays["numbers"],
            owners=arrays["owners"],
            keys=keys,
            values=values,
            norms=norms,
            value_norms=norms if values is None else arrays["value_norms"],
            codes=Codes(arrays["codes"], arrays["scales"], arrays["residuals"], arrays.get("grams")),
            value_codes=ValueCodes(
                arrays["value_codes"],
                arrays["value_scales"],
                arrays["value_residuals"],
                description["value_width"],
                _moments(description.get("moments"), arrays),
            ),
            normalised=description["normalised"],
            unread=SealedOriginals(CheckedPieces(path, "keys", keys, arrays["key_checksums"]), of_values),
        )
        return SealedBlock(block, description["count"], arrays["ties"], description["similarity"])
    except KeyError as error:
        raise SealedError(path, f"has no {error}") from None


def _moments(fields: list[float] | None, arrays: dict[str, Array]) -> Moments | None:
    if fields is None:
        return None
    count, spread, residual_spread, typical_eigenvalue = fields
    total: F64 = arrays["value_total"]
    earlier = SpreadBound(total / max(count, 1), spread, residual_spread, typical_eigenvalue)
    return Moments(int(count), total, arrays["value_residual_total"], arrays["value_grams"], earlier)
