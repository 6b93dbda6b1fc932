"""One block in a file: its originals, codes and sums, each checked against a checksum before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, F64, I64, Bools, Index
from attention.kernels.layout import CHUNK, LANES, PANEL
from attention.lookup.codes.moments import Moments, SpreadBound
from attention.lookup.codes.quantisation import Codes, ValueCodes
from attention.lookup.memory.blocks import BLOCK_ROWS, Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View
from attention.lookup.sealed.array_file import Array, SealedError, bytes_of, checksum, read, write

PIECE_BYTES = 2**17
"""Bytes of a piece, at most, or one row: read from disk in about the time of its first byte. See `sections.VERSION`."""

Checksums = NDArray[np.uint64]


def checksums(vectors: F32) -> Checksums:
    """uint64[pieces] of float32[n, d]."""
    rows = _rows_per_piece(vectors)
    found = [checksum(bytes_of(vectors[first : first + rows])) for first in range(0, len(vectors), rows)]
    return np.array(found, dtype=np.uint64)


class CheckedPieces:
    """One array of a file, and which of its pieces were found to be what was written; for many threads.

    Args:
        path: of the file.
        name: of the array in it.
        vectors: float32[n, d], as they are mapped.
        expected: uint64[pieces], what `checksums` said when they were written.

    Attributes:
        done: whether all were.

    Raises:
        SealedError: there are not so many checksums as pieces.
    """

    def __init__(self, path: Path, name: str, vectors: F32, expected: Checksums) -> None:
        self._path, self._name = path, name
        self._vectors, self._expected = vectors, expected
        self._rows = _rows_per_piece(vectors)
        # What is set is set after the check: two threads may check one piece, and find the same.
        self._sound = np.zeros(-(-len(vectors) // self._rows), dtype=np.bool_)
        self.done = not len(self._sound)
        if expected.shape != self._sound.shape:
            raise SealedError(path, f"has {expected.size} checksums of {len(self._sound)} pieces of its {name}")

    def check(self, rows: slice | Index) -> None:
        """Check the pieces that these rows lie in, as far as nobody has.

        Raises:
            SealedError: one is not what was written.
        """
        if not self.done:
            self._check(self._of(rows))

    def check_next(self, size: int) -> int:
        """Check the first pieces that nobody has, of so many bytes and one piece more at most → how many bytes.

        Raises:
            SealedError: one is not what was written.
        """
        each = self._rows * self._vectors.strides[0]
        left = np.flatnonzero(~self._sound)[: max(1, size // max(each, 1))]
        self._check(left)
        return len(left) * each

    def _of(self, rows: slice | Index) -> I64:
        if not isinstance(rows, slice):
            return np.unique(np.asarray(rows, dtype=np.int64) // self._rows)
        first, stop, _ = rows.indices(len(self._vectors))
        return np.arange(first // self._rows, -(-stop // self._rows) if stop > first else first // self._rows)

    def _check(self, pieces: I64) -> None:
        left = pieces[~self._sound[pieces]]
        for piece in left.tolist():
            here = self._vectors[piece * self._rows : (piece + 1) * self._rows]
            if checksum(bytes_of(here)) != self._expected[piece]:
                first = piece * self._rows
                raise SealedError(
                    self._path,
                    f"is not what was written: {self._name} {first} to {first + len(here) - 1} have another checksum",
                )
            self._sound[piece] = True
        if len(left):
            self.done = bool(self._sound.all())


class SealedOriginals:
    """The originals of a block, see `memory.originals.Unread`; values None where they are the keys."""

    def __init__(self, keys: CheckedPieces, values: CheckedPieces | None) -> None:
        self._keys, self._values = keys, keys if values is None else values

    @property
    def done(self) -> bool:
        """Whether all of them were found to be what was written."""
        return self._keys.done and self._values.done

    def check_keys(self, rows: slice | Index) -> None:
        """Before these rows' keys are used.

        Raises:
            SealedError: one of their pieces is not what was written.
        """
        self._keys.check(rows)

    def check_values(self, rows: slice | Index) -> None:
        """The same of their values."""
        self._values.check(rows)

    def check_next(self, size: int) -> None:
        """Check about so many bytes that nobody has checked.

        Raises:
            SealedError: a piece is not what was written.
        """
        if not self._keys.done:
            size -= self._keys.check_next(size)
        if size > 0 and not self._values.done:
            self._values.check_next(size)


def _rows_per_piece(vectors: F32) -> int:
    return max(1, PIECE_BYTES // max(1, 4 * int(vectors.shape[1])))


MIN_FULL_SHARE = 0.5
"""A block that is not full is worth a file from this part of its rows on, once none is added to it any more."""
MIN_COMPLETE_SHARE = 1 / 16
"""The same where no other block will ever take in its rows."""


@dataclass(frozen=True, eq=False)
class SealedBlock:
    """What a file holds, every byte of it checked but the originals, which `block.unread` checks as they are used.

    Attributes:
        ties: int64[count], what the rows are told by, as the one who sealed them says; 0 of a row that was removed.
        similarity: what its rows are compared by.
    """

    block: Block
    count: int
    ties: I64
    similarity: str

    @property
    def numbers(self) -> I64:
        """int64[count], ascending, rows included that were removed since."""
        return self.block.numbers[: self.count]

    @property
    def owners(self) -> I64:
        """int64[count], ascending: the document that each row is a key of."""
        return self.block.owners[: self.count]

    def segment(self, live: Bools) -> Segment:
        """As a view has it in which only these bool[count] are left."""
        several = bool((self.owners != self.numbers).any())
        return Segment(self.block, self.count, None if live.all() else live, several)


def sealable_segments(view: View, *, complete: bool = False) -> list[Segment]:
    """The segments of a view whose blocks no row is added to: full ones, and large ones that others stand behind.

    Those that have no codes stay in memory.

    Args:
        complete: no row will be added to the view, so that none is added to its last block either.
    """
    last = None if complete or not view.segments else view.segments[-1]
    least = MIN_COMPLETE_SHARE if complete else MIN_FULL_SHARE
    return [
        segment
        for segment in view.segments
        if segment.block.codes is not None
        and _has_current_sums(segment)
        and segment.count >= BLOCK_ROWS * (least if segment is not last else 1)
    ]


def _has_current_sums(segment: Segment) -> bool:
    """Whether what its values add up to is of its rows and no more: else rows were added meanwhile."""
    moments = None if segment.block.value_codes is None else segment.block.value_codes.moments
    return moments is None or moments.count == segment.count


def seal(path: Path, view: View, segment: Segment, ties: I64) -> None:
    """Write the block of a segment into a file, whole or not at all.

    Args:
        ties: int64[count], see `SealedBlock`.

    Raises:
        OSError: the disk is full, or fails; nothing is left behind.
    """
    block, count = segment.block, segment.count
    codes, values = block.codes, block.value_codes
    assert codes is not None
    assert values is not None
    groups = -(-count // PANEL) * (PANEL // LANES)
    arrays: dict[str, Array] = {
        "numbers": segment.numbers,
        "owners": segment.owners,
        "ties": ties,
        "keys": segment.keys,
        "key_checksums": checksums(segment.keys),
        "norms": block.norms[:count],
        "codes": codes.codes[:groups],
        "scales": codes.scales[:count],
        "residuals": codes.residuals[:count],
        "value_codes": values.codes[: -(-count // CHUNK)],
        "value_scales": values.scales[:count],
        "value_residuals": values.residuals[:count],
    }
    if block.values is not None:
        arrays |= {"values": segment.values, "value_norms": block.value_norms[:count]}
        arrays["value_checksums"] = checksums(segment.values)
    if codes.grams is not None:
        arrays["grams"] = codes.grams
    said: dict[str, Any] = {
        "similarity": view.similarity,
        "count": count,
        "value_width": values.width,
        "normalised": block.normalised,
    }
    moments = values.moments
    if moments is not None:
        found = moments.found()
        arrays |= {
            "value_total": moments.total,
            "value_residual_total": moments.residual_total,
            "value_grams": np.asarray(moments.grams),
        }
        said["moments"] = [moments.count, found.spread, found.residual_spread, found.usual]
    write(path, said, arrays, later=("keys", "values"))


def unseal(path: Path) -> SealedBlock:
    """What `seal` wrote; its originals are only mapped, and checked as they are used.

    Raises:
        SealedError: another byte is not what was written, or it was written by another version.
        OSError: it cannot be read.
    """
    said, arrays = read(path)
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
                said["value_width"],
                _moments(said.get("moments"), arrays),
            ),
            normalised=said["normalised"],
            unread=SealedOriginals(CheckedPieces(path, "keys", keys, arrays["key_checksums"]), of_values),
        )
        return SealedBlock(block, said["count"], arrays["ties"], said["similarity"])
    except KeyError as error:
        raise SealedError(path, f"has no {error}") from None


def _moments(said: list[float] | None, arrays: dict[str, Array]) -> Moments | None:
    if said is None:
        return None
    count, spread, residual_spread, usual = said
    total: F64 = arrays["value_total"]
    known = SpreadBound(total / max(count, 1), spread, residual_spread, usual)
    return Moments(int(count), total, arrays["value_residual_total"], arrays["value_grams"], known)
