"""The versions of the schema: creates the latest one, and brings files of older versions to it.

A file of version 1 is replaced by a new file; a file of a later version is changed in place.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import TypeAlias

from service.storage.checksums import AS_BYTES, document_checksum, id_hash, settings_checksum, vectors_checksum
from service.storage.directory import sync_directory
from service.storage.errors import DatabaseAltered, DatabaseForeign, DatabaseTooNew, StorageFailed
from service.storage.fields import INSTANT, Kind
from service.storage.instants import parse_instant
from service.storage.sqlite import full_text
from service.storage.sqlite.schema.validation import read_script, require_own_schema, require_tables

SCHEMA = 7
APPLICATION_ID = 0x736B7631
"""Marks the file as softkv's in its header: "skv1"."""

Report: TypeAlias = Callable[[int, int], object]
"""Receives how many documents are done, and how many there are."""

_BATCH = 4096  # documents of a transaction
# The settings of schemas 1 and 2: no low-bit codes, no calibration.
_SETTINGS_1 = "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key"
# The columns in the form that a checksum covers, with the default values of the later columns.
_CHECKED_1 = _SETTINGS_1.replace("null_key", "'proven', null_key, NULL")

_COPY_DOCUMENTS = """\
INSERT INTO main.documents ("row", collection, id, key, value, metadata, keys, id_hash, checksum)
SELECT "row", collection, id, key, value, metadata, 1, id_hash(id),
       document_checksum("row", collection, id, key, value, metadata, 1)
FROM old.documents WHERE "row" > ? AND "row" <= ?"""

_COPY_VECTORS = """\
INSERT INTO main.vectors ("row", document, key_vector, value_vector, checksum)
SELECT "row", "row", key_vector, value_vector,
       vectors_checksum("row", "row", NULL, NULL, key_vector, value_vector)
FROM old.vectors WHERE "row" > ? AND "row" <= ?"""


def check(connection: Connection, path: Path) -> int:
    """Return the file's schema version, or 0 if it is empty; only reads.

    A version that `migrate` changes in place is compared in full only afterwards. Here it is only checked for views
    and triggers.

    Raises:
        DatabaseTooNew: a later softkv wrote the file.
        DatabaseForeign: another program made the file.
        DatabaseAltered: the schema is not the one of its version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID:
        if objects or version or owner:
            raise DatabaseForeign(path)
        return 0
    if version > SCHEMA:
        raise DatabaseTooNew(path, version, SCHEMA)
    if version < 1:
        raise DatabaseAltered(path, [f"softkv had no schema version {version}"])
    if version in MIGRATIONS:
        require_tables(connection, path)
    else:
        require_own_schema(connection, path, None if version == SCHEMA else version)
    return int(version)


def create(connection: Connection) -> None:
    """Create the tables of the latest version in an empty database, all or none of them."""
    # Five keys of the usual 384 floats fit into a page of 8192 bytes, only two into the default of 4096.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with _all_or_none(connection):
        for statement in _statements(read_script()):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def migrate(connection: Connection, path: Path, version: int) -> None:
    """Change a file of an older version to the latest one in place, completely or not at all.

    Raises DatabaseAltered if the result does not have the schema of the latest version.
    """
    with _all_or_none(connection):
        while version in MIGRATIONS:
            MIGRATIONS[version](connection)
            version += 1
        connection.execute(f"PRAGMA user_version = {version}")
        require_own_schema(connection, path)


def log_path(path: Path) -> Path:
    """Return the path of SQLite's write-ahead log: commits that are not yet in the file at `path`."""
    return path.with_name(f"{path.name}-wal")


def rewrite_path(path: Path) -> Path:
    """Return the path at which the replacement of the file at `path` is written.

    A file found there is left from an interrupted rewrite.
    """
    return path.with_name(f"{path.name}.new")


