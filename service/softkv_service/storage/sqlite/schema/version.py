"""The version of the schema: checks which version a file has, and creates the tables in an empty one.

Until the first release, schema.sql is edited in place. From then on, a change of it raises `SCHEMA` and brings a
migration, which `open_database` runs after `check`, in one transaction. Version 10 has the tables of 9, and full-text
indexes with bigrams; those of 11 have folded letters, too. `full_text.replace_older` builds them in the background.
Version 12 has the table `words`, and `collections` a column for it. Version 13 has the rows of `words` in parts. From
version 11 and earlier, `migrate` adds the table; from 12, it copies it. Version 14 has the column
`vectors.waiting` with its index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

from softkv_service.storage.errors import DatabaseAltered, DatabaseForeign, DatabaseTooNew, DatabaseTooOld
from softkv_service.storage.sqlite.schema.validation import (
    NO_WORDS,
    PARTED_WORDS,
    WHOLE_WORDS,
    find_version_of_words,
    has_waiting,
    read_script,
    require_own_schema,
)
from softkv_service.storage.sqlite.statements import all_or_none

SCHEMA, OLDEST = 14, 9
"""The version of schema.sql, and the oldest that is read. Builds before the first release wrote 1 to 8, too."""
APPLICATION_ID = 0x736B7631
"""Marks the file as softkv's in its header: "skv1"."""


def check(connection: Connection, path: Path) -> int:
    """Return the file's schema version, or 0 if it is empty; only reads.

    Raises:
        DatabaseTooNew: a later softkv wrote the file.
        DatabaseTooOld: a build before the first release wrote the file.
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
    if version < OLDEST:
        raise DatabaseTooOld(path, version, OLDEST)
    require_own_schema(connection, path)
    return int(version)


def migrate(connection: Connection) -> None:
    """Add what a database of an older version lacks, all or nothing."""
    with all_or_none(connection):
        version = find_version_of_words(connection)
        if version == NO_WORDS:
            connection.execute("ALTER TABLE collections ADD COLUMN late INTEGER")
        if version == WHOLE_WORDS:
            connection.execute("ALTER TABLE words RENAME TO whole_words")
        for statement in _statements(read_script()) if version < PARTED_WORDS else ():
            if "CREATE TABLE words" in statement or "CREATE TRIGGER" in statement:
                connection.execute(statement)
        if version == WHOLE_WORDS:
            connection.execute(
                'INSERT INTO words (id, words, checksum) SELECT "row" << 8, words, checksum FROM whole_words'
                ' ORDER BY "row"'
            )
            connection.execute("DROP TABLE whole_words")
        if not has_waiting(connection):
            connection.execute("ALTER TABLE vectors ADD COLUMN waiting INTEGER")
            for statement in _statements(read_script()):
                if "CREATE INDEX vectors_waiting" in statement:
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def create(connection: Connection) -> None:
    """Create the tables in an empty database, all or none of them."""
    # Five keys of the usual 384 floats fit into a page of 8192 bytes, only two into the default of 4096.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with all_or_none(connection):
        for statement in _statements(read_script()):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _statements(script: str) -> Iterator[str]:
    """Yield one statement after the other, because `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"The script ends within a statement: {statement.strip()[:60]!r}.")
