"""What the service is, what it holds, and whether it is ready."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from softkv.answers.info import CollectionInfo, Model, Readiness, ServiceInfo, parse_collection_info, parse_service_info
from softkv.answers.writes import Backup
from softkv.calls.call import WRITE_TIMEOUT, Call, Page, Paging, Plan, ServiceCache
from softkv.problems import Reply, invalid_value, raise_flaws
from softkv.validation import MAX_PAGE_SIZE, check_number, describe_value


def info(known: ServiceCache) -> Call[ServiceInfo]:
    """Its version, its encoder, whether it wants keys, every limit by name, and what holds its keys."""

    def parse(reply: Reply) -> ServiceInfo:
        found = parse_service_info(reply.json())
        known.limits = found.limits
        return found

    return Call("GET", "/v1", parse)


def get_limit(known: ServiceCache, name: str) -> Plan[int]:
    """One of its limits, asked for once."""
    limits = known.limits
    if limits is None:
        limits = (yield from info(known)).limits
    return limits[name]


def access(known: ServiceCache) -> Call[Literal["read", "write"]]:
    """What this client's key allows."""
    return Call("GET", "/v1/collections", lambda reply: reply.json()["access"], (("limit", "0"),))


def collections(known: ServiceCache, prefix: str = "", *, page: int = 1000) -> Paging[CollectionInfo]:
    """Every collection, by name; those that begin with `prefix`. `page` is how many come at a time."""
    raise_flaws(check_number(page, "/limit", least=1, most=MAX_PAGE_SIZE))

    def parse(reply: Reply) -> Page[CollectionInfo]:
        content = reply.json()
        found = [parse_collection_info(each) for each in content["collections"]]
        return Page(found, content["next_cursor"])

    def ask(cursor: str | None, at_once: int) -> Call[Page[CollectionInfo]]:
        query = [("prefix", prefix), ("limit", str(at_once)), *([] if cursor is None else [("cursor", cursor)])]
        return Call("GET", "/v1/collections", parse, tuple(query))

    return Paging(ask, page)


def models(known: ServiceCache) -> Call[list[Model]]:
    """The models that encode and trace."""
    return Call("GET", "/v1/models", lambda reply: [Model.read(each) for each in reply.json()["data"]])


def model(known: ServiceCache, id: str) -> Call[Model]:  # noqa: A002  # the wire's name
    """One of them."""
    if not isinstance(id, str):
        raise invalid_value("", f"path.id: wanted a text, got {describe_value(id)}")
    return Call("GET", f"/v1/models/{quote(id, safe='')}", lambda reply: Model.read(reply.json()))


def alive(known: ServiceCache) -> Call[bool]:
    """Whether the process answers."""
    return Call("GET", "/livez", lambda reply: reply.json()["status"] == "alive")


def ready(known: ServiceCache) -> Call[Readiness]:
    """Whether everything is loaded, and what still loads; it answers before, only slower."""

    def parse(reply: Reply) -> Readiness:
        content: Mapping[str, Any] = reply.json()
        return Readiness.read(content)

    return Call("GET", "/readyz", parse, expected=(503,))


def metrics(known: ServiceCache) -> Call[str]:
    """What it has counted, in the text that Prometheus reads."""
    return Call("GET", "/metrics", lambda reply: reply.content.decode())


_MAX_HEADER_BYTES = 4096


def backup(
    known: ServiceCache,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    progress: Callable[[int, int], object] | None = None,
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
    with _open_target(file) as sink:
        copying = BackupReceiver(sink, progress)
        return (
            yield from Call(
                "GET", "/v1/backup", copying.done, take=copying.take, repeatable=False, timeout=WRITE_TIMEOUT
            )
        )


class BackupReceiver:
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
                if len(self._line) > _MAX_HEADER_BYTES:
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
def _open_target(file: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
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
