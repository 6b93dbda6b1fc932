"""The version of the schema: checks which version a database has, and creates the tables in one without them.

Until the first release, schema.sql is edited in place. From then on, a change of it raises `SCHEMA` and brings a
migration, which `prepare_schema` runs in its transaction. Those of versions 8 to 10 take no longer than one pass over
the documents. They lead to version 11, which becomes the last one once `bigrams.write_missing` has filled the column
`bigrams`. Version 13 has the table `words`, and `collections` a column for it; version 14 the column
`vectors.waiting`, version 15 the table `leases`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import Connection, Cursor, errors, sql

from softkv_service.storage.conditions import FOLDED_CHARACTERS
from softkv_service.storage.errors import DatabaseTooNew, DatabaseTooOld, StorageFailed

SCHEMA, OLDEST = 15, 8
"""The version of schema.sql, and the oldest that is read. Builds before the first release created 1 to 7, too."""
ADVISORY_LOCK = 0x736B7631
"""The advisory lock of the process that creates the tables: "skv1"."""
_OLDEST_SERVER = 150000  # NULLS NOT DISTINCT

_ADD_BIGRAMS = (
    "ALTER TABLE softkv.documents ADD COLUMN bigrams tsvector",
    "CREATE INDEX documents_by_bigrams ON softkv.documents USING gin (bigrams) WHERE bigrams IS NOT NULL",
)
_EMPTY_UNFOLDED = "UPDATE softkv.documents SET bigrams = NULL WHERE bigrams IS NOT NULL AND key ~ %s"
_ADD_WORDS = (
    "ALTER TABLE softkv.collections ADD COLUMN IF NOT EXISTS late smallint",
    'CREATE TABLE IF NOT EXISTS softkv.words (collection bigint NOT NULL, "row" bigint NOT NULL, words bytea NOT NULL,'
    ' checksum bigint NOT NULL, PRIMARY KEY (collection, "row"))',
    "ALTER TABLE softkv.words ALTER COLUMN words SET STORAGE EXTERNAL",
)
_ADD_WAITING = (
    "ALTER TABLE softkv.vectors ADD COLUMN IF NOT EXISTS waiting smallint",
    "CREATE INDEX IF NOT EXISTS vectors_waiting ON softkv.vectors (collection, document) WHERE waiting IS NOT NULL",
)
_ADD_LEASES = (
    "CREATE TABLE IF NOT EXISTS softkv.leases"
    ' (collection bigint PRIMARY KEY, owner text COLLATE "C" NOT NULL, renewed timestamptz NOT NULL)',
    "ALTER TABLE softkv.collections DROP COLUMN IF EXISTS words_owner, DROP COLUMN IF EXISTS words_renewed",
    "ALTER TABLE softkv.re_encodings DROP COLUMN IF EXISTS owner, DROP COLUMN IF EXISTS renewed",
)
_FILLING, _FILLED = 11, 12


def prepare_schema(connection: Connection[Any], address: str) -> bool:
    """Create or update the schema `softkv` in a database, completely or not at all; other processes wait.

    Return whether `bigrams.write_missing` has something to do.

    Raises:
        StorageFailed: the server is not a suitable PostgreSQL.
        DatabaseTooNew: a later softkv created the tables.
        DatabaseTooOld: a build before the first release created the tables.
    """
    refuse_unfit(connection, address)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        version = read_version(connection, address)
        if not version:
            _create(connection, address)
        for statement in _ADD_BIGRAMS if version == OLDEST else ():
            connection.execute(statement)
        for statement in (*_ADD_WORDS, *_ADD_WAITING, *_ADD_LEASES) if 0 < version < SCHEMA else ():
            connection.execute(statement)
        if _FILLED <= version < SCHEMA:
            connection.execute("UPDATE softkv.state SET schema_version = %s", (SCHEMA,))
        if 0 < version < _FILLING:
            connection.execute(_EMPTY_UNFOLDED, (FOLDED_CHARACTERS,))
            connection.execute("UPDATE softkv.state SET schema_version = %s", (_FILLING,))
        return 0 < version <= _FILLING


def refuse_unfit(connection: Connection[Any], address: str) -> None:
    """Raise StorageFailed if the server is too old or the database is not UTF-8."""
    if connection.info.server_version < _OLDEST_SERVER:
        version = connection.info.parameter_status("server_version")
        raise StorageFailed(f"softkv needs PostgreSQL 15 or later, {address} is {version}: update it")
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise StorageFailed(f"{address} has the encoding {encoding}: create a database with ENCODING 'UTF8'")


def read_version(connection: Connection[Any], address: str) -> int:
    """Return the version of the tables, or 0 in a database without softkv. Raises DatabaseTooNew or DatabaseTooOld."""
    exists = connection.execute("SELECT to_regclass('softkv.state') IS NOT NULL").fetchone()
    if exists is None or not exists[0]:
        return 0
    # Builds before the first release had another column for the version.
    row = connection.execute(
        "SELECT coalesce(row ->> 'schema_version', row ->> 'migrations')::int FROM (SELECT to_jsonb(s) AS row"
        " FROM softkv.state AS s) AS states"
    ).fetchone()
    version = 0 if row is None else int(row[0])
    if version > SCHEMA:
        raise DatabaseTooNew(address, version, SCHEMA)
    if version < OLDEST:
        raise DatabaseTooOld(address, version, OLDEST)
    return version


def _create(connection: Connection[Any], address: str) -> None:
    try:
        connection.execute("CREATE SCHEMA IF NOT EXISTS softkv")
    except errors.InsufficientPrivilege as error:
        raise StorageFailed(
            f"this user may not create the schema softkv in {address}: GRANT CREATE ON DATABASE to it"
        ) from error
    # Several statements without parameters; the file is part of softkv.
    script = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    Cursor(connection).execute(sql.SQL(script))  # that of the connection takes one statement
    connection.execute("INSERT INTO softkv.state (schema_version) VALUES (%s)", (SCHEMA,))
