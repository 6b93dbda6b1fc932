"""A document's vectors in their table: a row for each of its keys, or one where it has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from sqlite3 import Connection, DataError
from typing import Any

from service.storage.errors import DocumentDamaged
from service.storage.key_rows import BlobLengths, KeySums, VectorColumns, decode_one_by_one, decode_together
from service.storage.records import DocumentRecord, KeyRows, Matrix, RowNumbers, StoredDocument, TextSpan
from service.storage.serialisation import document_of, matrix_of, vector_entries, vectors_of
from service.storage.sqlite.statements import VECTOR_COLUMNS, format_numbers, parse_numbers

# Every column of many rows in one step of SQLite, for which Python waits for nothing else. Bytes pass for text on their
# way through; what comes is held against the checksums in any case.
_AT_ONCE = """\
SELECT count(*), count(key_vector), count(value_vector), min(length(key_vector)), max(length(key_vector)),
       min(length(value_vector)), max(length(value_vector)), group_concat("row"), group_concat(document),
       group_concat(checksum), group_concat(coalesce(first, -1)), group_concat(coalesce(last, -1)),
       CAST(group_concat(CAST(key_vector AS TEXT), '') AS BLOB),
       CAST(group_concat(CAST(value_vector AS TEXT), '') AS BLOB)
FROM (SELECT * FROM vectors WHERE {0} ORDER BY "row")"""
_BY_DOCUMENT = "document IN (SELECT value FROM json_each(?1))"
# The plus keeps SQLite from looking every document up where it may walk from the first row to the last.
_BETWEEN = f"""\
+{_BY_DOCUMENT} AND "row" BETWEEN ?2 AND (SELECT max("row") FROM vectors WHERE document = ?3)"""

_CHECKSUMS = """\
SELECT group_concat("row"), group_concat(document), group_concat(checksum)
FROM (SELECT "row", document, checksum FROM vectors
      WHERE "row" BETWEEN ? AND ? AND key_vector IS NOT NULL ORDER BY "row")"""

_SUMS = """\
SELECT count(*), coalesce(sum(checksum & 4294967295), 0), coalesce(sum(checksum >> 32), 0)
FROM vectors WHERE "row" BETWEEN ? AND ? AND key_vector IS NOT NULL"""
# The plus has SQLite walk along the row numbers: the index by collection has them in another order.
_BEGUN = """\
SELECT count(*), coalesce(sum("row" & 4294967295), 0)
FROM documents WHERE "row" BETWEEN ? AND ? AND +collection = ? AND keys > 0"""

_INSERT = """\
INSERT INTO vectors ("row", document, first, last, key_vector, value_vector, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?)"""


def insert(connection: Connection, rows: RowNumbers, documents: Sequence[DocumentRecord]) -> None:
    """Store the vectors of documents that stand under these numbers int64[n]."""
    connection.executemany(
        _INSERT,
        (entry for row, each in zip(rows.tolist(), documents, strict=True) for entry in vector_entries(row, each)),
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


def parts(connection: Connection, rows: RowNumbers) -> list[TextSpan | None]:
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
    # More bytes than SQLite lets one value have; numbers that are none any more.
    with suppress(DataError, ValueError):
        if (found := _at_once(connection, rows)) is not None:
            return found
    return _one_by_one(connection, rows, damaged)


def checksums(connection: Connection, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
    """int64[n] each: the numbers from `first` to `last` of all keys, ascending, whose they are, and their checksums."""
    found = connection.execute(_CHECKSUMS, (first, last)).fetchone()
    numbers, owners, stored = (parse_numbers(text) for text in found)
    return numbers, owners, stored


def sums(connection: Connection, collection: int, document: int, first: int, last: int) -> KeySums:
    """What the numbers from `first` to `last` of all keys, and a collection's documents from `document` on, come to."""
    keys = connection.execute(_SUMS, (first, last)).fetchone()
    return KeySums(*keys, *connection.execute(_BEGUN, (document, last, collection)).fetchone())


def _there(stored: dict[int, tuple[Any, ...]], row: int) -> tuple[Any, ...]:
    try:
        return stored[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=True) from None


def _read(connection: Connection, column: str, numbers: Any) -> dict[int, tuple[Any, ...]]:
    """The rows of VECTOR_COLUMNS whose `column` is one of the numbers, by their own numbers, ascending."""
    found = connection.execute(
        f'SELECT {VECTOR_COLUMNS} FROM vectors WHERE {column} IN (SELECT value FROM json_each(?)) ORDER BY "row"',
        (format_numbers(numbers),),
    )
    return {row[0]: row for row in found}


def _at_once(connection: Connection, rows: Sequence[int]) -> KeyRows | None:
    """What `keys_of` says of documents that all have keys of one width; None of others, and where one is damaged."""
    dense = rows[-1] - rows[0] < 2 * len(rows)
    found = connection.execute(
        _AT_ONCE.format(_BETWEEN if dense else _BY_DOCUMENT),
        (format_numbers(rows), rows[0], rows[-1]) if dense else (format_numbers(rows),),
    ).fetchone()
    count, n_keys, n_values = found[:3]
    numbers, owners, checksums, firsts, lasts = (parse_numbers(text) for text in found[7:12])
    lengths = BlobLengths(n_keys, *found[3:5]), BlobLengths(n_values, *found[5:7])
    return decode_together(
        VectorColumns(count, numbers, owners, checksums, firsts, lasts, *lengths, found[12], found[13]), rows
    )


def _one_by_one(
    connection: Connection, rows: Sequence[int], damaged: Callable[[DocumentDamaged], object] | None
) -> KeyRows | None:
    """See `keys_of`."""
    by_document = defaultdict(list)
    for row in _read(connection, "document", rows).values():
        by_document[row[1]].append(row)
    return decode_one_by_one(by_document, rows, damaged)
