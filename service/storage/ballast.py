"""Ballast: room on the disk that nothing takes but a deletion, so that there is a way out when the disk is full."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

BALLAST_BYTES = 16 << 20
"""What a service keeps: enough to write SQLite's log back, and then to delete some thousand documents."""
_SHARE = 4  # of a disk it is a part so small, at most
_LEAST = 1 << 16


class Ballast:
    """A file that takes room for no other reason than to give it back.

    Args:
        path: of the file.
        size: of the file in bytes; less where the disk is small. 0: none is kept.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = min(size, shutil.disk_usage(path.parent).total // _SHARE)

    @property
    def kept(self) -> bool:
        """Whether there is room kept."""
        return self.size > 0 and self._path.exists()

    @property
    def free(self) -> int:
        """Bytes that this user may still write to the disk, the ballast aside."""
        return shutil.disk_usage(self._path.parent).free

    def short(self) -> bool:
        """Whether the disk has less room than a deletion may need."""
        return self.free < self.size

    def take(self) -> None:
        """Keep the room, unless it is kept already; where there is none, none is kept."""
        if not self.size or self._path.exists():
            return
        size = min(self.size, self.free)
        if size < _LEAST:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self.give()
        finally:
            os.close(descriptor)

    def give(self) -> None:
        """Have the room be free."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