def rewrite(path: Path, version: int, report: Report) -> None:
    """Replace the file of an older version at `path` by one of the latest version with the same contents.

    The old file stays the store, unchanged, until the new one replaces it. If the disk is full or the process is
    killed, the next start begins again. The disk needs space for both files. No other connection may have the file
    open, and its log must be written back.
    """
    new = rewrite_path(path)
    new.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            # No other connection sees the file before it is complete, so it needs no journal for a rollback.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA trusted_schema = OFF")
            create(connection)
            REWRITES[version](connection, path, report)
        with new.open("r+b") as file:  # Windows forces only files to the disk that may be written
            os.fsync(file.fileno())
        if log_path(path).exists():  # SQLite would take it for the new file's log
            raise StorageFailed(f"{log_path(path)} is in use by another program: close it, and start again")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)


def _copy_from_1(connection: Connection, path: Path, report: Report) -> None:
    """Fill an empty database of the latest version from a file of schema 1, and keep its row numbers.

    Schema 1, of softkv 0.1.0, had no checksums, one vector per document and no order for samples.
    """
    for function in (id_hash, document_checksum, vectors_checksum):
        connection.create_function(function.__name__, -1, function, deterministic=True)
    connection.create_function("settings_checksum", -1, lambda name, *stored: settings_checksum(name, stored))
    connection.execute("ATTACH ? AS old", (str(path),))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(
        f"INSERT INTO main.collections (id, name, checksum, documents, {_SETTINGS_1})"
        f" SELECT id, name, settings_checksum(name, {_CHECKED_1}),"
        f" (SELECT count(*) FROM old.documents WHERE collection = collections.id), {_SETTINGS_1} FROM old.collections"
    )
    for number, documents in connection.execute("SELECT id, documents FROM main.collections").fetchall():
        full_text.keep_up(connection, number, documents)
    (total,) = connection.execute("SELECT count(*) FROM old.documents").fetchone()
    copied, last = 0, 0
    while copied < total:
        (end,) = connection.execute(
            'SELECT max("row") FROM (SELECT "row" FROM old.documents WHERE "row" > ? ORDER BY "row" LIMIT ?)',
            (last, _BATCH),
        ).fetchone()
        connection.execute("BEGIN")
        copied += connection.execute(_COPY_DOCUMENTS, (last, end)).rowcount
        connection.execute(_COPY_VECTORS, (last, end))
        keys = defaultdict(list)
        for number, row, key in connection.execute(
            'SELECT collection, "row", key FROM old.documents WHERE "row" > ? AND "row" <= ?', (last, end)
        ):
            keys[number].append((row, key))
        for number, indexed in keys.items():
            full_text.add(connection, number, indexed)
        connection.execute("COMMIT")
        last = end
        report(copied, total)
    connection.execute("BEGIN")
    connection.execute('INSERT INTO main.fields SELECT collection, field, element, kind, value, "row" FROM old.fields')
    add_instants(connection)
    connection.execute("DELETE FROM main.sqlite_sequence")
    connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM old.sqlite_sequence")
    connection.execute("COMMIT")
    connection.execute("DETACH old")


def _migrate_from_2(connection: Connection) -> None:
    """Change schema 2 to 3 within a transaction: add the columns of low-bit codes, which leave collections as they are.

    Schema 2 had no basis and no seed of low-bit codes.
    """
    connection.execute(
        "ALTER TABLE collections"
        " ADD COLUMN basis TEXT NOT NULL DEFAULT 'proven' CHECK (basis IN ('proven', 'measured'))"
    )
    connection.execute("ALTER TABLE collections ADD COLUMN thin_seed BLOB CHECK (length(thin_seed) = 32)")
    rows = connection.execute(f"SELECT id, name, checksum, {_SETTINGS_1} FROM collections").fetchall()
    for number, name, checksum, *settings, null in rows:
        # A damaged collection keeps its checksum, so that the damage stays visible.
        if settings_checksum(name, (*settings, null)) == checksum:
            new_checksum = settings_checksum(name, (*settings, "proven", null, None))
            connection.execute("UPDATE collections SET checksum = ? WHERE id = ?", (new_checksum, number))


