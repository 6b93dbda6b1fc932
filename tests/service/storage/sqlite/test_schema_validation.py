"""A file with another schema is refused by a start, a restore and a checkup, by the name of what is strange."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore, restore
from softkv_service.storage.errors import DatabaseAltered, DatabaseDamaged, StorageError
from softkv_service.storage.sqlite.full_text import MAX_UNINDEXED
from softkv_service.storage.sqlite.schema.version import SCHEMA
from tests.service.storage.making import collection, document

EVIL = "CREATE TRIGGER evil AFTER INSERT ON documents BEGIN DELETE FROM vectors; END"
SCHEMA_OF = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, {}) WHERE name = '{}'"
EDITS = [
    (EVIL, "trigger 'evil' is not softkv's"),
    (
        "ALTER TABLE collections RENAME TO c2; CREATE VIEW collections AS SELECT * FROM c2",
        "view 'collections' is not softkv's; table 'c2' is not softkv's; table 'collections' is missing",
    ),
    ("PRAGMA foreign_keys = OFF; DROP TABLE documents", "table 'documents' is missing"),
    ("DROP INDEX vectors_by_document", "index 'vectors_by_document' is missing"),
    ("CREATE INDEX another ON vectors (first)", "index 'another' is not softkv's"),
    ("CREATE TABLE another (a)", "table 'another' is not softkv's"),
    ("ALTER TABLE documents ADD COLUMN more TEXT", "table 'documents' is not as softkv makes it"),
    (
        SCHEMA_OF.format("'value TEXT NOT NULL', 'value TEXT CHECK (length(id))'", "documents"),
        "table 'documents' is not as softkv makes it",
    ),
    (SCHEMA_OF.format("'_from IN', '_from NOT IN'", "collections"), "table 'collections' is not as softkv makes it"),
    ("DROP TABLE folds_1", "table 'folds_1' is missing"),
    ("DROP TABLE folds_1; CREATE TABLE folds_1 (key)", "table 'folds_1' is not as softkv makes it"),
    ("DROP TABLE folds_1_data", "table 'folds_1_data' is missing"),
    ("CREATE VIRTUAL TABLE folds_2 USING fts5 (key)", "table 'folds_2' is not softkv's"),
    ("CREATE INDEX folds_3 ON documents (value)", "index 'folds_3' is not softkv's"),
    ("PRAGMA user_version = 0", "softkv had no schema version 0"),
    ('CREATE VIEW "\x1b[31m" AS SELECT 1', r"view '\x1b[31m' is not softkv's"),
]


def edit(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


def backup_of(path: Path) -> bytes:
    """Return a backup with a new valid head."""
    content = path.read_bytes()
    head = {"softkv_backup": 1, "schema": SCHEMA, "made": "2026-11-24T05:00:00+00:00", "length": len(content)}
    return json.dumps(head | {"sha256": hashlib.sha256(content).hexdigest()}).encode() + b"\n" + content


def refused(path: Path, message: str, error: type[StorageError] = DatabaseAltered) -> None:
    """Check that a start and a restore fail and leave everything as it is."""
    before = path.read_bytes()
    with pytest.raises(error, match=re.escape(message)):
        SQLiteStore.open(path.parent)
    assert path.read_bytes() == before
    elsewhere = path.parent.with_name("restored")
    with pytest.raises(error, match=re.escape(message)):
        restore(io.BytesIO(backup_of(path)), elsewhere)
    assert not (elsewhere / path.name).exists()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("sound")
    with SQLiteStore.open(directory) as store:
        collection(store, [document(f"{i}") for i in range(MAX_UNINDEXED + 1)])
    return (directory / "softkv.sqlite3").read_bytes()


@pytest.fixture
def path(sound: bytes, tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "softkv.sqlite3").write_bytes(sound)
    return directory / "softkv.sqlite3"


@pytest.mark.parametrize(("statements", "message"), EDITS, ids=[finding for _, finding in EDITS])
def test_whatever_is_strange_is_named(path: Path, statements: str, message: str) -> None:
    edit(path, statements)
    refused(path, message)


def test_a_table_that_calls_an_unsafe_function_is_refused(path: Path) -> None:
    edit(path, SCHEMA_OF.format("'value TEXT NOT NULL', 'value TEXT CHECK (load_extension(id))'", "documents"))
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.execute("SELECT count(*) FROM documents")
        except sqlite3.DatabaseError:  # SQLite itself rejects such a schema, as 3.53 does
            refused(path, "malformed database schema (documents)", DatabaseDamaged)
        else:
            refused(path, "table 'documents' is not as softkv makes it")


@pytest.mark.parametrize(
    "statements",
    [
        "ANALYZE",
        "VACUUM",
        "ALTER TABLE documents RENAME TO d; ALTER TABLE d RENAME TO documents",
        "ALTER TABLE collections RENAME COLUMN documents TO d; ALTER TABLE collections RENAME COLUMN d TO documents",
    ],
)
def test_harmless_changes_by_an_operator_are_accepted(path: Path, statements: str) -> None:
    edit(path, statements)
    with SQLiteStore.open(path.parent) as store:
        assert list(store.check()) == []
        collection(store, [document("b")], "another")
