"""Detection of unclean shutdowns: the file records which process has it open, so that the next process knows if it was
not closed.

SQLite keeps recent commits in a log beside the file, and writes them back from time to time. After an unclean shutdown
the log exists and nothing is lost. If a file is marked as open but has no log, the log was deleted, or the file was
copied without it. Such a file is not opened: once a new log is begun, the old one cannot be put back. An empty file in
the place of the log allows the store to open without it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection, OperationalError

from softkv_service.storage.errors import LogMissing
from softkv_service.storage.interface import UncleanShutdown
from softkv_service.storage.re_encoding import HIDDEN
from softkv_service.storage.sqlite.schema.version import SCHEMA


def log_path(path: Path) -> Path:
    """Return the path of SQLite's write-ahead log: commits that are not yet in the file at `path`."""
    return path.with_name(f"{path.name}-wal")


def require_closed(connection: Connection, path: Path) -> None:
    """Raise LogMissing if the file at `path`, which has no write-ahead log, was not closed by the process that last
    used it. Only reads.
    """
    if (row := connection.execute("SELECT pid FROM open_stores").fetchone()) is not None:
        raise LogMissing(path, log_path(path), int(row[0]))


class ShutdownProbe:
    """The state of a file before it is opened, for the report on an unclean shutdown."""

    def __init__(self, path: Path) -> None:
        self._started = time.perf_counter()
        self._log_bytes = log_path(path).stat().st_size if log_path(path).exists() else 0

    def unclean_shutdown(self, connection: Connection) -> UncleanShutdown | None:
        """Return a report on the process that last used the file if it did not close the file, else None.

        Only reads.
        """
        row = connection.execute("SELECT pid FROM open_stores").fetchone()
        if row is None:
            return None
        collections, documents = connection.execute(
            "SELECT count(*), sum(documents) FROM collections WHERE NOT name GLOB ?", (f"{HIDDEN}*",)
        ).fetchone()
        seconds = time.perf_counter() - self._started
        return UncleanShutdown(int(row[0]), self._log_bytes, collections, documents or 0, seconds)


def mark_open(connection: Connection) -> None:
    """Mark the file as open in this process, and as one of this version, which older ones do not open."""
    with suppress(OperationalError):  # a full disk must not keep the store from being read
        if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA,):
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("INSERT OR REPLACE INTO open_stores (one, pid) VALUES (1, ?)", (os.getpid(),))
        # Written into the file itself, so that a copy without the log has the mark.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def mark_closed(connection: Connection) -> None:
    """Mark the file as closed."""
    with suppress(OperationalError):
        connection.execute("DELETE FROM open_stores")
