"""Deletion of documents that no reader needs any more, a few at a time, while other transactions write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any

from psycopg import Connection

from softkv_postgres.change_log import RETENTION

INTERVAL_SECONDS = 60.0

_UNNEEDED = 'SELECT "row" FROM softkv.documents WHERE collection = %s AND died <= %s LIMIT %s FOR UPDATE SKIP LOCKED'


def collect_garbage(connection: Connection[Any], limit: int) -> bool:
    """Delete documents and log entries that were kept long enough for older readers.

    Return whether there may be more of them.

    The latest version's log entry stays.

    Args:
        limit: how many documents of each collection to delete.
    """
    horizons = connection.execute(
        "SELECT changes.collection, max(changes.version)"
        " FROM softkv.changes JOIN softkv.collections ON collections.id = collection"
        f" WHERE at < clock_timestamp() - interval '{RETENTION}' AND changes.version < collections.version"
        " GROUP BY changes.collection"
    ).fetchall()
    more = False
    for collection, horizon in horizons:
        with connection.transaction():
            rows = [row for (row,) in connection.execute(_UNNEEDED, (collection, horizon, limit))]
            _delete(connection, collection, rows)
            if len(rows) < limit:
                statement = "DELETE FROM softkv.changes WHERE collection = %s AND version <= %s"
                connection.execute(statement, (collection, horizon))
            more = more or len(rows) == limit
    return more


def _delete(connection: Connection[Any], collection: int, rows: Sequence[int]) -> None:
    statement = (
        'DELETE FROM softkv.words WHERE collection = %s AND "row" IN'
        ' (SELECT "row" FROM softkv.vectors WHERE collection = %s AND document = ANY(%s))'
    )
    connection.execute(statement, (collection, collection, list(rows)))
    for table, column in (("vectors", "document"), ("fields", '"row"'), ("documents", '"row"')):
        statement = f"DELETE FROM softkv.{table} WHERE collection = %s AND {column} = ANY(%s)"
        connection.execute(statement, (collection, list(rows)))


class GarbageCollector:
    """A thread that deletes documents that no reader needs any more: after a write, and at most once a minute.

    Args:
        step: deletes a few documents; returns False after the last ones.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._running = Lock()
        self._last = time.monotonic()

    def begin(self) -> None:
        """Start the thread, unless it runs or ran within the last minute."""
        if time.monotonic() - self._last > INTERVAL_SECONDS and self._running.acquire(blocking=False):
            self._last = time.monotonic()
            try:
                Thread(target=self._run, name="garbage collection", daemon=True).start()
            except RuntimeError:  # no memory for a thread
                self._running.release()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        finally:
            self._running.release()
