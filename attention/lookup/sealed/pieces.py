"""Originals of a sealed block piece by piece: each is held against its checksum before a row of it is first used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, I64, Index
from attention.lookup.sealed.sections import SealedError, bytes_of, checksum

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
