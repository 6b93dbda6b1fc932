"""Space of what was deleted goes back to the disk, a little at a time, so that no writer waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection, OperationalError
from threading import Lock, Thread

from service.storage.sqlite.schema.migrations import log

_STEP_PAGES = 64  # half a megabyte: some tens of milliseconds
_KEPT_PAGES = 128  # a file that grows again takes them without asking the disk
_LEAST_PAGES = 512  # below that many free ones it is not worth the work,
_LEAST_SHARE = 16  # and below that part of the file
_PATIENCE_MS, _USUAL_MS = 50, 5000


def worth_giving(connection: Connection) -> bool:
    """Whether so much of the file is free that it should go back."""
    return _free(connection) > max(_LEAST_PAGES, _count(connection, "page_count") // _LEAST_SHARE)


def give_some(connection: Connection) -> bool:
    """Cut free pages off the file, some megabytes at most → whether there are more. Nobody may write meanwhile."""
    if _free(connection) <= _KEPT_PAGES:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_STEP_PAGES})").fetchall()
    return True


def write_back(connection: Connection) -> bool:
    """Copy the log into the file, so that both become short → whether that was done: a reader may need the log."""
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    try:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except OperationalError:  # there is no room: what is in the log stays there
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_USUAL_MS}")
    return not busy


def log_bytes(path: Path) -> int:
    """How long the log of the file at `path` is."""
    with suppress(FileNotFoundError):
        return log(path).stat().st_size
    return 0


class VacuumThread:
    """A thread that gives space back while there is any, and leaves writers as much time as it takes itself.

    Args:
        step: gives some back; False where there is nothing more to do.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._running = Lock()

    def begin(self) -> None:
        """Begin, unless it runs already."""
        if self._running.acquire(blocking=False):
            try:
                Thread(target=self._run, name="give space back", daemon=True).start()
            except RuntimeError:  # no memory for a thread: after the next deletion
                self._running.release()

    def _run(self) -> None:
        try:
            going = True
            while going:
                started = time.perf_counter()
                going = self._step()
                time.sleep(time.perf_counter() - started)
        finally:
            self._running.release()


def _free(connection: Connection) -> int:
    return _count(connection, "freelist_count")


def _count(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
