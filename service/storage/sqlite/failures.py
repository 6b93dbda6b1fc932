"""SQLite's errors in this room's words."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.storage.errors import DatabaseBusy, DatabaseDamaged, DiskFull, StorageError, StorageFailed

# Under this much room an input/output error is taken for what it is: SQLite has no code for
# ENOSPC where it grows its shared memory or syncs.
_NO_ROOM = 1 << 20


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise a StorageError for whatever SQLite says about the file at `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    except UnicodeDecodeError as error:  # SQLite quotes what it found in a message that Python cannot read
        raise DatabaseDamaged(path, "a text in it is not UTF-8") from error


def _translated(error: sqlite3.Error, path: Path) -> StorageError:
    # The low byte is the family; the rest says more than any caller can act on.
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
        return shutil.disk_usage(path.parent).free < _NO_ROOM
    except OSError:
        return False
