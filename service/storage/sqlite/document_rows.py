"""A document's texts and metadata in the tables, with the indexes over them."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import numpy as np

from service.storage.checksums import document_checksum, id_hash
from service.storage.errors import DocumentDamaged
from service.storage.records import RowNumbers
from service.storage.serialisation import DocumentTexts, texts_of
from service.storage.sqlite import full_text
from service.storage.sqlite.statements import TEXT_COLUMNS, Expression, format_numbers, marks, parse_numbers

LAST_ROW = 2**63 - 1
EVERY = Expression("1")
_PARAMETERS = 1000  # a statement; any SQLite takes that many


def insert(
    connection: Connection, collection: int, documents: Sequence[DocumentTexts], keys: Sequence[int]
) -> RowNumbers:
    """New rows int64[n], numbered in the documents' order, with room for so many keys each; their ids must be free."""
    taken = np.cumsum([0, *(max(each, 1) for each in keys)], dtype=np.int64)
    rows = (_next_row(connection) + taken[:-1]).tolist()
    connection.executemany(
        'INSERT INTO documents ("row", collection, id, key, value, metadata, keys, id_hash, checksum)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_row(row, collection, text, n) for row, text, n in zip(rows, documents, keys, strict=True)),
    )
    connection.executemany(
        'INSERT INTO fields (collection, field, element, kind, value, "row") VALUES (?, ?, ?, ?, ?, ?)',
        ((collection, *entry, row) for row, d in zip(rows, documents, strict=True) for entry in d.fields),
    )
    full_text.add(connection, collection, ((row, d.key) for row, d in zip(rows, documents, strict=True)))
    return np.array(rows, dtype=np.int64)


def remove(connection: Connection, collection: int, rows: RowNumbers) -> None:
    """Delete rows; their vectors and fields go with them."""
    if not len(rows):
        return
    numbers = format_numbers(rows)
    damaged = _any_damaged(connection, numbers)
    if damaged:
        # Their entries in the indexes are of other texts than theirs, so that they could not be found to be deleted.
        connection.execute("REINDEX documents")
    else:
        full_text.remove(connection, collection, numbers)
    connection.execute('DELETE FROM documents WHERE "row" IN (SELECT value FROM json_each(?))', (numbers,))
    if damaged:
        full_text.rebuild(connection, collection)


def rows_where(connection: Connection, collection: int, where: Expression, first: int, last: int | None) -> RowNumbers:
    """The row numbers int64[n] of a collection's documents that pass, ascending, those from `first` to `last`."""
    # The plus has SQLite walk along the row numbers; the index by collection has them in the order of ids.
    within, edges = "collection = ?", list[int]()
    if first or last is not None:
        within = '+collection = ? AND documents."row" BETWEEN ? AND ?'
        edges = [first, LAST_ROW if last is None else last]
    (numbers,) = connection.execute(
        f'SELECT group_concat(documents."row") FROM documents WHERE {within} AND {where.sql}',
        (collection, *edges, *where.parameters),
    ).fetchone()
    rows = parse_numbers(numbers)
    rows.sort()
    return rows


def rows_of(connection: Connection, collection: int, among: RowNumbers | None) -> RowNumbers:
    """The row numbers int64[n] of a collection's documents, ascending; of those among int64[m], which ascend."""
    if among is None or not len(among):
        return rows_where(connection, collection, EVERY, 0, None) if among is None else among
    found = rows_where(connection, collection, EVERY, int(among[0]), int(among[-1]))
    return np.intersect1d(found, among, assume_unique=True)


def existing(connection: Connection, collection: int, ids: Sequence[str]) -> dict[str, int]:
    """The row number of each of the ids that is there."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), _PARAMETERS):
        wanted = ids[start : start + _PARAMETERS]
        found.update(
            connection.execute(
                f'SELECT id, "row" FROM documents WHERE collection = ? AND id IN ({marks(wanted)})',
                (collection, *wanted),
            )
        )
    return found


def keyless(connection: Connection, rows: RowNumbers) -> int:
    """How many of the documents with these numbers have no key."""
    (count,) = connection.execute(
        'SELECT count(*) FROM documents WHERE "row" IN (SELECT value FROM json_each(?)) AND keys = 0',
        (format_numbers(rows),),
    ).fetchone()
    return int(count)


def _any_damaged(connection: Connection, numbers: str) -> bool:
    try:
        for row in connection.execute(
            f'SELECT {TEXT_COLUMNS} FROM documents WHERE "row" IN (SELECT value FROM json_each(?))', (numbers,)
        ):
            texts_of(row)
    except DocumentDamaged:
        return True
    return False


def _row(row: int, collection: int, document: DocumentTexts, keys: int) -> tuple[Any, ...]:
    texts = document.id, document.key, document.value, document.metadata
    return (row, collection, *texts, keys, id_hash(document.id), document_checksum(row, collection, *texts, keys))


def _next_row(connection: Connection) -> int:
    """After the last number that a document or one of its vectors ever had."""
    (last,) = connection.execute(
        "SELECT max(seq) FROM sqlite_sequence WHERE name IN ('documents', 'vectors')"
    ).fetchone()
    return 1 if last is None else int(last) + 1
