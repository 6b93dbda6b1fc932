"""Stores of older schemas: one of schema 1, made with that schema's own SQL, and newer ones taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from service.storage import DocumentRecord
from service.storage.fields import field_rows
from service.storage.serialisation import blob, json_text
from service.storage.sqlite import full_text
from service.storage.sqlite.schema.migrations import APPLICATION_ID
from service.storage.sqlite.schema.validation import read_script


def make_store_of_schema_1(directory: Path, collections: Mapping[str, Sequence[DocumentRecord]]) -> Path:
    """A store that holds these documents; each collection has lost a document with the number before its first one."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "softkv.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(read_script(1))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("BEGIN")
        last = 0
        for number, (name, documents) in enumerate(collections.items(), start=1):
            connection.execute(
                "INSERT INTO collections VALUES (?, ?, 'dot', 0.25, NULL, NULL, 'some-encoder', 'float32', 'key', ?)",
                (number, name, '"auto"' if number == 1 else "0.5"),
            )
            full_text.create(connection, number)
            first = last + 2
            for row, document in enumerate(documents, start=first):
                _insert(connection, number, row, document)
            last = first + len(documents) - 1
        connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'documents'", (last + 7,))
        connection.execute("COMMIT")
    return path


def remove_later_schemas(connection: sqlite3.Connection) -> None:
    """Remove the empty tables and columns that schemas 6 and 7 added."""
    for table in ("aliases", "re_encodings", "copied_rows", "encoder_measurements", "feedback"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP INDEX documents_by_expiry")
    connection.execute("ALTER TABLE documents DROP COLUMN expires")
    for column in ("encoder_model", "expire_after", "defaults", "first_expiry"):
        connection.execute(f"ALTER TABLE collections DROP COLUMN {column}")


def _insert(connection: sqlite3.Connection, collection: int, row: int, document: DocumentRecord) -> None:
    texts = document.id, document.key, json_text(document.value, "value"), json_text(document.metadata, "metadata")
    connection.execute(
        'INSERT INTO documents ("row", collection, id, key, value, metadata) VALUES (?, ?, ?, ?, ?, ?)',
        (row, collection, *texts),
    )
    value = None if document.value_vector is None else blob(document.value_vector)
    connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", (row, blob(document.keys[0]), value))
    connection.executemany(
        "INSERT INTO fields VALUES (?, ?, ?, ?, ?, ?)",
        [(collection, *entry, row) for entry in field_rows(document.metadata)],
    )
    full_text.add(connection, collection, [(row, document.key)])
