"""The schema's versions. Each migration is tried in one transaction with those that follow it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from service.storage.errors import DatabaseForeign, DatabaseTooNew

# "skv1": says in the file's header that it is ours.
APPLICATION_ID = 0x736B7631

Migration: TypeAlias = Callable[[sqlite3.Connection], None]


def from_sql(name: str) -> Migration:
    """The migration that runs a file of SQL beside this one."""

    def run(connection: sqlite3.Connection) -> None:
        for statement in _statements((Path(__file__).parent / name).read_text(encoding="utf-8")):
            connection.execute(statement)

    return run


# Append only: a migration's place in the list is the version it makes. A function may stand here too.
MIGRATIONS: tuple[Migration, ...] = (from_sql("0001_collections_and_documents.sql"),)


def check(connection: sqlite3.Connection, path: Path, known: int = len(MIGRATIONS)) -> int:
    """The file's schema version, 0 where it is empty; reads only.

    Raises DatabaseTooNew, or DatabaseForeign where another program made the file.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID:
        if objects or version or owner:
            raise DatabaseForeign(path)
        return 0
    if version > known:
        raise DatabaseTooNew(path, version, known)
    return int(version)


def migrate(connection: sqlite3.Connection, version: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the schema from `version` to the last one, or leave it as it was."""
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[version:]:
            migration(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
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