def _migrate_from_3(connection: Connection) -> None:
    """Change schema 3 to 4 within a transaction; checksums stay, since they leave out a missing calibration.

    Schema 3 had no calibration, only an empty table for it that was never written to.
    """
    connection.execute("DROP TABLE IF EXISTS calibrations")
    connection.execute("ALTER TABLE collections ADD COLUMN calibration TEXT")


def _migrate_from_4(connection: Connection) -> None:
    """Change schema 4 to 5 within a transaction: drop the full-text indexes of small collections.

    Schema 4 had one for every collection.
    """
    small = connection.execute("SELECT id FROM collections WHERE documents <= ?", (full_text.MAX_UNINDEXED,))
    for (number,) in small.fetchall():
        full_text.drop(connection, number)


def _migrate_from_5(connection: Connection) -> None:
    """Change schema 5 to 6 within a transaction: create its new tables, which are empty; checksums stay.

    Schema 5 had no aliases, no jobs that move a collection to another encoder, no measurements of encoders, and did not
    record the models of encoders.
    """
    connection.execute("ALTER TABLE collections ADD COLUMN encoder_model TEXT")
    _create_tables(connection, "aliases", "re_encodings", "copied_rows", "encoder_measurements")


def _migrate_from_6(connection: Connection) -> None:
    """Change schema 6 to 7 within a transaction: add columns, a table, and the instants of dates; checksums stay.

    Schema 6 had no documents that expire, no default options of questions and no feedback. Its filters did not compare
    instants.
    """
    connection.execute("ALTER TABLE collections ADD COLUMN expire_after INTEGER CHECK (expire_after > 0)")
    connection.execute("ALTER TABLE collections ADD COLUMN defaults TEXT")
    connection.execute("ALTER TABLE collections ADD COLUMN first_expiry INTEGER")
    connection.execute("ALTER TABLE documents ADD COLUMN expires INTEGER")
    _create_tables(connection, "feedback")
    connection.execute("CREATE INDEX documents_by_expiry ON documents (collection, expires) WHERE expires IS NOT NULL")
    add_instants(connection)


def add_instants(connection: Connection) -> None:
    """Add a row with its instant for each text of the metadata that is a date."""
    connection.create_function(
        "instant", 1, lambda text: parse_instant(text.decode(errors=AS_BYTES)), deterministic=True
    )
    connection.execute(
        f'INSERT INTO main.fields SELECT collection, field, {INSTANT}, {int(Kind.NUMBER)}, instant, "row" FROM'
        ' (SELECT collection, field, instant(CAST(value AS BLOB)) AS instant, "row" FROM main.fields'
        f" WHERE element = 0 AND kind = {int(Kind.TEXT)} AND value GLOB '[0-9][0-9][0-9][0-9]*')"
        " WHERE instant IS NOT NULL"
    )


def _create_tables(connection: Connection, *tables: str) -> None:
    """Create tables of the latest version, and their indexes."""
    with closing(sqlite3.connect(":memory:")) as latest:
        latest.executescript(read_script())
        for table in tables:
            for (statement,) in latest.execute(
                "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC", (table,)
            ):
                connection.execute(statement)


REWRITES: Mapping[int, Callable[[Connection, Path, Report], None]] = {1: _copy_from_1}
"""For each version that is written anew: fills an empty database of the latest version from a file of it."""

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: _migrate_from_2,
    3: _migrate_from_3,
    4: _migrate_from_4,
    5: _migrate_from_5,
    6: _migrate_from_6,
}
"""For each version that is changed in place: turns it into the next one."""


@contextmanager
def _all_or_none(connection: Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Yield one statement after the other, because `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"The migration ends within a statement: {statement.strip()[:60]!r}.")
