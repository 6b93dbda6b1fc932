"""Backups: a header line with length and checksum, then the database file. So an incomplete backup is always
recognised.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from softkv_service.storage.directory import Directory, sync_directory
from softkv_service.storage.errors import BackupDamaged, BackupUnsupported, DirectoryTaken
from softkv_service.storage.interface import Store
from softkv_service.storage.sqlite.connections import connect, require_sound, translate_errors
from softkv_service.storage.sqlite.schema.version import SCHEMA, check
from softkv_service.storage.sqlite.store import SQLiteStore

FORMAT = 1
_MAX_HEADER_BYTES = 4096
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BackupHeader:
    """The first line of a backup, in JSON.

    Attributes:
        softkv_backup: the version of this format.
        schema: the schema version of the database.
        made: the time of the backup, in UTC (ISO 8601).
        length: the length of the database that follows, in bytes.
        sha256: the SHA-256 of the database, in hexadecimal.
    """

    softkv_backup: int
    schema: int
    made: str
    length: int
    sha256: str

    def line(self) -> bytes:
        """Return the header as the first line of a backup file."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, source: BinaryIO) -> Self:
        """Read the header at the beginning of a file.

        Raises:
            BackupDamaged: the header is invalid, or from a later version of softkv.
        """
        line = source.readline(_MAX_HEADER_BYTES)
        try:
            values = json.loads(line)
            header = cls(**{name: values[name] for name in _PATTERNS})
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BackupDamaged("this is not a backup of softkv: give a file that `softkv backup` wrote") from None
        # Compared as JSON, so that true is not 1. Length and checksum are checked when all was read.
        for name, pattern in _PATTERNS.items():
            if not re.fullmatch(pattern, json.dumps(values[name])):
                raise BackupDamaged(
                    f"the first line of the backup is not as `softkv backup` writes it, {name} is wrong: copy the "
                    "original again"
                )
        if header.softkv_backup > FORMAT:
            raise BackupDamaged(
                f"a later softkv wrote this backup (format {header.softkv_backup}): restore it with that"
            )
        return header


_PATTERNS = {
    "softkv_backup": r"[0-9]{1,9}",
    "schema": r"[0-9]{1,9}",
    "made": r'"[0-9T:.Z+-]{1,40}"',
    "length": r"[0-9]{1,18}",
    "sha256": r'"[0-9a-f]{64}"',
}


@dataclass(frozen=True)
class Backup:
    """A backup that is ready to be read: its header, and the database file at its beginning."""

    header: BackupHeader
    database: BinaryIO

    @property
    def size(self) -> int:
        """The total number of bytes."""
        return len(self.header.line()) + self.header.length

    def chunks(self) -> Iterator[bytes]:
        """Yield the header, then the database in chunks of 1 MiB."""
        yield self.header.line()
        while chunk := self.database.read(_CHUNK):
            yield chunk


@contextmanager
def backup(store: Store) -> Iterator[Backup]:
    """Back up everything that is stored at one instant; readers and writers go on.

    Raises:
        BackupUnsupported: the store is PostgreSQL, which has its own backups.
        DiskFull: the disk has no space for a copy of the store.
    """
    if not isinstance(store, SQLiteStore):
        raise BackupUnsupported()
    made = datetime.now(UTC).isoformat(timespec="seconds")
    with store.copy() as path, path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(0)
        yield Backup(BackupHeader(FORMAT, SCHEMA, made, size, digest), file)


def restore(source: BinaryIO, directory: Path) -> BackupHeader:
    """Restore a backup into a data directory without a store, completely or not at all.

    A refused restore leaves the file system as it was, without the directories that it created.

    Raises:
        OSError: the file cannot be read, or the disk has no space for the store.
        DirectoryTaken: the directory has a store, which stays as it is.
        BackupDamaged: the content of the backup differs from its checksum, or is truncated.
        DirectoryLocked, DirectoryUnusable, DatabaseTooNew, DatabaseTooOld, DatabaseAltered: as when a store is opened.
    """
    data = Directory(directory)
    data.acquire()
    try:
        if data.database.exists():
            raise DirectoryTaken(directory)
        header = BackupHeader.read(source)
        copy = data.new_copy()
        try:
            _copy(source, header, copy)
            _verify(copy)
            copy.replace(data.database)
        finally:
            for path in directory.glob(f"{copy.name}*"):  # with a journal of SQLite
                path.unlink(missing_ok=True)
        sync_directory(directory)
    except BaseException:
        data.withdraw()
        raise
    data.release()
    return header


def _copy(source: BinaryIO, header: BackupHeader, target: Path) -> None:
    digest, remaining = hashlib.sha256(), header.length
    with target.open("xb") as file:
        while remaining and (chunk := source.read(min(_CHUNK, remaining))):
            digest.update(chunk)
            file.write(chunk)
            remaining -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if remaining:
        raise BackupDamaged(f"the backup ends {remaining} bytes before its end: copy the original again")
    if source.read(1) or digest.hexdigest() != header.sha256:
        raise BackupDamaged("the backup is not what was written, by its checksum: copy the original again")


def _verify(path: Path) -> None:
    """Check that this version of softkv can open the restored database at `path`."""
    with translate_errors(path), closing(connect(path)) as connection:
        if check(connection, path) == 0:
            raise BackupDamaged("the backup holds no store")
        require_sound(connection, path)
