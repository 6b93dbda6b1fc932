"""The versions of the schema: numbered SQL files, each run once, by one process at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psycopg import Connection, errors, sql

from service.storage.errors import DatabaseTooNew, StorageFailed
from service.storage.fields import INSTANT, Kind
from service.storage.instants import parse_instant

ADVISORY_LOCK = 0x736B7631
"""The advisory lock of a migration: "skv1"."""
_OLDEST = 150000  # NULLS NOT DISTINCT
_FIRST_WITH_INSTANTS = 6  # earlier schemas had no rows with the instants of dates


def files() -> Mapping[int, Path]:
    """Return the SQL files by their numbers, which ascend from 1."""
    return {int(path.stem): path for path in sorted(Path(__file__).parent.glob("*.sql"))}


def migrate(connection: Connection[Any], address: str) -> None:
    """Bring the schema `softkv` of a database to the latest version, completely or not at all; other processes wait.

    Raises:
        StorageFailed: the server is not a suitable PostgreSQL.
        DatabaseTooNew: a later softkv wrote the schema.
    """
    refuse_unfit(connection, address)
    migrations = files()
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        done = count_migrations(connection, address)
        if not done:
            _create(connection, address)
        for number, path in migrations.items():
            if number > done:
                # Several statements without parameters; the file is part of softkv.
                connection.execute(sql.SQL(path.read_text(encoding="utf-8")))
                if number == _FIRST_WITH_INSTANTS:
                    add_instants(connection)
                connection.execute("UPDATE softkv.state SET migrations = %s", (number,))


def add_instants(connection: Connection[Any]) -> None:
    """Add a row with its instant for each text of the metadata that is a date."""
    texts = connection.execute(
        f"SELECT DISTINCT text FROM softkv.fields WHERE element = 0 AND kind = {int(Kind.TEXT)}"
        " AND text ~ '^[0-9]{4}' AND length(text) <= 64"
    )
    instants = [(text, instant) for (text,) in texts if (instant := parse_instant(text)) is not None]
    connection.execute('CREATE TEMPORARY TABLE instants (text text COLLATE "C", instant bigint) ON COMMIT DROP')
    with connection.cursor() as cursor, cursor.copy("COPY instants FROM STDIN") as copy:
        for row in instants:
            copy.write_row(row)
    connection.execute(
        'INSERT INTO softkv.fields (collection, field, element, kind, number, whole, "row")'
        f' SELECT collection, field, {INSTANT}, {int(Kind.NUMBER)}, instant, true, "row"'
        f" FROM softkv.fields JOIN instants USING (text) WHERE element = 0 AND kind = {int(Kind.TEXT)}"
    )


def refuse_unfit(connection: Connection[Any], address: str) -> None:
    """Raise StorageFailed if the server is too old or the database is not UTF-8."""
    if connection.info.server_version < _OLDEST:
        version = connection.info.parameter_status("server_version")
        raise StorageFailed(f"softkv needs PostgreSQL 15 or later, {address} is {version}: update it")
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise StorageFailed(f"{address} has the encoding {encoding}: create a database with ENCODING 'UTF8'")


def count_migrations(connection: Connection[Any], address: str) -> int:
    """Return how many migrations were run; 0 in a database without softkv. Raises DatabaseTooNew."""
    exists = connection.execute("SELECT to_regclass('softkv.state') IS NOT NULL").fetchone()
    done = 0
    if exists is not None and exists[0]:
        row = connection.execute("SELECT migrations FROM softkv.state").fetchone()
        done = 0 if row is None else int(row[0])
    if done > (latest := max(files())):
        raise DatabaseTooNew(address, done, latest)
    return done


def _create(connection: Connection[Any], address: str) -> None:
    try:
        connection.execute("CREATE SCHEMA IF NOT EXISTS softkv")
    except errors.InsufficientPrivilege as error:
        raise StorageFailed(
            f"this user may not create the schema softkv in {address}: GRANT CREATE ON DATABASE to it"
        ) from error
