"""A document's texts and metadata in the tables, with what filters compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import Connection

from service.storage.checksums import document_checksum, id_hash
from service.storage.postgres.statements import digest, field_entry, folded, numbers
from service.storage.records import RowNumbers
from service.storage.serialisation import NUL, DocumentTexts

_DOCUMENTS = (
    'COPY documents (collection, "row", id, key, value, metadata, keys, id_hash, checksum, folded_id, folded_key, born)'
    " FROM STDIN (FORMAT BINARY)"
)
_DOCUMENT_TYPES = ("int8", "int8", *["text"] * 4, "int4", "int8", "int8", "text", "text", "int8")
_FIELDS = (
    'COPY fields (collection, field, element, kind, number, whole, text, folded, "row") FROM STDIN (FORMAT BINARY)'
)
_FIELD_TYPES = ("int8", "bytea", "int2", "int2", "numeric", "bool", "text", "text", "int8")


def insert(
    connection: Connection[Any],
    collection: int,
    documents: Sequence[DocumentTexts],
    keys: Sequence[int],
    first: int,
    version: int,
) -> RowNumbers:
    """New rows int64[n] of a version, numbered from `first` in the documents' order, with room for so many keys each.

    Their ids must be free.
    """
    taken = np.cumsum([0, *(max(each, 1) for each in keys)], dtype=np.int64)
    rows = (first + taken[:-1]).tolist()
    with connection.cursor() as cursor:
        with cursor.copy(_DOCUMENTS) as copy:
            copy.set_types(_DOCUMENT_TYPES)
            for row, each, n in zip(rows, documents, keys, strict=True):
                texts = each.id, each.key, each.value, each.metadata
                checked = id_hash(each.id), document_checksum(row, collection, *texts, n)
                copy.write_row((collection, row, *texts, n, *checked, folded(each.id), folded(each.key), version))
        names = {digest(field.field): field.field for each in documents for field in each.fields}
        if names:
            with cursor.copy(_FIELDS) as copy:
                copy.set_types(_FIELD_TYPES)
                for row, each in zip(rows, documents, strict=True):
                    for field in each.fields:
                        copy.write_row(field_entry(collection, row, field))
            cursor.execute(
                "INSERT INTO names (collection, field, name) SELECT %s, * FROM unnest(%s::bytea[], %s::text[])"
                " ON CONFLICT DO NOTHING",
                (collection, list(names), list(names.values())),
            )
    return np.array(rows, dtype=np.int64)


def mark_deleted(connection: Connection[Any], collection: int, rows: RowNumbers, version: int) -> int:
    """These rows are gone from a version on → how many of them have no key."""
    if not len(rows):
        return 0
    ended = connection.execute(
        'UPDATE documents SET died = %s WHERE collection = %s AND "row" = ANY(%s) RETURNING keys',
        (version, collection, numbers(rows)),
    )
    return sum(not keys for (keys,) in ended)


def existing(connection: Connection[Any], collection: int, ids: Sequence[str], living: str) -> dict[str, int]:
    """The row number of each of the ids that is there."""
    wanted = [each for each in ids if NUL not in each]
    statement = f'SELECT id, "row" FROM documents WHERE collection = %s AND id = ANY(%s) AND {living}'
    return dict(connection.execute(statement, (collection, wanted)).fetchall())
