"""How the store was left: a process that has it open says so in the file itself, and takes it back on closing.

SQLite keeps what was committed last in a log beside the file, and writes it back now and then. After an unclean stop
the log is there and nothing is lost. A file that says it is open and has no log beside it was separated from it: by
someone who deleted the log, or who copied the file alone.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress


def mark_open(connection: sqlite3.Connection) -> int | None:
    """Say in the file that this process has it open; the process that had it before and did not close it, if any."""
    last = connection.execute("SELECT pid FROM open_stores").fetchone()
    with suppress(sqlite3.OperationalError):  # a full disk must not keep the store from being read
        connection.execute("INSERT OR REPLACE INTO open_stores (one, pid) VALUES (1, ?)", (os.getpid(),))
        # Into the file itself, so that a copy of it without the log says so.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return None if last is None else int(last[0])


def mark_closed(connection: sqlite3.Connection) -> None:
    """Take that back."""
    with suppress(sqlite3.OperationalError):
        connection.execute("DELETE FROM open_stores")
