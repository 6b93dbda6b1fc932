"""The table `vectors`: a row for each key of a document, or one row if it has no key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from sqlite3 import Connection, DataError
from typing import Any

from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.key_rows import BlobLengths, KeySums, VectorColumns, decode_one_by_one, decode_together
from softkv_service.storage.records import DocumentRecord, KeyRows, RowNumbers
from softkv_service.storage.serialisation import vector_entries, word_entries
from softkv_service.storage.sqlite import word_rows
from softkv_service.storage.sqlite.statements import VECTOR_COLUMNS, format_numbers, insert_rows, parse_numbers

# All columns of many rows in one step of SQLite, which is faster than row by row. Blobs are cast to text and back;
# the result is verified by checksums in any case.
_AT_ONCE = """\
SELECT count(*), count(key_vector), count(value_vector), min(length(key_vector)), max(length(key_vector)),
       min(length(value_vector)), max(length(value_vector)), group_concat("row"), group_concat(document),
       group_concat(checksum), group_concat(coalesce(first, -1)), group_concat(coalesce(last, -1)),
       group_concat(coalesce(waiting, -1)),
       CAST(group_concat(CAST(key_vector AS TEXT), '') AS BLOB),
       CAST(group_concat(CAST(value_vector AS TEXT), '') AS BLOB)
FROM (SELECT * FROM vectors WHERE {0} ORDER BY "row")"""
_BY_DOCUMENT = "document IN (SELECT value FROM json_each(:documents))"
# The plus makes SQLite scan from the first row to the last, instead of looking up each document.
_BETWEEN = f"""\
+{_BY_DOCUMENT} AND "row" BETWEEN :first AND (SELECT max("row") FROM vectors WHERE document = :last)"""

_CHECKSUMS = """\
SELECT group_concat("row"), group_concat(document), group_concat(checksum)
FROM (SELECT "row", document, checksum FROM vectors
      WHERE "row" BETWEEN ? AND ? AND key_vector IS NOT NULL ORDER BY "row")"""

_SUMS = """\
SELECT count(*), coalesce(sum(checksum & 4294967295), 0), coalesce(sum(checksum >> 32), 0)
FROM vectors WHERE "row" BETWEEN ? AND ? AND key_vector IS NOT NULL"""
# The plus makes SQLite scan by row number: the index by collection has another order.
_BEGUN = """\
SELECT count(*), coalesce(sum("row" & 4294967295), 0)
FROM documents WHERE "row" BETWEEN ? AND ? AND +collection = ? AND keys > 0"""

_COLUMNS = ('"row"', "document", "first", "last", "key_vector", "value_vector", "waiting", "checksum")


def insert(connection: Connection, rows: RowNumbers, documents: Sequence[DocumentRecord]) -> None:
    """Store the vectors and words of documents with these row numbers int64[n]."""
    insert_rows(connection, "vectors", _COLUMNS, vector_entries(rows.tolist(), documents))
    word_rows.insert(connection, word_entries(rows.tolist(), documents))


def keys_of(
    connection: Connection, rows: Sequence[int], damaged: Callable[[DocumentDamaged], object] | None
) -> KeyRows | None:
    """Read the keys of these documents and their values, ordered by row number; return None if they have no keys.

    Args:
        damaged: receives each document whose vectors are damaged, and which is left out. Without it, the first one is
            raised.
    """
    # DataError: more bytes than one value of SQLite may have. ValueError: damaged row numbers.
    with suppress(DataError, ValueError):
        if (keys := _at_once(connection, rows)) is not None:
            return keys
    return _one_by_one(connection, rows, damaged)


def checksums(connection: Connection, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
    """Read row numbers, documents and checksums, int64[n] each, of all keys from `first` to `last`, ascending."""
    columns = connection.execute(_CHECKSUMS, (first, last)).fetchone()
    numbers, owners, digests = (parse_numbers(text) for text in columns)
    return numbers, owners, digests


def sums(connection: Connection, collection: int, document: int, first: int, last: int) -> KeySums:
    """Sum up all keys from `first` to `last`, and the documents of a collection from `document` to `last`."""
    keys = connection.execute(_SUMS, (first, last)).fetchone()
    return KeySums(*keys, *connection.execute(_BEGUN, (document, last, collection)).fetchone())


def read(connection: Connection, column: str, numbers: Any) -> dict[int, tuple[Any, ...]]:
    """Read the columns VECTOR_COLUMNS of all rows whose `column` is one of these numbers, ordered by row number."""
    cursor = connection.execute(
        f'SELECT {VECTOR_COLUMNS} FROM vectors WHERE {column} IN (SELECT value FROM json_each(?)) ORDER BY "row"',
        (format_numbers(numbers),),
    )
    return {row[0]: row for row in cursor}


def _at_once(connection: Connection, rows: Sequence[int]) -> KeyRows | None:
    """Read the keys of these documents in one step; return None if their widths differ or one is damaged."""
    dense = rows[-1] - rows[0] < 2 * len(rows)
    row = connection.execute(
        _AT_ONCE.format(_BETWEEN if dense else _BY_DOCUMENT),
        {"documents": format_numbers(rows), "first": rows[0], "last": rows[-1]},
    ).fetchone()
    count, n_keys, n_values = row[:3]
    numbers, owners, checksums, firsts, lasts, waiting = (parse_numbers(text) for text in row[7:13])
    lengths = BlobLengths(n_keys, *row[3:5]), BlobLengths(n_values, *row[5:7])
    return decode_together(
        VectorColumns(count, numbers, owners, checksums, firsts, lasts, waiting, *lengths, row[13], row[14]), rows
    )


def _one_by_one(
    connection: Connection, rows: Sequence[int], damaged: Callable[[DocumentDamaged], object] | None
) -> KeyRows | None:
    """Read the keys of these documents row by row; arguments and result are those of `keys_of`."""
    by_document = defaultdict(list)
    for row in read(connection, "document", rows).values():
        by_document[row[1]].append(row)
    return decode_one_by_one(by_document, rows, damaged)
