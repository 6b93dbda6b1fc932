"""Connections to the one file: how they are set up, and a pool of those that read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.storage.checksums import AS_BYTES
from service.storage.errors import DatabaseDamaged, StorageFailed, StoreClosed
from service.storage.fields import casefold
from service.storage.sqlite.schema.migrations import (
    MIGRATIONS,
    REWRITES,
    SCHEMA,
    Report,
    change,
    check,
    create,
    log,
    unfinished,
    write_anew,
)
from service.storage.sqlite.soundness import require_sound
from service.storage.sqlite.unclean import require_closed

_MAGIC = b"SQLite format 3\0"
_OLDEST = (3, 37, 0)  # STRICT tables
_IDLE_READERS = 8
_BUSY_SECONDS = 5.0

SOON_CHECKED = 2**28
"""Bytes of a file that is checked in some tenths of a second."""


def open_database(path: Path, report: Report, *, soon: bool = False) -> tuple[sqlite3.Connection, bool]:
    """(The writing connection, its schema the last one; and whether its file was found sound).

    Args:
        report: is told how many documents are written anew, and how many there are.
        soon: leave a large file of the last schema to the caller, who has to `require_sound` before it is written to.

    Raises DatabaseDamaged, DatabaseForeign, DatabaseAltered, DatabaseTooNew or LogMissing before anything is written.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StorageFailed(f"softkv needs SQLite 3.37 or later, this Python has {sqlite3.sqlite_version}: update it")
    _check_header(path)
    unfinished(path).unlink(missing_ok=True)
    logged = log(path).exists()
    connection = connect(path)
    try:
        version = check(connection, path)
        checked = not soon or version != SCHEMA or path.stat().st_size <= SOON_CHECKED
        if checked:
            require_sound(connection, path)
        if version and version not in REWRITES and not logged:  # which did not say whether they are closed
            require_closed(connection, path)
        if version == 0:
            create(connection)
        if version in MIGRATIONS:
            change(connection, path, version)
    except BaseException:
        connection.close()
        raise
    if version in REWRITES:
        connection.close()  # which writes its log back
        write_anew(path, version, report)
        connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Some builds write zeros over whatever is deleted: only where the page is written anyway.
    connection.execute("PRAGMA secure_delete = FAST")
    # A log that a large write made long is cut once it is copied back.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection, checked


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection in which every transaction is begun and ended in so many words; None: in memory."""
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _text
    # SQLite's own lower() knows ASCII only. Bytes, as a damaged text is no argument that Python takes.
    connection.create_function("casefold", 1, lambda text: None if text is None else casefold(text), deterministic=True)
    # What a file's own schema calls may be SQLite's harmless functions only, none of those above.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _text(stored: bytes) -> str:
    """A text as it is stored; of a damaged one too there has to be something that its checksum can be held against."""
    return stored.decode(errors=AS_BYTES)


class ReadConnections:
    """Connections that only read; an idle one is taken again, and a new one made where none is idle."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A connection for as long as the block runs."""
        with self._lock:
            if self._closed:
                raise StoreClosed(f"the store {self._path} was closed: open it again")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle ones; one in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            keep = not self._closed and len(self._idle) < _IDLE_READERS and not connection.in_transaction
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _check_header(path: Path) -> None:
    """Refuse what is no SQLite file at all before SQLite touches it. An empty file is a new one."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read ({error.strerror}): see its permissions") from error
    if start and start != _MAGIC:
        raise DatabaseDamaged(path, "it is not a SQLite file")
