"""The log of the changes in each version of a collection, for processes that have the collection in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from psycopg import Connection

from softkv_postgres.statements import numbers
from softkv_service.storage.errors import CollectionMissing
from softkv_service.storage.records import ChangeSummary, RowNumbers, VersionChange

RETENTION = "10 minutes"
"""Time for which deleted documents stay for readers of older versions, and the log for processes that are behind."""


def append(
    connection: Connection[Any],
    collection: int,
    version: int,
    first: int,
    count: int,
    removed: RowNumbers,
    documents: int,
    keyless: int,
) -> None:
    """Log the changes of a version, and add to the collection's counts of documents and of documents without a key.

    Args:
        first, count: the row numbers that the version reserved.
        documents, keyless: how much the counts grow; negative for deletions.
    """
    connection.execute(
        "WITH now AS (UPDATE softkv.collections SET documents = documents + %s, keyless = keyless + %s WHERE id = %s"
        " RETURNING id, documents, keyless)"
        " INSERT INTO softkv.changes (collection, version, first, count, removed, documents, keyless)"
        " SELECT id, %s, %s, %s, %s, documents, keyless FROM now",
        (documents, keyless, collection, version, first, count, numbers(removed)),
    )


def changes_since(connection: Connection[Any], collection: int, version: int) -> ChangeSummary | None:
    """Return the sum of all changes after a version, or None if nothing changed or the log starts later."""
    rows = connection.execute(
        "SELECT version, first, removed, documents, keyless,"
        " (SELECT first_expiry FROM softkv.collections WHERE id = changes.collection) FROM softkv.changes"
        " WHERE collection = %s AND version > %s ORDER BY version",
        (collection, version),
    ).fetchall()
    if not rows:
        return None
    if [row[0] for row in rows] != list(range(version + 1, version + 1 + len(rows))):
        return None
    removed = np.concatenate([np.array(row[2], dtype=np.int64) for row in rows])
    last, _, _, documents, keyless, first_expiry = rows[-1]
    return ChangeSummary(last, rows[0][1], np.sort(removed), documents, keyless, first_expiry)


def version_changes(connection: Connection[Any], collection: int, version: int) -> list[VersionChange] | None:
    """Return the changes of each version after `after`, in order, or None if the log starts later."""
    rows = connection.execute(
        "SELECT version, first, count, removed, extract(epoch FROM clock_timestamp() - at)::float8 FROM softkv.changes"
        " WHERE collection = %s AND version > %s ORDER BY version",
        (collection, version),
    ).fetchall()
    if [row[0] for row in rows] != list(range(version + 1, version + 1 + len(rows))):
        return None
    return [
        VersionChange(number, first, count, np.array(removed, dtype=np.int64), seconds)
        for number, first, count, removed, seconds in rows
    ]


def is_retained(connection: Connection[Any], collection: int, version: int) -> bool:
    """Return whether the store certainly still has all rows of a version, also those deleted later.

    Raise CollectionMissing.
    """
    row = connection.execute(
        "SELECT version <= %(version)s OR EXISTS (SELECT FROM softkv.changes WHERE changes.collection = collections.id"
        f" AND changes.version = %(version)s + 1 AND at > clock_timestamp() - interval '{RETENTION}')"
        " FROM softkv.collections WHERE id = %(collection)s",
        {"collection": collection, "version": version},
    ).fetchone()
    if row is None:
        raise CollectionMissing(collection)
    return bool(row[0])


def count_at(connection: Connection[Any], collection: int, version: int) -> int:
    """Return how many documents a version has."""
    row = connection.execute(
        "SELECT documents FROM softkv.changes WHERE collection = %s AND version = %s", (collection, version)
    ).fetchone()
    return 0 if row is None else int(row[0])
