"""The data directory: made if it is not there, and owned by one process at a time."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from service.storage.errors import DirectoryLocked, DirectoryUnusable

_COPY = "softkv.copy-"


class Directory:
    """A data directory and the lock on it; the system gives the lock back however the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "softkv.sqlite3"
        self.ballast = path / "softkv.ballast"
        self._owner = path / "softkv.pid"
        self._lock = FileLock(path / "softkv.lock", thread_local=False)

    def new_copy(self) -> Path:
        """A name for a copy of the database; what lies under such a name when the directory is acquired is removed."""
        return self.path / f"{_COPY}{uuid.uuid4().hex}"

    def acquire(self) -> None:
        """Make the directory and lock it, or raise DirectoryLocked or DirectoryUnusable at once."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise DirectoryLocked(self.path, self._pid()) from None
        except OSError as error:
            raise DirectoryUnusable(
                f"the data directory {self.path} cannot be used ({error.strerror or error}): "
                f"choose one this user may write to"
            ) from error
        for left in self.path.glob(f"{_COPY}*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        try:
            self._owner.write_text(f"{os.getpid()}\n")
        except OSError:
            # The number only helps a message; a full disk must not keep the store from being read.
            self._owner.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock back."""
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _pid(self) -> int | None:
        """Who holds the lock, as far as its owner could write it down."""
        try:
            return int(self._owner.read_text())
        except (OSError, ValueError):
            return None
