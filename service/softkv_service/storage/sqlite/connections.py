"""Connections to the database file: setup, checks before opening, a pool for readers, and translated errors."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path
from typing import Any

from softkv_service.storage.checksums import AS_BYTES
from softkv_service.storage.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseMoved,
    DiskFull,
    StorageError,
    StorageFailed,
    StoreClosed,
)
from softkv_service.storage.fields import casefold
from softkv_service.storage.sqlite.recovery import log_path, require_closed
from softkv_service.storage.sqlite.schema.validation import is_older
from softkv_service.storage.sqlite.schema.version import check, create, migrate

# With less free space than this, an input/output error is taken for a full disk. SQLite has no code for
# ENOSPC when it grows its shared memory or syncs.
_FULL_BYTES = 1 << 20


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise a StorageError for every error of SQLite about the file at `path`."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> StorageError:
    """Return the StorageError for an error of SQLite about the file at `path`."""
    if isinstance(error, UnicodeDecodeError):  # SQLite quotes the damaged text in a message that Python cannot decode
        return DatabaseDamaged(path, "a text in it is not UTF-8")
    # The low byte is the family of the error code; callers cannot act on the rest.
    family = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if family in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseDamaged(path, str(error))
    if family == sqlite3.SQLITE_FULL or (family == sqlite3.SQLITE_IOERR and _is_full(path)):
        return DiskFull(
            f"no room is left to write to {path}: free some, or delete documents or a collection, for which a service "
            "keeps a little; nothing was lost, and reads go on"
        )
    if family in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseBusy(f"another program holds {path}: close it, and try again")
    return StorageFailed(f"{path} could not be read or written: {error}")


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FULL_BYTES
    except OSError:
        return False


_MAGIC = b"SQLite format 3\0"
_OLDEST = (3, 37, 0)  # STRICT tables
_IDLE_READERS = 8
_BUSY_SECONDS = 5.0

CHECKED_AT_OPEN = 2**28
"""Bytes: a smaller file is checked in a few tenths of a second, so always before it is opened."""


def open_database(path: Path, *, soon: bool = False) -> tuple[Connection, bool]:
    """Open the database, or create its tables if it is empty.

    Returns the writing connection, and whether pages were checked.

    Args:
        soon: do not check a large file. The caller has to call `require_sound` before any write.

    Raises DatabaseDamaged, DatabaseForeign, DatabaseAltered, DatabaseTooNew, DatabaseTooOld or LogMissing before
    anything is written.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StorageFailed(f"softkv needs SQLite 3.37 or later, this Python has {sqlite3.sqlite_version}: update it")
    _check_header(path)
    has_log = log_path(path).exists()
    connection = connect(path)
    try:
        version = check(connection, path)
        to_migrate = version > 0 and is_older(connection)
        checked = not soon or to_migrate or path.stat().st_size <= CHECKED_AT_OPEN
        if checked:
            require_sound(connection, path)
        if version and not has_log:
            require_closed(connection, path)
        if version == 0:
            create(connection)
        elif to_migrate:
            migrate(connection)
    except BaseException:
        connection.close()
        raise
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Some builds overwrite all deleted data with zeros: do so only in pages that are written anyway.
    connection.execute("PRAGMA secure_delete = FAST")
    # After a large write the log is truncated when it is copied back.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection, checked


class CaseFolds:
    """Texts after case folding, for SQL. They are kept, because each comparison of a filter folds the same texts again.

    SQLite's own lower() folds ASCII only.
    """

    def __init__(self, most_bytes: int = 2**24) -> None:
        self._most_bytes = most_bytes
        self._folds: dict[bytes, bytes] = {}
        self._bytes = 0

    def __call__(self, text: bytes | None) -> bytes | None:
        """Fold a text in UTF-8; it is bytes, because Python rejects a damaged text."""
        if text is None or (folded := self._folds.get(text)) is not None:
            return None if text is None else folded
        folded = casefold(text)
        self._bytes += len(text) + len(folded)
        if self._bytes <= self._most_bytes:
            self._folds[text] = folded
        return folded

    def clear(self) -> None:
        """Forget all texts, at the end of a request."""
        self._folds.clear()
        self._bytes = 0


class Connection(sqlite3.Connection):
    """A connection with the SQL functions `casefold` and `holds`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.folds = CaseFolds()
        self.create_function("casefold", 1, self.folds, deterministic=True)
        self.create_function("holds", 2, _holds, deterministic=True)


def _holds(text: bytes | None, part: bytes) -> bool | None:
    """Return whether a text contains a part, both in UTF-8, in time that grows with their lengths alone."""
    return None if text is None else part in text


def connect(path: Path | None) -> Connection:
    """Open a connection with explicit transactions.

    Args:
        path: the file; None opens a database in memory.
    """
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    # Damaged texts are decoded too, so that their checksums can be compared.
    connection.text_factory = methodcaller("decode", errors=AS_BYTES)
    # The schema of a file may call only SQLite's harmless functions, none of those above.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


class OpenFiles:
    """The identities of an open database file and of its log.

    A system lets other programs delete or replace open files. SQLite would go on writing to them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identities = {file: _identity(file) for file in (path, log_path(path)) if file.exists()}

    def require_unmoved(self) -> None:
        """Raise DatabaseMoved if one of the files is no longer at its path."""
        if any(_identity(file) != identity for file, identity in self._identities.items()):
            raise DatabaseMoved(self._path)


def _identity(file: Path) -> tuple[int, int] | None:
    """Return the device and the number of a file; None if it is missing."""
    try:
        status = os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


class ReadConnections:
    """A pool of read-only connections: idle ones are reused, and a new one is opened if none is idle."""

    def __init__(self, path: Path, files: OpenFiles) -> None:
        self._path, self._files = path, files
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def acquire(self) -> Iterator[sqlite3.Connection]:
        """Take a connection from the pool for the duration of the block; after an error it is closed.

        The error's traceback may keep a cursor that is not at its end. It would hold its snapshot, and the next reader
        of the connection would not see later writes.
        """
        with self._lock:
            if self._closed:
                raise StoreClosed(f"the store {self._path} was closed: open it again")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            self._files.require_unmoved()  # SQLite would make an empty file
            connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._return(connection)

    def close(self) -> None:
        """Close idle connections; one in use is closed when it is returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _return(self, connection: Connection) -> None:
        connection.folds.clear()
        with self._lock:
            reusable = not self._closed and len(self._idle) < _IDLE_READERS and not connection.in_transaction
            if reusable:
                self._idle.append(connection)
        if not reusable:
            connection.close()


def _check_header(path: Path) -> None:
    """Raise DatabaseDamaged if a file is not SQLite's, before SQLite touches it. An empty file is a new database."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read ({error.strerror}): see its permissions") from error
    if start and start != _MAGIC:
        raise DatabaseDamaged(path, "it is not a SQLite file")


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseDamaged if a page of the file violates SQLite's format; reads the whole file."""
    for defect in find_page_defects(connection, "quick_check"):
        raise DatabaseDamaged(path, defect)


def find_page_defects(connection: sqlite3.Connection, check: str) -> Iterator[str]:
    """Yield SQLite's line for each violation of its format, without those about full-text indexes.

    SQLite 3.44 and later looks into full-text indexes, too, after all pages. Such an index is made from the keys, so a
    damaged one keeps no store from being opened; `find_damage` names it on every version.

    Args:
        check: quick_check, or integrity_check, which also compares the indexes of tables with their rows.
    """
    for (line,) in connection.execute(f"PRAGMA {check}"):
        if line != "ok" and "fts5" not in line.lower():
            yield line
