"""The schema's versions: numbered files, each run once, by one process at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psycopg import Connection, errors, sql

from service.storage.errors import DatabaseTooNew, StorageFailed

ADVISORY_LOCK = 0x736B7631
"""Who migrates holds it: "skv1"."""
_OLDEST = 150000  # NULLS NOT DISTINCT


def files() -> Mapping[int, Path]:
    """By their numbers, which ascend from 1."""
    return {int(path.stem): path for path in sorted(Path(__file__).parent.glob("*.sql"))}


def migrate(connection: Connection[Any], address: str) -> None:
    """Bring the schema `softkv` of a database to the last version, all or nothing; others wait meanwhile.

    Raises:
        StorageFailed: it is no PostgreSQL that will do.
        DatabaseTooNew: a later softkv was there.
    """
    refuse_unfit(connection, address)
    wanted = files()
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        done = run(connection, address)
        if not done:
            _create(connection, address)
        for number, path in wanted.items():
            if number > done:
                # One statement after another, without parameters: the file is ours.
                connection.execute(sql.SQL(path.read_text(encoding="utf-8")))
                connection.execute("UPDATE state SET migrations = %s", (number,))


def refuse_unfit(connection: Connection[Any], address: str) -> None:
    """Raises StorageFailed where that is no PostgreSQL that will do."""
    if connection.info.server_version < _OLDEST:
        version = connection.info.parameter_status("server_version")
        raise StorageFailed(f"softkv needs PostgreSQL 15 or later, {address} is {version}: update it")
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise StorageFailed(f"{address} has the encoding {encoding}: create a database with ENCODING 'UTF8'")


def run(connection: Connection[Any], address: str) -> int:
    """How many were run; 0 in a database that is new to softkv. Raises DatabaseTooNew."""
    found = connection.execute("SELECT to_regclass('softkv.state') IS NOT NULL").fetchone()
    row = connection.execute("SELECT migrations FROM state").fetchone() if found is not None and found[0] else None
    done = 0 if row is None else int(row[0])
    if done > (known := max(files())):
        raise DatabaseTooNew(address, done, known)
    return done


def _create(connection: Connection[Any], address: str) -> None:
    try:
        connection.execute("CREATE SCHEMA IF NOT EXISTS softkv")
    except errors.InsufficientPrivilege as error:
        raise StorageFailed(
            f"this user may not create the schema softkv in {address}: GRANT CREATE ON DATABASE to it"
        ) from error
