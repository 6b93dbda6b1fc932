"""A backup as it comes in: written part by part, and held against what its first line says of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from softkv.answers.backup import Backup
from softkv.calls.call import WRITE_SECONDS, Call, Plan
from softkv.calls.place import Known
from softkv.reply import Reply

_LONGEST_HEAD = 4096


def backup(
    known: Known, file: str | os.PathLike[str] | BinaryIO, *, progress: Callable[[int, int], object] | None = None
) -> Plan[Backup]:
    """Everything that the service stores at one instant, as `softkv restore` takes it.

    Args:
        file: where to; a path takes its name only when all of it is there and as it was sent, in place of what has
            that name. Or a file that is open for writing bytes.
        progress: is told how many bytes are there, and of how many.

    Raises:
        Forbidden: the key may not write.
        Refused: what came is not what the service said it would be.
    """
    with _written(file) as sink:
        copying = Copying(sink, progress)
        return (
            yield from Call(
                "GET", "/v1/backup", copying.done, take=copying.take, repeatable=False, timeout=WRITE_SECONDS
            )
        )


class Copying:
    """A backup that is being received."""

    def __init__(self, sink: BinaryIO, progress: Callable[[int, int], object] | None) -> None:
        self._sink = sink
        self._progress = progress
        self._line = b""
        self._head: dict[str, Any] | None = None
        self._digest = hashlib.sha256()
        self._bytes = 0

    def take(self, part: bytes) -> None:
        """Write the next part.

        Raises:
            ValueError: it is no backup.
        """
        self._sink.write(part)
        if self._head is None:
            self._line += part
            if b"\n" not in self._line:
                if len(self._line) > _LONGEST_HEAD:
                    raise ValueError("a backup begins with a line of JSON")
                return
            line, part = self._line.split(b"\n", 1)
            self._head = json.loads(line)
        self._digest.update(part)
        self._bytes += len(part)
        if self._progress is not None:
            self._progress(self._bytes, int(self._head["length"]))

    def done(self, _: Reply) -> Backup:
        """What was received.

        Raises:
            ValueError: that is not all, or not what was sent.
        """
        if self._head is None or (self._head["length"], self._head["sha256"]) != (
            self._bytes,
            self._digest.hexdigest(),
        ):
            raise ValueError("the backup did not come as it was sent")
        return Backup.read(self._head)


@contextmanager
def _written(file: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Where a backup goes; a path takes its name when the block has ended well."""
    if not isinstance(file, str | os.PathLike):
        yield file
        file.flush()
        return
    target = Path(file)
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
