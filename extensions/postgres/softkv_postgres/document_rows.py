"""The tables `documents` and `fields`: insert documents, mark them as deleted, and find them by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import Connection

from softkv_postgres import bigrams
from softkv_postgres.statements import Expression, digest, field_entry, fold_case, numbers
from softkv_service.storage import id_hash
from softkv_service.storage.checksums import document_checksums
from softkv_service.storage.records import RowNumbers
from softkv_service.storage.serialisation import NUL, DocumentTexts

_DOCUMENTS = (
    'COPY softkv.documents (collection, "row", id, key, value, metadata, keys, expires, id_hash, checksum, folded_id,'
    " folded_key, born) FROM STDIN (FORMAT BINARY)"
)
_DOCUMENT_TYPES = ("int8", "int8", *["text"] * 4, "int4", "int8", "int8", "int8", "text", "text", "int8")
_FIELDS = (
    'COPY softkv.fields (collection, field, element, kind, number, whole, text, folded, "row")'
    " FROM STDIN (FORMAT BINARY)"
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
    """Insert documents of a version; return their row numbers int64[n], each followed by numbers for its other keys.

    The ids must not exist.

    Args:
        keys: the number of keys of each document.
        first: the row number of the first document.
    """
    offsets = np.cumsum([0, *(max(count, 1) for count in keys)], dtype=np.int64)
    rows = (first + offsets[:-1]).tolist()
    contents = [
        (document.id, document.key, document.value, document.metadata, n, document.expires)
        for document, n in zip(documents, keys, strict=True)
    ]
    checksums = document_checksums([(row, collection, *content) for row, content in zip(rows, contents, strict=True)])
    with connection.cursor() as cursor:
        with cursor.copy(_DOCUMENTS) as copy:
            copy.set_types(_DOCUMENT_TYPES)
            for row, content, checksum in zip(rows, contents, checksums, strict=True):
                identity, key = content[:2]
                hashes = id_hash(identity), checksum
                copy.write_row((collection, row, *content, *hashes, fold_case(identity), fold_case(key), version))
        bigrams.write(connection, collection, ((row, content[1]) for row, content in zip(rows, contents, strict=True)))
        names = {digest(name): name for document in documents for name, *_ in document.fields}
        if names:
            with cursor.copy(_FIELDS) as copy:
                copy.set_types(_FIELD_TYPES)
                for row, document in zip(rows, documents, strict=True):
                    for field in document.fields:
                        copy.write_row(field_entry(collection, row, field))
            cursor.execute(
                "INSERT INTO softkv.names (collection, field, name) SELECT %s, * FROM unnest(%b::bytea[], %s::text[])"
                " ON CONFLICT DO NOTHING",
                (collection, list(names), list(names.values())),
            )
    return np.array(rows, dtype=np.int64)


def mark_deleted(connection: Connection[Any], collection: int, rows: RowNumbers, version: int) -> int:
    """Mark documents as deleted from a version on; return how many of them have no key."""
    if not len(rows):
        return 0
    cursor = connection.execute(
        'UPDATE softkv.documents SET died = %s WHERE collection = %s AND "row" = ANY(%s) RETURNING keys',
        (version, collection, numbers(rows)),
    )
    return sum(not keys for (keys,) in cursor)


def existing(connection: Connection[Any], collection: int, ids: Sequence[str], where: Expression) -> dict[str, int]:
    """Map each of these ids that exists, of a document that matches, to the document's row number."""
    storable = [identity for identity in ids if NUL not in identity]
    statement = f'SELECT id, "row" FROM softkv.documents WHERE collection = %s AND id = ANY(%s) AND {where.sql}'
    return dict(connection.execute(statement, (collection, storable, *where.parameters)).fetchall())
