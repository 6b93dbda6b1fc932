"""The tables `documents` and `fields`, with the full-text index: insert, delete and find documents."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import numpy as np

from softkv_service.storage.checksums import document_checksums, id_hash
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import ExpiryRows, RowNumbers
from softkv_service.storage.serialisation import TEXT_COLUMNS, DocumentTexts, texts_of
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.statements import Expression, format_numbers, insert_rows, marks, parse_numbers

LAST_ROW = 2**63 - 1
EVERY = Expression("1")
_COLUMNS = ('"row"', "collection", "id", "key", "value", "metadata", "keys", "expires", "id_hash", "checksum")
_MAX_PARAMETERS = 1000  # of a statement; every build of SQLite accepts as many


def insert(
    connection: Connection, collection: int, documents: Sequence[DocumentTexts], keys: Sequence[int]
) -> RowNumbers:
    """Insert documents; return their row numbers int64[n], in order, each followed by numbers for its other keys.

    The ids must not exist.

    Args:
        keys: the number of keys of each document.
    """
    offsets = np.cumsum([0, *(max(count, 1) for count in keys)], dtype=np.int64)
    rows = (_next_row(connection) + offsets[:-1]).tolist()
    insert_rows(connection, "documents", _COLUMNS, _rows(rows, collection, documents, keys))
    fields = ((collection, *entry, row) for row, d in zip(rows, documents, strict=True) for entry in d.fields)
    insert_rows(connection, "fields", ("collection", "field", "element", "kind", "value", '"row"'), fields)
    for index in full_text.existing(connection, collection):
        full_text.add(connection, index, ((row, d.key) for row, d in zip(rows, documents, strict=True)))
    return np.array(rows, dtype=np.int64)


def remove(connection: Connection, collection: int, rows: RowNumbers) -> None:
    """Delete documents with their vectors and fields; there is at least one."""
    numbers = format_numbers(rows)
    damaged = _any_damaged(connection, numbers)
    if damaged:
        # The indexes have entries of the original texts, so deleting by the damaged texts would miss them.
        connection.execute("REINDEX documents")
    else:
        full_text.remove(connection, collection, numbers)
    connection.execute('DELETE FROM documents WHERE "row" IN (SELECT value FROM json_each(?))', (numbers,))
    if damaged:
        full_text.rebuild(connection, collection)


def rows_where(connection: Connection, collection: int, where: Expression, first: int, last: int | None) -> RowNumbers:
    """Return the row numbers int64[n], from `first` to `last`, of a collection's documents that match; ascending."""
    # The plus makes SQLite scan by row number; the index by collection is ordered by id.
    within, bounds = "collection = ?", list[int]()
    if first or last is not None:
        within = '+collection = ? AND documents."row" BETWEEN ? AND ?'
        bounds = [first, LAST_ROW if last is None else last]
    (numbers,) = connection.execute(
        f'SELECT group_concat(documents."row") FROM documents WHERE {within} AND {where.sql}',
        (collection, *bounds, *where.parameters),
    ).fetchone()
    rows = parse_numbers(numbers)
    rows.sort()
    return rows


def rows_of(
    connection: Connection, collection: int, documents: RowNumbers | None, where: Expression = EVERY
) -> RowNumbers:
    """Return the row numbers int64[n] of a collection's documents that are in `documents`, int64[m]; both ascending."""
    if documents is None or not len(documents):
        return rows_where(connection, collection, where, 0, None) if documents is None else documents
    rows = rows_where(connection, collection, where, int(documents[0]), int(documents[-1]))
    return np.intersect1d(rows, documents, assume_unique=True)


def existing(connection: Connection, collection: int, ids: Sequence[str], where: Expression = EVERY) -> dict[str, int]:
    """Map each of these ids that exists, of a document that matches, to the document's row number."""
    row_by_id: dict[str, int] = {}
    for start in range(0, len(ids), _MAX_PARAMETERS):
        chunk = ids[start : start + _MAX_PARAMETERS]
        row_by_id.update(
            connection.execute(
                f'SELECT id, "row" FROM documents WHERE collection = ? AND id IN ({marks(chunk)})',
                (collection, *chunk),
            )
        )
    if where is EVERY or not row_by_id:
        return row_by_id
    # Row by row, which CROSS JOIN fixes: by id, SQLite would go through all documents that match, for each id.
    matching = connection.execute(
        'SELECT documents."row" FROM json_each(?) AS wanted CROSS JOIN documents ON documents."row" = wanted.value'
        f" WHERE {where.sql}",
        (format_numbers(list(row_by_id.values())), *where.parameters),
    )
    rows = {row for (row,) in matching}
    return {identity: row for identity, row in row_by_id.items() if row in rows}


def expiring(connection: Connection, collection: int) -> ExpiryRows:
    """Return the documents of a collection that expire, ordered by their instants, then by row number."""
    rows, expires = connection.execute(
        'SELECT group_concat("row"), group_concat(expires) FROM (SELECT "row", expires FROM documents'
        ' INDEXED BY documents_by_expiry WHERE collection = ? AND expires IS NOT NULL ORDER BY expires, "row")',
        (collection,),
    ).fetchone()
    return ExpiryRows(parse_numbers(rows), parse_numbers(expires))


def find_expired(connection: Connection, collection: int, now: int, limit: int) -> RowNumbers:
    """Return the row numbers int64[n], ascending, of up to `limit` expired documents, the first ones first."""
    rows = connection.execute(
        'SELECT "row" FROM documents INDEXED BY documents_by_expiry WHERE collection = ? AND expires <= ?'
        " ORDER BY expires LIMIT ?",
        (collection, now, limit),
    )
    return np.sort(np.fromiter((row for (row,) in rows), dtype=np.int64))


def first_expiry(connection: Connection, collection: int) -> int | None:
    """Return the instant at which the first document of a collection expires; None if none does."""
    (first,) = connection.execute(
        "SELECT min(expires) FROM documents INDEXED BY documents_by_expiry"
        " WHERE collection = ? AND expires IS NOT NULL",
        (collection,),
    ).fetchone()
    return None if first is None else int(first)


def keyless(connection: Connection, rows: RowNumbers) -> int:
    """Count the documents with these row numbers that have no key."""
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
            texts_of([row])
    except DocumentDamaged:
        return True
    return False


def _rows(
    rows: Sequence[int], collection: int, documents: Sequence[DocumentTexts], keys: Sequence[int]
) -> list[tuple[Any, ...]]:
    contents = [
        (row, collection, document.id, document.key, document.value, document.metadata, n, document.expires)
        for row, document, n in zip(rows, documents, keys, strict=True)
    ]
    checksums = document_checksums(contents)
    return [(*content, id_hash(content[2]), checksum) for content, checksum in zip(contents, checksums, strict=True)]


def _next_row(connection: Connection) -> int:
    """Return the row number after the last one that a document or one of its vectors ever had."""
    (last,) = connection.execute(
        "SELECT max(seq) FROM sqlite_sequence WHERE name IN ('documents', 'vectors')"
    ).fetchone()
    return 1 if last is None else int(last) + 1
