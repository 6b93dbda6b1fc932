"""The log of what each version of a collection did, for the memories that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import Connection

from service.storage.errors import CollectionMissing
from service.storage.postgres.forms import numbers
from service.storage.records import ChangeSummary, RowNumbers, VersionChange

KEPT = "10 minutes"
"""How long what is gone stays for who reads an older version, and the log for who is behind."""


def keep(
    connection: Connection[Any],
    collection: int,
    version: int,
    first: int,
    count: int,
    removed: RowNumbers,
    documents: int,
    keyless: int,
) -> None:
    """What a version did, and that the collection holds so many documents, and keyless ones, more from then on."""
    connection.execute(
        "WITH now AS (UPDATE collections SET documents = documents + %s, keyless = keyless + %s WHERE id = %s"
        " RETURNING id, documents, keyless)"
        " INSERT INTO changes (collection, version, first, count, removed, documents, keyless)"
        " SELECT id, %s, %s, %s, %s, documents, keyless FROM now",
        (documents, keyless, collection, version, first, count, numbers(removed)),
    )


def after(connection: Connection[Any], collection: int, version: int) -> ChangeSummary | None:
    """All that was done since a version; None where the log does not go back so far."""
    found = connection.execute(
        "SELECT version, first, removed, documents, keyless FROM changes"
        " WHERE collection = %s AND version > %s ORDER BY version",
        (collection, version),
    ).fetchall()
    if not found:
        return None
    if [row[0] for row in found] != list(range(version + 1, version + 1 + len(found))):
        return None
    removed = np.concatenate([np.array(row[2], dtype=np.int64) for row in found])
    last, _, _, documents, keyless = found[-1]
    return ChangeSummary(last, found[0][1], np.sort(removed), documents, keyless)


def one_by_one(connection: Connection[Any], collection: int, version: int) -> list[VersionChange] | None:
    """What each version since one did, in order; None where the log does not go back so far."""
    found = connection.execute(
        "SELECT version, first, count, removed, extract(epoch FROM clock_timestamp() - at)::float8 FROM changes"
        " WHERE collection = %s AND version > %s ORDER BY version",
        (collection, version),
    ).fetchall()
    if [row[0] for row in found] != list(range(version + 1, version + 1 + len(found))):
        return None
    return [
        VersionChange(own, first, count, np.array(removed, dtype=np.int64), seconds)
        for own, first, count, removed, seconds in found
    ]


def kept(connection: Connection[Any], collection: int, version: int) -> bool:
    """Whether nothing of a version can have been deleted yet; raises CollectionMissing."""
    found = connection.execute(
        "SELECT version <= %(version)s OR EXISTS (SELECT FROM changes WHERE changes.collection = collections.id"
        f" AND changes.version = %(version)s + 1 AND at > clock_timestamp() - interval '{KEPT}')"
        " FROM collections WHERE id = %(collection)s",
        {"collection": collection, "version": version},
    ).fetchone()
    if found is None:
        raise CollectionMissing(collection)
    return bool(found[0])


def count_at(connection: Connection[Any], collection: int, version: int) -> int:
    """How many documents a version has."""
    row = connection.execute(
        "SELECT documents FROM changes WHERE collection = %s AND version = %s", (collection, version)
    ).fetchone()
    return 0 if row is None else int(row[0])


def forget(connection: Connection[Any], most: int) -> bool:
    """Delete what has been gone for long, some documents at a time → whether there is more; the last version stays."""
    found = connection.execute(
        "SELECT changes.collection, max(changes.version) FROM changes JOIN collections ON collections.id = collection"
        f" WHERE at < clock_timestamp() - interval '{KEPT}' AND changes.version < collections.version"
        " GROUP BY changes.collection"
    ).fetchall()
    more = False
    for collection, horizon in found:
        with connection.transaction():
            rows = [row for (row,) in connection.execute(_DEAD, (collection, horizon, most))]
            _delete(connection, collection, rows)
            if len(rows) < most:
                connection.execute("DELETE FROM changes WHERE collection = %s AND version <= %s", (collection, horizon))
            more = more or len(rows) == most
    return more


_DEAD = 'SELECT "row" FROM documents WHERE collection = %s AND died <= %s LIMIT %s FOR UPDATE SKIP LOCKED'


def _delete(connection: Connection[Any], collection: int, rows: Sequence[int]) -> None:
    for table, column in (("vectors", "document"), ("fields", '"row"'), ("documents", '"row"')):
        statement = f"DELETE FROM {table} WHERE collection = %s AND {column} = ANY(%s)"
        connection.execute(statement, (collection, list(rows)))
