"""The access log: a file with a JSON line for each change and each refusal by a key, rotated by size."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, BinaryIO

import orjson

from softkv_service.api.problems.errors import AccessLogUnwritable
from softkv_service.logs import log

PRIVATE = 0o600
"""The mode of the file: it names callers, their addresses and documents."""
FREE_BYTES = 1 << 18
"""The disk must have this much free space before a change, so that the change's line fits: a line has some kilobytes at
most, and many calls may be in progress.
"""
FILE_BYTES = 16 * 1024**2
"""The size at which a service's access log is rotated."""
FIELDS = ("at", "key", "address", "call", "collection", "request_id", "outcome")
"""The fields of each line. A line about documents also has `count`, and `ids` if they are few."""
FOLLOW_SECONDS = 0.25


@dataclass(frozen=True)
class _Waiting:
    line: bytes
    durable: bool
    written: Future[None]


class AccessLog:
    """The writer of an access log.

    One thread writes all lines that wait, and forces those of changes to the disk in one go. A line of a change that
    cannot be written is kept, and is written first when the file can be written again. Until then `check` refuses
    changes. Several processes may append to the same file: each opens it again when another has rotated it.

    Args:
        path: the file.
        max_bytes: a line that would make the file larger begins a new file.
        old_files: the number of rotated files that are kept, `path.1` (the newest), `path.2`, …

    Attributes:
        flaw: why the file cannot be written, or None.
    """

    def __init__(self, path: Path, *, max_bytes: int, old_files: int) -> None:
        self.path = path
        self.flaw: str | None = None
        self._max_bytes = max_bytes
        self._old_files = old_files
        self._file: BinaryIO | None = None
        self._identity: tuple[int, int] | None = None
        self._is_torn = False  # whether the file may end inside a line
        self._unwritten: list[bytes] = []
        self._waiting: SimpleQueue[_Waiting] = SimpleQueue()
        self._writing = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="access log")
        with self._writing:
            self._recover()

    def submit(self, entry: Mapping[str, Any], *, durable: bool) -> Future[None]:
        """Queue a line; the future is done when the line is written, and has an OSError if it cannot be.

        Args:
            entry: the fields of the line.
            durable: whether the line must survive a power failure, as that of a change must.
        """
        waiting = _Waiting(orjson.dumps(entry) + b"\n", durable, Future())
        self._waiting.put(waiting)
        self._thread.submit(self._write_waiting)
        return waiting.written

    def check(self) -> None:
        """Raise AccessLogUnwritable if the line of a change could not be written now. Try again first.

        A change is checked before it begins. So this does not wait for the thread that is writing.
        """
        if self.flaw is None and self._is_usable():
            return
        if self._writing.acquire(blocking=False):
            try:
                self._recover()
            finally:
                self._writing.release()
        if self.flaw is not None:
            raise AccessLogUnwritable(
                f"changes are refused until the access log can be written ({self.flaw}); reads go on"
            )

    def close(self) -> None:
        """Write the lines that wait, and close the file; blocks."""
        self._thread.shutdown()
        with self._writing:
            self._close()

    def _is_usable(self) -> bool:
        """Return whether the open file still has its name and may be written, and its disk has space."""
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError:
            return False
        return free >= FREE_BYTES and self._has_its_name() and os.access(self.path, os.W_OK)

    def _has_its_name(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _recover(self) -> None:
        """Open the file again if necessary, and write the lines that are left over."""
        try:
            self._reopen()
            if shutil.disk_usage(self.path.parent).free < FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            while self._unwritten:
                self._append(self._unwritten[0])
                self._sync()
                del self._unwritten[0]
        except OSError as error:
            self._settle(error)
        else:
            self._settle(None)

    def _write_waiting(self) -> None:
        with self._writing:
            waiting = list[_Waiting]()
            with suppress(Empty):
                while True:
                    waiting.append(self._waiting.get_nowait())
            done, flaw = 0, None
            try:
                if waiting:
                    self._reopen()
                for entry in waiting:
                    self._append(entry.line)
                    done += 1
            except OSError as error:
                flaw = error
            try:
                if any(entry.durable for entry in waiting[:done]):
                    self._sync()
            except OSError as error:
                done, flaw = 0, error
            if flaw is not None:
                self._settle(flaw)
                self._unwritten += [entry.line for entry in waiting[done:] if entry.durable]
            for number, entry in enumerate(waiting):
                if flaw is None or number < done:
                    entry.written.set_result(None)
                else:
                    entry.written.set_exception(flaw)

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        if size and size + len(line) > self._max_bytes:
            self._rotate()
        content = b"\n" + line if self._is_torn else line
        written = self._file.write(content)
        self._is_torn = written < len(content)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())

    def _reopen(self) -> None:
        """Open the file, unless it is open and still has its name."""
        if not self._has_its_name():
            self._close()
            self._open()

    def _open(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._is_torn = status.st_size > 0 and self._last_byte(status.st_size) != b"\n"

    def _last_byte(self, size: int) -> bytes:
        assert self._file is not None
        self._file.seek(size - 1)
        return self._file.read(1)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._identity = None

    def _rotate(self) -> None:
        """Give the full file the name of the newest old one, delete the oldest, and begin a new file."""
        self._close()
        for path, number in old_files(self.path):
            if number >= self._old_files:
                path.unlink(missing_ok=True)
            else:
                path.replace(_path_of(self.path, number + 1))
        self.path.replace(_path_of(self.path, 1))
        self._open()

    def _settle(self, error: OSError | None) -> None:
        flaw = None if error is None else error.strerror or str(error)
        if flaw is not None and flaw != self.flaw:
            log.error("the access log cannot be written, changes are refused", path=str(self.path), reason=flaw)
        elif flaw is None and self.flaw is not None:
            log.info("the access log can be written again", path=str(self.path))
        self.flaw = flaw


def old_files(path: Path) -> list[tuple[Path, int]]:
    """Return the rotated files of an access log with their numbers, the oldest first."""
    numbered = ((old, old.name.removeprefix(f"{path.name}.")) for old in path.parent.glob(f"{path.name}.*"))
    return sorted(((old, int(number)) for old, number in numbered if number.isdecimal()), key=lambda entry: -entry[1])


def _path_of(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


@dataclass(frozen=True)
class Torn:
    """A line that is not whole: the process or the machine stopped while it was written.

    Attributes:
        path: the file.
        number: the number of the line, from 1.
    """

    path: Path
    number: int


def read(path: Path, *, follow: bool = False) -> Iterator[dict[str, Any] | Torn]:
    """Yield the lines of an access log, the oldest first, those of rotated files included.

    Args:
        path: the file.
        follow: whether to go on with lines that are written later, without end. The end of a line is then awaited.

    Raises:
        OSError: the log does not exist, or one of its files cannot be read.
    """
    # Opened before the first line is read, so that a rotation meanwhile hides no file.
    files = [(old, old.open("rb")) for old, _ in old_files(path)]
    with suppress(FileNotFoundError):
        files.append((path, path.open("rb")))
    if not files:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    for name, file in files:
        with file:
            last = follow and name == path
            yield from _lines(name, file, awaits=last)
    while follow:
        with path.open("rb") as file:
            yield from _lines(path, file, awaits=True)


def _lines(path: Path, file: BinaryIO, *, awaits: bool) -> Iterator[dict[str, Any] | Torn]:
    """Yield the lines of one file; if `awaits`, until another file has its name."""
    number, rest = 0, b""
    while True:
        renamed = awaits and not _has_name(file, path)  # asked before the last read, so that no line is missed
        while line := file.readline():
            rest += line
            if rest.endswith(b"\n"):
                number += 1
                yield _parse(rest) or Torn(path, number)
                rest = b""
        if not awaits or renamed:
            break
        time.sleep(FOLLOW_SECONDS)
    if rest:
        yield Torn(path, number + 1)


def _has_name(file: BinaryIO, path: Path) -> bool:
    """Return whether a file still has its name; while it has none, nothing else has."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and all(field in entry for field in FIELDS) else None
