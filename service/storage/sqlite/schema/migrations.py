"""The schema's versions: a new file is given the last one, an older file is written anew in it, or changed in place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from service.storage.errors import DatabaseAltered, DatabaseForeign, DatabaseTooNew, StorageFailed
from service.storage.sqlite.schema import schema_1, schema_2, schema_3
from service.storage.sqlite.schema.comparison import require_own, require_tables, script

SCHEMA = 4
# "skv1": says in the file's header that it is ours.
APPLICATION_ID = 0x736B7631

Report: TypeAlias = Callable[[int, int], object]
"""Is told how many documents are done, and how many there are."""

# An older version → what fills an empty database of the last one from a file of it.
REWRITES: Mapping[int, Callable[[sqlite3.Connection, Path, Report], None]] = {1: schema_1.copy}

# An older version that little is to be changed of → what makes the next one of it.
MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {2: schema_2.change, 3: schema_3.change}


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The file's schema version, 0 where it is empty; reads only.

    Raises DatabaseTooNew, DatabaseForeign where another program made the file, or DatabaseAltered where its schema is
    not its version's. Of a version that `change` knows that can be told afterwards; it has no view and no trigger.
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
        require_own(connection, path, None if version == SCHEMA else version)
    return int(version)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the last version in an empty database, all or none of them."""
    # Five keys of the usual 384 floats fit a page, of the default 4096 bytes only two.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with _all_or_none(connection):
        for statement in _statements(script()):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def change(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Make the last version of an older one where it lies, all of it or nothing.

    Raises DatabaseAltered where that has not the last version's schema then.
    """
    with _all_or_none(connection):
        while version in MIGRATIONS:
            MIGRATIONS[version](connection)
            version += 1
        connection.execute(f"PRAGMA user_version = {version}")
        require_own(connection, path)


def log(path: Path) -> Path:
    """Where SQLite keeps what was committed and is not in the file at `path` yet."""
    return path.with_name(f"{path.name}-wal")


def unfinished(path: Path) -> Path:
    """Where the file at `path` is written anew; what is found there was interrupted."""
    return path.with_name(f"{path.name}.new")


def write_anew(path: Path, version: int, report: Report) -> None:
    """Put a file of the last version, with all that the older one at `path` holds, in its place.

    Until the last moment the old file is the store and stays as it is: where the disk is full, or the process is
    killed, the next start begins again. It takes as much room once more meanwhile. Nobody may have the file open, and
    its log must be written back.
    """
    new = unfinished(path)
    new.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            # Nobody else sees the file before it is complete, so it needs no journal to be taken back by.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA trusted_schema = OFF")
            create(connection)
            REWRITES[version](connection, path, report)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if log(path).exists():  # it would be taken for the new file's
            raise StorageFailed(f"{log(path)} is in use by another program: close it, and start again")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _all_or_none(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """One statement after the other: `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"the migration ends within a statement: {statement.strip()[:60]!r}")
