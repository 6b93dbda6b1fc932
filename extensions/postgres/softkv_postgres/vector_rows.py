"""The table `vectors`: a row for each key of a document, or one row if it has no key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg import Connection

from softkv_postgres.connections import work_memory
from softkv_postgres.statements import VECTOR_COLUMNS, array, numbers
from softkv_service.storage import KeySums
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.key_rows import BlobLengths, VectorColumns, decode_one_by_one, decode_together
from softkv_service.storage.records import DocumentRecord, KeyRows, RowNumbers
from softkv_service.storage.serialisation import vector_entries, word_entries

_COPY = f"COPY softkv.vectors (collection, {VECTOR_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_COPY_WORDS = 'COPY softkv.words (collection, "row", words, checksum) FROM STDIN (FORMAT BINARY)'
_TYPES = ("int8", "int8", "int8", "int4", "int4", "bytea", "bytea", "int2", "int8")
# Each column of many rows as one value, so that Python creates few objects.
_ALL_COLUMNS = """\
SELECT count(*), array_agg("row"), array_agg(document), array_agg(checksum),
       array_agg(coalesce(first, -1)), array_agg(coalesce(last, -1)), array_agg(coalesce(waiting, -1)::bigint),
       count(key_vector), min(length(key_vector)), max(length(key_vector)),
       count(value_vector), min(length(value_vector)), max(length(value_vector)),
       string_agg(key_vector, ''), string_agg(value_vector, '')
FROM (SELECT * FROM softkv.vectors WHERE collection = %s AND document = ANY(%s) ORDER BY "row") AS found"""

_CHECKSUMS = """\
SELECT array_agg("row"), array_agg(document), array_agg(checksum)
FROM (SELECT "row", document, checksum FROM softkv.vectors
      WHERE collection = %s AND "row" BETWEEN %s AND %s AND key_vector IS NOT NULL ORDER BY "row") AS found"""

_SUMS = """\
SELECT count(*), coalesce(sum(checksum & 4294967295), 0)::bigint, coalesce(sum(checksum >> 32), 0)::bigint
FROM softkv.vectors WHERE collection = %s AND "row" BETWEEN %s AND %s AND key_vector IS NOT NULL"""
_BEGUN = """\
SELECT count(*), coalesce(sum("row" & 4294967295), 0)::bigint
FROM softkv.documents WHERE collection = %s AND "row" BETWEEN %s AND %s AND keys > 0"""


def insert(connection: Connection[Any], collection: int, rows: RowNumbers, documents: Sequence[DocumentRecord]) -> None:
    """Store the vectors and words of documents with these row numbers int64[n]."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for entry in vector_entries(rows.tolist(), documents):
            copy.write_row((collection, *entry))
    if entries := word_entries(rows.tolist(), documents):
        with connection.cursor() as cursor, cursor.copy(_COPY_WORDS) as copy:
            copy.set_types(("int8", "int8", "bytea", "int8"))
            for word_entry in entries:
                copy.write_row((collection, *word_entry))


def keys_of(
    connection: Connection[Any],
    collection: int,
    rows: Sequence[int],
    damaged: Callable[[DocumentDamaged], object] | None,
) -> KeyRows | None:
    """Read the keys of these documents and their values, ordered by row number; return None if they have no keys.

    Args:
        damaged: receives each document whose vectors are damaged, and which is left out. Without it, the first one is
            raised.
    """
    with work_memory(connection), connection.cursor() as cursor:
        row = cursor.execute(_ALL_COLUMNS, (collection, list(rows))).fetchone()
    if row is not None:
        size, *arrays = row[:7]
        row_numbers, owners, checksums, firsts, lasts, waiting = map(array, arrays)
        lengths = BlobLengths(*row[7:10]), BlobLengths(*row[10:13])
        columns = VectorColumns(
            size, row_numbers, owners, checksums, firsts, lasts, waiting, *lengths, row[13], row[14]
        )
        if (keys := decode_together(columns, rows)) is not None:
            return keys
    by_document = defaultdict(list)
    for row in read(connection, collection, "document", rows).values():
        by_document[row[1]].append(row)
    return decode_one_by_one(by_document, rows, damaged)


def checksums(
    connection: Connection[Any], collection: int, first: int, last: int
) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
    """Read row numbers, documents and checksums, int64[n] each, of keys from `first` to `last`, ascending."""
    with connection.cursor() as cursor:
        row = cursor.execute(_CHECKSUMS, (collection, first, last)).fetchone()
    row_numbers, owners, digests = map(array, row or (None, None, None))
    return row_numbers, owners, digests


def sums(connection: Connection[Any], collection: int, document: int, first: int, last: int, living: str) -> KeySums:
    """Sum up keys from `first` to `last`, and `living` documents from `document` to `last`."""
    keys = connection.execute(_SUMS, (collection, first, last)).fetchone()
    begun = connection.execute(f"{_BEGUN} AND {living}", (collection, document, last)).fetchone()
    return KeySums(*(keys or (0, 0, 0)), *(begun or (0, 0)))


def read(connection: Connection[Any], collection: int, column: str, rows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """Read the columns VECTOR_COLUMNS of all rows whose `column` is one of these numbers, ordered by row number."""
    statement = (
        f'SELECT {VECTOR_COLUMNS} FROM softkv.vectors WHERE collection = %s AND {column} = ANY(%s) ORDER BY "row"'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, (collection, numbers(rows)))
        return {row[0]: row for row in cursor}
