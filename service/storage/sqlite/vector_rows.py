"""A document's vectors in their table: a row for each of its keys, or one where it has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from sqlite3 import Connection
from typing import Any

import numpy as np

from service.storage.checksums import vectors_checksum
from service.storage.errors import DocumentDamaged
from service.storage.records import DocumentRecord, KeyRows, Matrix, Part, RowNumbers, StoredDocument
from service.storage.sqlite.forms import (
    VECTOR_COLUMNS,
    StoredVectors,
    blob,
    document_of,
    matrix_of,
    numbers_text,
    vectors_of,
)

_INSERT = """\
INSERT INTO vectors ("row", document, first, last, key_vector, value_vector, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?)"""


def insert(connection: Connection, rows: RowNumbers, documents: Sequence[DocumentRecord]) -> None:
    """Store the vectors of documents that stand under these numbers int64[n]."""
    connection.executemany(
        _INSERT,
        (entry for row, each in zip(rows.tolist(), documents, strict=True) for entry in _entries(row, each)),
    )


def of_documents(connection: Connection, found: Sequence[StoredDocument]) -> list[DocumentRecord]:
    """The documents, in order, with their vectors; raises DocumentDamaged."""
    stored = _read(connection, '"row"', [row for texts in found for row in texts.rows])
    documents = []
    for texts in found:
        try:
            vectors = [vectors_of(stored[row]) for row in texts.rows]
        except (KeyError, DocumentDamaged):
            raise DocumentDamaged(texts.row, texts.id, vectors=True) from None
        documents.append(document_of(texts, vectors))
    return documents


def parts(connection: Connection, rows: RowNumbers) -> list[Part | None]:
    """What part of their document's key text the keys with these numbers are of; raises DocumentDamaged."""
    stored = _read(connection, '"row"', rows)
    return [vectors_of(_there(stored, row)).part for row in rows.tolist()]


def first_keys(connection: Connection, rows: RowNumbers) -> Matrix:
    """float32[n, d]: the first key of each of these documents, which have one; raises DocumentDamaged."""
    stored = _read(connection, '"row"', rows)
    return matrix_of([key for row in rows.tolist() if (key := vectors_of(_there(stored, row)).key) is not None])


def keys_of(
    connection: Connection, rows: Sequence[int], damaged: Callable[[DocumentDamaged], object] | None
) -> KeyRows | None:
    """All keys of these documents, in the order of their numbers, with their values; None where they have none.

    Args:
        damaged: is told of each document whose vectors are not what was written, and which is left out; without it
            the first one is raised.
    """
    by_document = defaultdict(list)
    for row in _read(connection, "document", rows).values():
        by_document[row[1]].append(row)
    sound: list[StoredVectors] = []
    for number in rows:
        try:
            found = [vectors_of(row) for row in by_document[number]]
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


def _entries(row: int, document: DocumentRecord) -> Iterator[tuple[Any, ...]]:
    value = None if document.value_vector is None else blob(document.value_vector)
    keys: Sequence[bytes | None] = [blob(key) for key in document.keys] or [None]
    parts: Sequence[Part | None] = document.parts or list(repeat(None, len(keys)))
    for number, (key, part) in enumerate(zip(keys, parts, strict=True), start=row):
        entry = (number, row, *(part or (None, None)), key, value)
        yield (*entry, vectors_checksum(*entry))


def _there(stored: dict[int, tuple[Any, ...]], row: int) -> tuple[Any, ...]:
    try:
        return stored[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=True) from None


def _read(connection: Connection, column: str, numbers: Any) -> dict[int, tuple[Any, ...]]:
    """The rows of VECTOR_COLUMNS whose `column` is one of the numbers, by their own numbers, ascending."""
    found = connection.execute(
        f'SELECT {VECTOR_COLUMNS} FROM vectors WHERE {column} IN (SELECT value FROM json_each(?)) ORDER BY "row"',
        (numbers_text(numbers),),
    )
    return {row[0]: row for row in found}
