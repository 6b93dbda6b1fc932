"""Functions that decode the keys of many documents at a time, and verify their checksums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from softkv_service.storage.checksums import vectors_checksums
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import KeyRows, Matrix, RowNumbers
from softkv_service.storage.serialisation import StoredVectors, matrix_of, vector_of, vectors_of


class BlobLengths(NamedTuple):
    """The number of rows that have a vector in a column, and the bytes of the shortest and the longest of these
    vectors.
    """

    present: int
    shortest: int | None
    longest: int | None


class VectorColumns(NamedTuple):
    """All columns of many rows of the table `vectors`, ordered by row number.

    Attributes:
        numbers, owners, checksums, firsts, lasts, waiting: int64[n]; -1 for one that is NULL.
        keys, values: all vectors concatenated; None without any.
    """

    size: int
    numbers: RowNumbers
    owners: RowNumbers
    checksums: RowNumbers
    firsts: RowNumbers
    lasts: RowNumbers
    waiting: RowNumbers
    key_lengths: BlobLengths
    value_lengths: BlobLengths
    keys: bytes | None
    values: bytes | None


def decode_together(columns: VectorColumns, rows: Sequence[int]) -> KeyRows | None:
    """Decode the keys of these documents at once; return None if their widths differ or one is damaged."""
    keys = _as_matrix(columns.keys, columns.key_lengths)
    values = _as_matrix(columns.values, columns.value_lengths)
    numbers, owners = columns.numbers, columns.owners
    if (
        keys is None
        or columns.key_lengths.present != columns.size
        or columns.value_lengths.present != (0 if values is None else columns.size)
        or any(
            len(column) != columns.size
            for column in (numbers, owners, columns.checksums, columns.firsts, columns.lasts, columns.waiting)
        )
        or not _is_complete(numbers, owners, rows)
    ):
        return None
    checksums = vectors_checksums(numbers, owners, columns.firsts, columns.lasts, keys, values, columns.waiting)
    if (checksums != columns.checksums).any():
        return None
    return KeyRows(numbers, owners, keys, values)


def _as_matrix(vectors: bytes | None, lengths: BlobLengths) -> Matrix | None:
    """Return concatenated vectors as float32[count, d], or None if their widths differ."""
    count, shortest, longest = lengths
    if vectors is None or shortest != longest or not shortest or len(vectors) != count * shortest or shortest % 4:
        return None
    return vector_of(vectors).reshape(count, -1)


def _is_complete(numbers: RowNumbers, owners: RowNumbers, rows: Sequence[int]) -> bool:
    """Return whether rows with these numbers and owners int64[n] are exactly those of the documents, without gaps."""
    first = np.ones(len(numbers), dtype=np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    starts_match = np.array_equal(numbers[first], rows) and np.array_equal(owners[first], rows)
    return starts_match and bool((np.diff(numbers)[~first[1:]] == 1).all())


def decode_one_by_one(
    by_document: Mapping[int, Sequence[tuple[Any, ...]]],
    rows: Sequence[int],
    damaged: Callable[[DocumentDamaged], object] | None,
) -> KeyRows | None:
    """Decode the keys of these documents and their values, ordered by row number; return None if they have no keys.

    Args:
        by_document: the stored rows of each document, by row number, ascending.
        damaged: receives each document whose vectors are damaged, and which is left out. Without it, the first one is
            raised.
    """
    sound: list[StoredVectors] = []
    for number in rows:
        try:
            vectors = [vectors_of(row) for row in by_document.get(number, ())]
            if [vector.row for vector in vectors] != list(range(number, number + max(len(vectors), 1))):
                raise DocumentDamaged(number, None, vectors=True)
            sound += (vector for vector in vectors if vector.key is not None)
        except DocumentDamaged as error:
            if damaged is None:
                raise
            damaged(error)
    if not sound:
        return None
    keys = [vector.key for vector in sound if vector.key is not None]
    values = None
    if any(vector.value is not None for vector in sound):
        values = matrix_of(
            [key if vector.value is None else vector.value for vector, key in zip(sound, keys, strict=True)]
        )
    numbers, owners = np.array([(vector.row, vector.document) for vector in sound], dtype=np.int64).T
    return KeyRows(numbers, owners, matrix_of(keys), values)


LOW = 2**32 - 1


class KeySums(NamedTuple):
    """Sums over many keys. If a key is changed, removed or added, the sums differ, except with probability 2⁻⁶⁴.

    Attributes:
        keys: the number of keys.
        low, high: the sums of the low and the high 32 bits of their checksums.
        documents: the number of documents with keys that begin in the range.
        begun: the sum of the low 32 bits of the row numbers of these documents.
    """

    keys: int
    low: int
    high: int
    documents: int
    begun: int

    @classmethod
    def of(cls, checksums: RowNumbers, documents: RowNumbers) -> KeySums:
        """Return the sums over keys with these checksums int64[n], and over these distinct documents int64[m]."""
        low, high = int((checksums & LOW).sum()), int((checksums >> 32).sum())
        return cls(len(checksums), low, high, len(documents), int((documents & LOW).sum()))
