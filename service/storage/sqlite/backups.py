"""Backups: a store's one file behind a line that says what it is, so that a part of it is never taken for it."""

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

from service.storage.directory import Directory
from service.storage.errors import BackupDamaged, BackupUnsupported, DirectoryTaken
from service.storage.interface import Store
from service.storage.sqlite.connections import connect
from service.storage.sqlite.failures import translate_errors
from service.storage.sqlite.schema.migrations import MIGRATIONS, SCHEMA, change, check
from service.storage.sqlite.soundness import require_sound
from service.storage.sqlite.store import SQLiteStore

FORMAT = 1
_LONGEST_HEAD = 4096
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BackupHeader:
    """The first line of a backup, in JSON.

    Attributes:
        softkv_backup: the version of this format.
        schema: that of the database.
        made: when, in UTC (ISO 8601).
        length: of the database behind this line, in bytes.
        sha256: of the same, in hexadecimal.
    """

    softkv_backup: int
    schema: int
    made: str
    length: int
    sha256: str

    def line(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, source: BinaryIO) -> Self:
        """The head that a file begins with.

        Raises:
            BackupDamaged: it is none, or that of a later version of softkv.
        """
        line = source.readline(_LONGEST_HEAD)
        try:
            said = json.loads(line)
            head = cls(**{name: said[name] for name in _FORMS})
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BackupDamaged("this is no backup of softkv: give a file that `softkv backup` wrote") from None
        # As JSON has them: true is not 1. What the digits of a length say beyond that is known when all was read.
        for name, form in _FORMS.items():
            if not re.fullmatch(form, json.dumps(said[name])):
                raise BackupDamaged(
                    f"the first line of the backup is not as `softkv backup` writes it, {name} is wrong: copy it again "
                    "from where it was made"
                )
        if head.softkv_backup > FORMAT:
            raise BackupDamaged(f"a later softkv wrote this backup (format {head.softkv_backup}): restore it with that")
        return head


_FORMS = {
    "softkv_backup": r"[0-9]{1,9}",
    "schema": r"[0-9]{1,9}",
    "made": r'"[0-9T:.Z+-]{1,40}"',
    "length": r"[0-9]{1,18}",
    "sha256": r'"[0-9a-f]{64}"',
}


@dataclass(frozen=True)
class Backup:
    """A backup that is ready to be read: its head, and the database from the beginning."""

    head: BackupHeader
    database: BinaryIO

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.head.line()) + self.head.length

    def parts(self) -> Iterator[bytes]:
        """All of it, in parts of some size."""
        yield self.head.line()
        while chunk := self.database.read(_CHUNK):
            yield chunk


@contextmanager
def backup(store: Store) -> Iterator[Backup]:
    """Everything that is stored at one instant; who reads or writes does not wait.

    Raises:
        BackupUnsupported: the store is no file, and its database has its own way.
        DiskFull: the data directory has no room for as much once more.
    """
    if not isinstance(store, SQLiteStore):
        raise BackupUnsupported()
    made = datetime.now(UTC).isoformat(timespec="seconds")
    with store.copied() as path, path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(0)
        yield Backup(BackupHeader(FORMAT, SCHEMA, made, size, digest), file)


def restore(source: BinaryIO, directory: Path) -> BackupHeader:
    """Put a backup into a data directory that has no store; it is there as a whole or not at all.

    Raises:
        DirectoryTaken: there is a store already; it stays as it is.
        BackupDamaged: the backup is not what was written, or ends before its end.
        DirectoryLocked, DirectoryUnusable, DatabaseTooNew, DatabaseAltered: as of a store that is opened.
    """
    owned = Directory(directory)
    owned.acquire()
    try:
        if owned.database.exists():
            raise DirectoryTaken(directory)
        head = BackupHeader.read(source)
        unproven = owned.new_copy()
        try:
            _copy(source, head, unproven)
            _prove(unproven)
            unproven.replace(owned.database)
        finally:
            unproven.unlink(missing_ok=True)
        _sync(directory)
    finally:
        owned.release()
    return head


def _copy(source: BinaryIO, head: BackupHeader, target: Path) -> None:
    digest, left = hashlib.sha256(), head.length
    with target.open("xb") as file:
        while left and (chunk := source.read(min(_CHUNK, left))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if left:
        raise BackupDamaged(f"the backup ends {left} bytes before its end: copy it again from where it was made")
    if source.read(1) or digest.hexdigest() != head.sha256:
        raise BackupDamaged("the backup is not what was written, by its checksum: copy it again from where it was made")


def _prove(path: Path) -> None:
    """See that a softkv of this version can open it."""
    with translate_errors(path), closing(connect(path)) as connection:
        version = check(connection, path)
        if version == 0:
            raise BackupDamaged("the backup holds no store")
        require_sound(connection, path)
        if version in MIGRATIONS:  # of which it is known only then whether its schema is softkv's
            change(connection, path, version)


def _sync(directory: Path) -> None:
    """Have the system write down the names in it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
