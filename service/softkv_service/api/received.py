"""Files that calls receive: a folder of their own, places for a few at once, and a reserve of the disk."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from filelock import BaseFileLock, FileLock, Timeout

from softkv_service.api.problems.errors import QueueFull
from softkv_service.storage import PRIVATE
from softkv_service.storage.errors import DiskFull, StorageFailed

_PREFIX = "softkv-"
_LOCK = ".lock"
_ADVICE = "free some, set SOFTKV_RECEIVED_DIR to another disk, or load the file with `softkv load`"


class ReceivedFiles:
    """The files that calls have received, and that nothing needs after the answer. It belongs to one event loop.

    Args:
        folder: the folder, which several processes may share. Each has a folder in it, with a lock beside it.
        file_bytes: the most bytes of a file.
        files: how many files there may be at once.
        share: how many of them may be one caller's.
        reserve_bytes: how many bytes of the disk stay free.
        reserve_share: the part of the disk that stays free.
    """

    def __init__(
        self,
        folder: Path,
        file_bytes: int,
        *,
        files: int = 8,
        share: int = 2,
        reserve_bytes: int = 1 << 30,
        reserve_share: float = 0.05,
    ) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._files, self._share = files, share
        self._reserve_bytes, self._reserve_share = reserve_bytes, reserve_share
        self._taken: Counter[str] = Counter()
        self._opening = asyncio.Lock()
        self._own: Path | None = None
        self._lock: BaseFileLock | None = None

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[Path]:
        """Hold a place for a file of this caller within the block, and yield an empty folder for it.

        Raises:
            QueueFull: all places are taken, or the caller's.
            DiskFull: with this file, the disk would have less than its reserve; or the block found no room on it.
            StorageFailed: the folder cannot be used.
        """
        if self._taken.total() >= self._files:
            raise QueueFull(f"{self._files} files are being received or read, the limit of this service: try again")
        if self._taken[caller] >= self._share:
            raise QueueFull(f"{self._share} files of this caller are being received or read, its limit: try again")
        self._taken[caller] += 1
        folder: Path | None = None
        try:
            async with self._opening:
                folder = await asyncio.to_thread(self._make_folder, self._taken.total())
            yield folder
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"the disk of {self._folder} has no room for the file: {_ADVICE}") from None
            if folder is None:
                raise StorageFailed(
                    f"the directory of received files {self._folder} cannot be used ({error.strerror or error}): set "
                    "SOFTKV_RECEIVED_DIR to one that this user may write to"
                ) from None
            raise
        finally:
            self._taken -= Counter([caller])
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _make_folder(self, files: int) -> Path:
        if self._own is None or not self._own.is_dir():
            self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
            folder = Path(mkdtemp(prefix=_PREFIX, dir=self._folder))
            self._lock = FileLock(folder.with_suffix(_LOCK), thread_local=False)
            self._lock.acquire(blocking=False)
            self._own = folder
        disk = shutil.disk_usage(self._own)
        reserve = max(self._reserve_bytes, round(self._reserve_share * disk.total))
        if disk.free - files * self._file_bytes < reserve:
            raise DiskFull(
                f"the disk of {self._folder} has {disk.free:,} bytes free, and {reserve:,} must stay free beside "
                f"{files} files of at most {self._file_bytes:,}: {_ADVICE}"
            )
        return Path(mkdtemp(dir=self._own))

    def clear(self) -> None:
        """Remove the files of processes that have ended, such as those that were killed."""
        for folder in {path.with_suffix("") for path in self._folder.glob(f"{_PREFIX}*")}:
            with suppress(Timeout, OSError), FileLock(folder.with_suffix(_LOCK), blocking=False):
                _remove(folder)

    def close(self) -> None:
        """Remove the folder of this process."""
        if self._own is not None and self._lock is not None:
            _remove(self._own)
            self._lock.release()


def _remove(folder: Path) -> None:
    """Remove the folder of a process, and its lock."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(_LOCK).unlink(missing_ok=True)
