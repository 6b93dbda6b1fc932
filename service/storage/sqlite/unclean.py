"""How a store was left: whether the process that had it closed it, and what a start makes of it where it did not.

SQLite keeps what was committed last in a log beside the file, and writes it back now and then. After an unclean stop
the log is there and nothing is lost. A file that says it is open and has no log beside it was separated from it: by
someone who deleted the log, or who copied the file alone. It is not opened, as the log could not be put back any more
once another was begun; an empty file in the log's place says to go on without.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection, OperationalError

from service.storage.errors import LogMissing
from service.storage.interface import UncleanShutdown
from service.storage.sqlite.schema.migrations import log


def require_closed(connection: Connection, path: Path) -> None:
    """Raise LogMissing where a process has not closed the file at `path`, whose log is not there; only reads."""
    if (last := connection.execute("SELECT pid FROM open_stores").fetchone()) is not None:
        raise LogMissing(path, log(path), int(last[0]))


class Found:
    """A store's file as it is found, before anything opens it."""

    def __init__(self, path: Path) -> None:
        self._started = time.perf_counter()
        self._log_bytes = log(path).stat().st_size if log(path).exists() else 0

    def left_open(self, connection: Connection) -> UncleanShutdown | None:
        """The process that had it before, if it did not close it; only reads."""
        last = connection.execute("SELECT pid FROM open_stores").fetchone()
        if last is None:
            return None
        collections, documents = connection.execute("SELECT count(*), sum(documents) FROM collections").fetchone()
        seconds = time.perf_counter() - self._started
        return UncleanShutdown(int(last[0]), self._log_bytes, collections, documents or 0, seconds)


def mark_open(connection: Connection) -> None:
    """Say in the file that this process has it open."""
    with suppress(OperationalError):  # a full disk must not keep the store from being read
        connection.execute("INSERT OR REPLACE INTO open_stores (one, pid) VALUES (1, ?)", (os.getpid(),))
        # Into the file itself, so that a copy of it without the log says so.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def mark_closed(connection: Connection) -> None:
    """Say in the file that nobody has it open."""
    with suppress(OperationalError):
        connection.execute("DELETE FROM open_stores")
