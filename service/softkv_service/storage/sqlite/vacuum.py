"""Vacuum: the space of deleted documents is returned to the disk in small steps, so that no writer waits long."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection, OperationalError
from threading import Lock, Thread

from softkv_service.storage.sqlite.recovery import log_path

_STEP_PAGES = 64  # half a megabyte: some tens of milliseconds
_SPARE_PAGES = 128  # stay in the file, so that it can grow again without asking the disk
_MIN_FREE_PAGES = 512  # with fewer free pages it is not worth the work,
_MIN_FREE_SHARE = 16  # nor with less than one free page in 16
_CHECKPOINT_TIMEOUT_MS, _DEFAULT_TIMEOUT_MS = 50, 5000


def is_worthwhile(connection: Connection) -> bool:
    """Return whether the file has enough free pages to be worth returning to the disk."""
    return _free_pages(connection) > max(_MIN_FREE_PAGES, _read_pragma(connection, "page_count") // _MIN_FREE_SHARE)


def shrink(connection: Connection) -> bool:
    """Cut at most 64 free pages off the file; return whether there may be more. The caller holds the writer's lock."""
    if _free_pages(connection) <= _SPARE_PAGES:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_STEP_PAGES})").fetchall()
    return True


def vacuum(connection: Connection) -> bool:
    """Return some free space to the disk, the log's after the file's; return whether there may be more."""
    if shrink(connection):
        return True
    checkpoint(connection)
    return False


def checkpoint(connection: Connection) -> bool:
    """Copy the log into the file and truncate it; return False if a reader needs the log."""
    connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_TIMEOUT_MS}")
    try:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except OperationalError:  # the disk is full: commits stay in the log
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_DEFAULT_TIMEOUT_MS}")
    return not busy


def log_bytes(path: Path) -> int:
    """Return the size of the log of the file at `path` in bytes, or 0 if it is missing."""
    with suppress(FileNotFoundError):
        return log_path(path).stat().st_size
    return 0


class StepThread:
    """A thread that writes in small steps. After each step it pauses as long as the step took, for other writers.

    Args:
        name: the name of the thread.
        step: does a part of the work; its result is False if there is nothing more to do.
    """

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self._name, self._step = name, step
        self._running = Lock()

    def begin(self) -> None:
        """Start the thread, unless it runs already."""
        if self._running.acquire(blocking=False):
            try:
                Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError:  # no memory for a thread: the next deletion, or start, tries again
                self._running.release()

    def _run(self) -> None:
        try:
            more = True
            while more:
                started = time.perf_counter()
                more = self._step()
                time.sleep(time.perf_counter() - started)
        finally:
            self._running.release()


def _free_pages(connection: Connection) -> int:
    return _read_pragma(connection, "freelist_count")


def _read_pragma(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
