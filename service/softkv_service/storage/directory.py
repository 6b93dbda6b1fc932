"""The data directory of a store: its files, the lock on it, and the ballast file that reserves disk space."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from softkv_service.storage.errors import DirectoryLocked, DirectoryUnusable

PRIVATE = 0o700
"""The mode of a new directory with documents: only this user may read it. On Windows, administrators may too."""
_COPY = "softkv.copy-"
_locked_here = set[tuple[int, Path]]()
"""The directories that this process has locked, each with the id of the process: a forked one has none."""


class Directory:
    """A data directory and the lock on it; the operating system releases the lock when the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "softkv.sqlite3"
        self.ballast = path / "softkv.ballast"
        self._owner = path / "softkv.pid"
        self._lock_file = path / "softkv.lock"
        self._lock = FileLock(self._lock_file, thread_local=False)
        self._created: list[Path] = []  # by `acquire`, the parents first

    def new_copy(self) -> Path:
        """Return a path for a copy of the database; `acquire` deletes copies that an earlier process left behind."""
        return self.path / f"{_COPY}{uuid.uuid4().hex}"

    def acquire(self) -> None:
        """Create the directory and lock it, or raise DirectoryLocked or DirectoryUnusable without waiting."""
        try:
            self._create()
        except Timeout:
            by_this_process = self._key() in _locked_here
            raise DirectoryLocked(self.path, self._pid(), by_this_process=by_this_process) from None
        except OSError as error:
            raise DirectoryUnusable(
                f"the data directory {self.path} cannot be used ({error.strerror or error}): "
                f"choose one this user may write to"
            ) from error
        _locked_here.add(self._key())
        for copy in self.path.glob(f"{_COPY}*"):  # of a process that was killed
            copy.unlink(missing_ok=True)
        try:
            self._owner.write_text(f"{os.getpid()}\n")
        except OSError:
            # The process id only improves a message; a full disk must not prevent reading the store.
            self._owner.unlink(missing_ok=True)

    def release(self) -> None:
        """Release the lock on the directory, so that another process may use it."""
        self._owner.unlink(missing_ok=True)
        _locked_here.discard(self._key())
        self._lock.release()

    def withdraw(self) -> None:
        """Release the lock, and remove what `acquire` created, so that a refusal leaves no directories."""
        self._owner.unlink(missing_ok=True)
        _locked_here.discard(self._key())
        # Removed before the release: a process that has opened the file meanwhile sees that it has no name any more.
        self._remove_created()
        self._lock.release()

    def _create(self) -> None:
        """Create the directory and its missing parents, and lock it; or remove again what was created, and raise.

        Only this user may read a new data directory; its parents get the usual mode.
        """
        missing = takewhile(lambda directory: not directory.exists(), (self.path, *self.path.parents))
        try:
            for directory in reversed(list(missing)):
                try:
                    directory.mkdir(mode=PRIVATE if directory == self.path else 0o777)
                except FileExistsError:  # another process was first
                    if not directory.is_dir():
                        raise
                else:
                    self._created.append(directory)
            lock_is_new = not self._lock_file.exists()
            self._lock.acquire(blocking=False)
        except BaseException:
            self._remove_created()
            raise
        if lock_is_new:
            self._created.append(self._lock_file)

    def _remove_created(self) -> None:
        """Remove what `acquire` created; a directory that another process has written to stays."""
        while self._created:
            path = self._created.pop()
            with suppress(OSError):
                if path == self._lock_file:
                    path.unlink()
                else:
                    path.rmdir()

    def _key(self) -> tuple[int, Path]:
        return os.getpid(), self.path.resolve()

    def _pid(self) -> int | None:
        """Return the id of the process that has the lock, or None if that process could not write its id into the lock
        file.
        """
        try:
            return int(self._owner.read_text())
        except (OSError, ValueError):
            return None


BALLAST_BYTES = 16 << 20
"""The ballast of a service: enough to write SQLite's log back, and then to delete a few thousand documents."""
_CHUNK = 1 << 20  # bytes written at a time
_MAX_SHARE = 4  # at most one byte in 4 of the disk
_MIN_BYTES = 1 << 16


class Ballast:
    """A file that reserves disk space for deletions, so that a full disk can be freed again.

    Args:
        path: the path of the file.
        size: the size of the file in bytes; reduced on a small disk. 0 reserves nothing.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = min(size, shutil.disk_usage(path.parent).total // _MAX_SHARE)

    @property
    def reserved(self) -> bool:
        """Whether the disk space is reserved now."""
        return self.size > 0 and self._path.exists()

    @property
    def free(self) -> int:
        """The free bytes of the disk that this user may write to, not counting the ballast."""
        return shutil.disk_usage(self._path.parent).free

    def is_needed(self) -> bool:
        """Return whether the disk has less free space than a deletion may need."""
        return self.free < self.size

    def reserve(self) -> None:
        """Create the file, unless it exists or the disk lacks the space."""
        if not self.size or self._path.exists():
            return
        size = min(self.size, self.free)
        if size < _MIN_BYTES:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                _allocate(file, size)
        except OSError:
            self.release()

    def release(self) -> None:
        """Delete the file, so that its space is free."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _allocate(file: BinaryIO, size: int) -> None:
    """Make an empty file this large, with its disk space; macOS and Windows reserve space only for written bytes."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    file.writelines(bytes(min(_CHUNK, size - start)) for start in range(0, size, _CHUNK))


def sync_directory(path: Path) -> None:
    """Force the names of the files in a directory to the disk, so that they survive a crash.

    Do nothing on Windows, which opens no directory.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
