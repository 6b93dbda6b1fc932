"""A document's vectors in their table: a row for each of its keys, or one where it has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg import Connection

from service.storage.errors import DocumentDamaged
from service.storage.key_rows import BlobLengths, KeySums, VectorColumns, decode_one_by_one, decode_together
from service.storage.postgres.statements import VECTOR_COLUMNS, array, numbers
from service.storage.records import DocumentRecord, KeyRows, Matrix, RowNumbers, StoredDocument, TextSpan
from service.storage.serialisation import document_of, matrix_of, vector_entries, vectors_of

_COPY = f"COPY vectors (collection, {VECTOR_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_TYPES = ("int8", "int8", "int8", "int4", "int4", "bytea", "bytea", "int8")
# Every column of many rows as one value each, for which Python makes few objects.
_TOGETHER = """\
SELECT count(*), array_agg("row"), array_agg(document), array_agg(checksum),
       array_agg(coalesce(first, -1)), array_agg(coalesce(last, -1)),
       count(key_vector), min(length(key_vector)), max(length(key_vector)),
       count(value_vector), min(length(value_vector)), max(length(value_vector)),
       string_agg(key_vector, ''), string_agg(value_vector, '')
FROM (SELECT * FROM vectors WHERE collection = %s AND document = ANY(%s) ORDER BY "row") AS found"""

_CHECKSUMS = """\
SELECT array_agg("row"), array_agg(document), array_agg(checksum)
FROM (SELECT "row", document, checksum FROM vectors
      WHERE collection = %s AND "row" BETWEEN %s AND %s AND key_vector IS NOT NULL ORDER BY "row") AS found"""

_SUMS = """\
SELECT count(*), coalesce(sum(checksum & 4294967295), 0)::bigint, coalesce(sum(checksum >> 32), 0)::bigint
FROM vectors WHERE collection = %s AND "row" BETWEEN %s AND %s AND key_vector IS NOT NULL"""
_BEGUN = """\
SELECT count(*), coalesce(sum("row" & 4294967295), 0)::bigint
FROM documents WHERE collection = %s AND "row" BETWEEN %s AND %s AND keys > 0"""


def insert(connection: Connection[Any], collection: int, rows: RowNumbers, documents: Sequence[DocumentRecord]) -> None:
    """Store the vectors of documents that stand under these numbers int64[n]."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for row, each in zip(rows.tolist(), documents, strict=True):
            for entry in vector_entries(row, each):
                copy.write_row((collection, *entry))


def of_documents(connection: Connection[Any], collection: int, found: Sequence[StoredDocument]) -> list[DocumentRecord]:
    """The documents, in order, with their vectors; raises DocumentDamaged."""
    stored = _read(connection, collection, '"row"', [row for texts in found for row in texts.rows])
    documents = []
    for texts in found:
        try:
            vectors = [vectors_of(stored[row]) for row in texts.rows]
        except (KeyError, DocumentDamaged):
            raise DocumentDamaged(texts.row, texts.id, vectors=True) from None
        documents.append(document_of(texts, vectors))
    return documents


def parts(connection: Connection[Any], collection: int, rows: RowNumbers) -> list[TextSpan | None]:
    """What part of their document's key text the keys with these numbers are of; raises DocumentDamaged."""
    stored = _read(connection, collection, '"row"', rows)
    return [vectors_of(_there(stored, row)).part for row in rows.tolist()]


def first_keys(connection: Connection[Any], collection: int, rows: RowNumbers) -> Matrix:
    """float32[n, d]: the first key of each of these documents, which have one; raises DocumentDamaged."""
    stored = _read(connection, collection, '"row"', rows)
    return matrix_of([key for row in rows.tolist() if (key := vectors_of(_there(stored, row)).key) is not None])


def keys_of(
    connection: Connection[Any],
    collection: int,
    rows: Sequence[int],
    damaged: Callable[[DocumentDamaged], object] | None,
) -> KeyRows | None:
    """All keys of these documents, in the order of their numbers, with their values; None where they have none.

    Args:
        damaged: is told of each document whose vectors are not what was written, and which is left out; without it
            the first one is raised.
    """
    with connection.cursor(binary=True) as cursor:
        found = cursor.execute(_TOGETHER, (collection, list(rows))).fetchone()
    if found is not None:
        size, *columns = found[:6]
        own, owners, checksums, firsts, lasts = map(array, columns)
        lengths = BlobLengths(*found[6:9]), BlobLengths(*found[9:12])
        read = VectorColumns(size, own, owners, checksums, firsts, lasts, *lengths, found[12], found[13])
        if (alike := decode_together(read, rows)) is not None:
            return alike
    by_document = defaultdict(list)
    for row in _read(connection, collection, "document", rows).values():
        by_document[row[1]].append(row)
    return decode_one_by_one(by_document, rows, damaged)


def checksums(
    connection: Connection[Any], collection: int, first: int, last: int
) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
    """int64[n] each: the numbers from `first` to `last` of keys, ascending, whose they are, and their checksums."""
    with connection.cursor(binary=True) as cursor:
        found = cursor.execute(_CHECKSUMS, (collection, first, last)).fetchone()
    numbers, owners, stored = map(array, found or (None, None, None))
    return numbers, owners, stored


def sums(connection: Connection[Any], collection: int, document: int, first: int, last: int, living: str) -> KeySums:
    """What keys from `first` to `last`, and documents from `document` on that are `living`, come to."""
    keys = connection.execute(_SUMS, (collection, first, last)).fetchone()
    begun = connection.execute(f"{_BEGUN} AND {living}", (collection, document, last)).fetchone()
    return KeySums(*(keys or (0, 0, 0)), *(begun or (0, 0)))


def _there(stored: dict[int, tuple[Any, ...]], row: int) -> tuple[Any, ...]:
    try:
        return stored[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=True) from None


def _read(connection: Connection[Any], collection: int, column: str, rows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """The rows of VECTOR_COLUMNS whose `column` is one of the numbers, by their own numbers, ascending."""
    statement = f'SELECT {VECTOR_COLUMNS} FROM vectors WHERE collection = %s AND {column} = ANY(%s) ORDER BY "row"'
    with connection.cursor(binary=True) as cursor:
        found = cursor.execute(statement, (collection, numbers(rows)))
        return {row[0]: row for row in found}
