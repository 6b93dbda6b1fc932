"""Keys as a store reads them, many documents at a time, held against their checksums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.storage.checksums import vectors_checksums
from service.storage.errors import DocumentDamaged
from service.storage.records import KeyRows, Matrix, RowNumbers
from service.storage.serialisation import StoredVectors, matrix_of, vector_of, vectors_of


class BlobLengths(NamedTuple):
    """How many rows have such a vector, and how many bytes the shortest and the longest of them has."""

    present: int
    shortest: int | None
    longest: int | None


class VectorColumns(NamedTuple):
    """Every column of many rows of vectors, in the order of their numbers.

    Attributes:
        numbers, owners, checksums, firsts, lasts: int64[n]; -1 for a first and a last that are not there.
        keys, values: all vectors one behind the other; None where there are none.
    """

    size: int
    numbers: RowNumbers
    owners: RowNumbers
    checksums: RowNumbers
    firsts: RowNumbers
    lasts: RowNumbers
    key_lengths: BlobLengths
    value_lengths: BlobLengths
    keys: bytes | None
    values: bytes | None


def decode_together(found: VectorColumns, rows: Sequence[int]) -> KeyRows | None:
    """The keys of these documents, which all have keys of one width; None of others, and where one is damaged."""
    keys = _alike(found.keys, found.key_lengths)
    values = _alike(found.values, found.value_lengths)
    numbers, owners = found.numbers, found.owners
    if (
        keys is None
        or found.key_lengths.present != found.size
        or found.value_lengths.present != (0 if values is None else found.size)
        or any(len(each) != found.size for each in (numbers, owners, found.checksums, found.firsts, found.lasts))
        or not _complete(numbers, owners, rows)
        or (vectors_checksums(numbers, owners, found.firsts, found.lasts, keys, values) != found.checksums).any()
    ):
        return None
    return KeyRows(numbers, owners, keys, values)


def _alike(vectors: bytes | None, lengths: BlobLengths) -> Matrix | None:
    """So many vectors as they follow one another, float32[count, d]; None where they are not of one width."""
    count, shortest, longest = lengths
    if vectors is None or shortest != longest or not shortest or len(vectors) != count * shortest or shortest % 4:
        return None
    return vector_of(vectors).reshape(count, -1)


def _complete(numbers: RowNumbers, owners: RowNumbers, rows: Sequence[int]) -> bool:
    """Whether rows with these numbers and owners int64[n] are those of the documents, each from its first one on."""
    first = np.ones(len(numbers), dtype=np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    begun = np.array_equal(numbers[first], rows) and np.array_equal(owners[first], rows)
    return begun and bool((np.diff(numbers)[~first[1:]] == 1).all())


def decode_one_by_one(
    by_document: Mapping[int, Sequence[tuple[Any, ...]]],
    rows: Sequence[int],
    damaged: Callable[[DocumentDamaged], object] | None,
) -> KeyRows | None:
    """All keys of these documents, in the order of their numbers, with their values; None where they have none.

    Args:
        by_document: the stored rows of each, by their own numbers, ascending.
        damaged: is told of each document whose vectors are not what was written, and which is left out; without it
            the first one is raised.
    """
    sound: list[StoredVectors] = []
    for number in rows:
        try:
            found = [vectors_of(row) for row in by_document.get(number, ())]
            if [each.row for each in found] != list(range(number, number + max(len(found), 1))):
                raise DocumentDamaged(number, None, vectors=True)
            sound += (each for each in found if each.key is not None)
        except DocumentDamaged as error:
            if damaged is None:
                raise
            damaged(error)
    if not sound:
        return None
    keys = [each.key for each in sound if each.key is not None]
    values = None
    if any(each.value is not None for each in sound):
        values = matrix_of([key if each.value is None else each.value for each, key in zip(sound, keys, strict=True)])
    numbers, owners = np.array([(each.row, each.document) for each in sound], dtype=np.int64).T
    return KeyRows(numbers, owners, matrix_of(keys), values)


LOW = 2**32 - 1


class KeySums(NamedTuple):
    """What many keys come to: where one is changed, removed or added, a sum is another, but once in 2⁶⁴ times.

    Attributes:
        keys: how many there are.
        low, high: the sums of their checksums' low 32 bits, and of what is above these.
        documents: how many documents with keys begin among them.
        begun: the sum of these documents' row numbers' low 32 bits.
    """

    keys: int
    low: int
    high: int
    documents: int
    begun: int

    @classmethod
    def of(cls, checksums: RowNumbers, documents: RowNumbers) -> KeySums:
        """Of keys with these checksums int64[n], and of these documents int64[m], each once."""
        low, high = int((checksums & LOW).sum()), int((checksums >> 32).sum())
        return cls(len(checksums), low, high, len(documents), int((documents & LOW).sum()))
