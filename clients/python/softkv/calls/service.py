"""Calls on the service itself: information, models, health, metrics and backups."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from softkv.answers.documents import Backup
from softkv.answers.info import Alias, CollectionInfo, parse_collection_info
from softkv.answers.service import (
    EncoderInfo,
    Model,
    Readiness,
    RerankerInfo,
    ServiceInfo,
    SlowRequest,
    parse_encoder_info,
    parse_service_info,
)
from softkv.calls.call import WRITE_TIMEOUT, Call, Page, Paging, Plan, ServiceCache, ignore_content
from softkv.problems import Reply, invalid_value
from softkv.validation import describe_value, require_collection_name
from softkv.wire import encode_json


def info(cache: ServiceCache) -> Call[ServiceInfo]:
    """Return the service's version, encoder, limits and shards.

    Returns:
        A `ServiceInfo`.

    Example:
        >>> client.info().version
    """

    def parse(reply: Reply) -> ServiceInfo:
        info = parse_service_info(reply.json())
        cache.limits = info.limits
        return info

    return Call("GET", "/v1", parse)


def get_limit(cache: ServiceCache, name: str) -> Plan[int]:
    """Return one of the service's limits; fetch the limits once per client."""
    limits = cache.limits
    if limits is None:
        limits = (yield from info(cache)).limits
    return limits[name]


def access(cache: ServiceCache) -> Call[Literal["read", "feedback", "write"]]:
    """Return what the client's API key permits.

    Returns:
        "read", "feedback" or "write"; each includes those before it.

    Raises:
        KeyRefused: the service needs a key, or does not know this one.

    Example:
        >>> client.access()
        'write'
    """
    return Call("GET", "/v1/collections", lambda reply: reply.json()["access"], (("limit", "0"),))


def collections(cache: ServiceCache, prefix: str = "", *, page: int = 1000) -> Paging[CollectionInfo]:
    """List the collections by name.

    Args:
        prefix: list only names that begin with it.
        page: the number of collections per request.

    Returns:
        A `Pages` of `CollectionInfo`; `AsyncPages` for `AsyncClient`.

    Raises:
        Invalid: the page size is out of range.

    Example:
        >>> [collection.name for collection in client.collections("lib")]
    """

    def parse(reply: Reply) -> Page[CollectionInfo]:
        content = reply.json()
        infos = [parse_collection_info(item) for item in content["collections"]]
        return Page(infos, content["next_cursor"])

    def ask(cursor: str | None, limit: int) -> Call[Page[CollectionInfo]]:
        query = [("prefix", prefix), ("limit", str(limit)), *([] if cursor is None else [("cursor", cursor)])]
        return Call("GET", "/v1/collections", parse, tuple(query))

    return Paging(ask, page)


def aliases(cache: ServiceCache, prefix: str = "", *, page: int = 1000) -> Paging[Alias]:
    """List the aliases by name, each with its collection.

    Args:
        prefix: list only aliases that begin with it.
        page: the number of aliases per request.

    Returns:
        A `Pages` of `Alias`; `AsyncPages` for `AsyncClient`.

    Raises:
        Forbidden: the key is only for some documents.
        Invalid: the page size is out of range.

    Example:
        >>> {alias.alias: alias.collection for alias in client.aliases()}
    """

    def parse(reply: Reply) -> Page[Alias]:
        content = reply.json()
        return Page([Alias.read(item) for item in content["aliases"]], content["next_cursor"])

    def ask(cursor: str | None, limit: int) -> Call[Page[Alias]]:
        query = [("prefix", prefix), ("limit", str(limit)), *([] if cursor is None else [("cursor", cursor)])]
        return Call("GET", "/v1/aliases", parse, tuple(query))

    return Paging(ask, page)


def alias(cache: ServiceCache, alias: str) -> Call[Alias]:
    """Return an alias, with the collection for which it stands.

    Args:
        alias: the name of the alias.

    Returns:
        An `Alias`.

    Raises:
        NotFound: there is no such alias.
        Invalid: it is not a valid name.

    Example:
        >>> client.alias("current").collection
    """
    return Call("GET", _alias_path(alias), lambda reply: Alias.read(reply.json()))


def put_alias(cache: ServiceCache, alias: str, collection: str) -> Call[Alias]:
    """Create an alias, or move it to another collection at one instant.

    An alias stands for its collection wherever a collection is named: `client.collection("current")`.

    Args:
        alias: the name of the alias. No collection may have it.
        collection: the name of the collection, not an alias.

    Returns:
        The `Alias`.

    Raises:
        NotFound: there is no such collection.
        Conflict: a collection has the name of the alias.
        Invalid: it is not a valid name, or the collection is named by an alias.

    Example:
        >>> client.put_alias("current", "library-2")
    """
    return Call(
        "PUT",
        _alias_path(alias),
        lambda reply: Alias.read(reply.json()),
        content=encode_json({"collection": collection}),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def remove_alias(cache: ServiceCache, alias: str) -> Call[None]:
    """Delete an alias; its collection stays.

    Args:
        alias: the name of the alias.

    Raises:
        NotFound: there is no such alias.
        Invalid: it is not a valid name.

    Example:
        >>> client.remove_alias("current")
    """
    return Call("DELETE", _alias_path(alias), ignore_content, idempotent=True, timeout=WRITE_TIMEOUT)


def _alias_path(alias: str) -> str:
    """Return the URL path of an alias."""
    require_collection_name(alias, "alias")
    return f"/v1/aliases/{alias}"


def models(cache: ServiceCache) -> Call[list[Model]]:
    """List the models that encode and trace texts.

    Returns:
        A list of `Model`.

    Example:
        >>> [model.id for model in client.models()]
    """
    return Call("GET", "/v1/models", lambda reply: [Model.read(item) for item in reply.json()["data"]])


def encoders(cache: ServiceCache) -> Call[list[EncoderInfo]]:
    """List the encoders of the service, with their state and memory.

    Only the default one is loaded at the service's start; any other is loaded by the first text that needs it.

    Returns:
        A list of `EncoderInfo`.

    Example:
        >>> [(encoder.name, encoder.state) for encoder in client.encoders()]
    """

    def parse(reply: Reply) -> list[EncoderInfo]:
        return [parse_encoder_info(item) for item in reply.json()["encoders"]]

    return Call("GET", "/v1/encoders", parse)


def rerankers(cache: ServiceCache) -> Call[list[RerankerInfo]]:
    """List the rerankers of the service, with their state and memory; empty without any.

    A reranker is loaded by the first call that needs it.

    Returns:
        A list of `RerankerInfo`.

    Example:
        >>> [reranker.name for reranker in client.rerankers()]
    """

    def parse(reply: Reply) -> list[RerankerInfo]:
        return [RerankerInfo.read(item) for item in reply.json().get("rerankers", ())]

    return Call("GET", "/v1/encoders", parse)


def unload_encoder(cache: ServiceCache, encoder: str) -> Call[EncoderInfo]:
    """Release the memory of an encoder. The next text that needs it loads it again, which takes seconds.

    Args:
        encoder: the encoder's name, as `encoders()` lists it.

    Returns:
        An `EncoderInfo`.

    Raises:
        NotFound: the service has no such encoder.
        Forbidden: the key may only read, or is only for some collections.

    Example:
        >>> client.unload_encoder("nomic").state
        'unloaded'
    """
    if not isinstance(encoder, str):
        raise invalid_value("", f"path.encoder: wanted a text, got {describe_value(encoder)}")
    path = f"/v1/encoders/{quote(encoder, safe='')}/memory"
    return Call("DELETE", path, lambda reply: parse_encoder_info(reply.json()))


def model(cache: ServiceCache, id: str) -> Call[Model]:  # noqa: A002  # the wire's name
    """Return one model by its id.

    Args:
        id: the model's id, as `models()` lists it.

    Returns:
        A `Model`.

    Raises:
        NotFound: the service has no such model.

    Example:
        >>> client.model("all-MiniLM-L6-v2").dimension
    """
    if not isinstance(id, str):
        raise invalid_value("", f"path.id: wanted a text, got {describe_value(id)}")
    return Call("GET", f"/v1/models/{quote(id, safe='')}", lambda reply: Model.read(reply.json()))


def alive(cache: ServiceCache) -> Call[bool]:
    """Return whether the service's process answers.

    Returns:
        True if the process answers.

    Raises:
        Unreachable: no service answers.

    Example:
        >>> client.alive()
        True
    """
    return Call("GET", "/livez", lambda reply: reply.json()["status"] == "alive")


def ready(cache: ServiceCache) -> Call[Readiness]:
    """Return whether everything is loaded, what is loading and what failed.

    A service that is still loading answers queries already, but more slowly.

    Returns:
        A `Readiness`, which is true if the service is ready.

    Example:
        >>> client.ready().loading
    """

    def parse(reply: Reply) -> Readiness:
        content: Mapping[str, Any] = reply.json()
        return Readiness.read(content)

    return Call("GET", "/readyz", parse, expected=(503,))


def slow_requests(cache: ServiceCache) -> Call[list[SlowRequest]]:
    """Return the slowest requests since the service's start, the slowest first; at most 100.

    Returns:
        A list of `SlowRequest`.

    Raises:
        Forbidden: the key is only for some collections or documents.

    Example:
        >>> [(slow.route, slow.took_ms) for slow in client.slow_requests()]
    """

    def parse(reply: Reply) -> list[SlowRequest]:
        return [SlowRequest.read(request) for request in reply.json()["requests"]]

    return Call("GET", "/v1/service/slow", parse)


def metrics(cache: ServiceCache) -> Call[str]:
    """Return the service's metrics in the text format of Prometheus.

    Returns:
        The text.

    Raises:
        NotFound: the service is that of `Client.local`, which counts nothing.

    Example:
        >>> print(client.metrics())
    """
    return Call("GET", "/metrics", lambda reply: reply.content.decode())


_MAX_HEADER_BYTES = 4096


def backup(
    cache: ServiceCache,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Plan[Backup]:
    """Save a backup of everything that the service stores at one instant.

    `softkv restore` reads it. A path gets its final name only after the whole backup has arrived and its checksum
    matches; until then an existing file of that name stays. Only this user may read the new file.

    Args:
        file: a path, or a file opened for writing bytes.
        progress: called with the number of bytes received and the total.

    Returns:
        A `Backup` with the time, the length and the checksum.

    Raises:
        Forbidden: the key may not write.
        Refused: the received bytes do not match the announced length and checksum.

    Example:
        >>> client.backup("softkv.backup").length
    """
    with _open_target(file) as sink:
        receiver = BackupReceiver(sink, progress)
        return (
            yield from Call(
                "GET", "/v1/backup", receiver.finish, on_chunk=receiver.write, repeatable=False, timeout=WRITE_TIMEOUT
            )
        )


class BackupReceiver:
    """A receiver that writes the chunks of a backup to a file, and checks length and checksum."""

    def __init__(self, sink: BinaryIO, progress: Callable[[int, int], object] | None) -> None:
        self._sink = sink
        self._progress = progress
        self._line = b""
        self._head: dict[str, Any] | None = None
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, chunk: bytes) -> None:
        """Write the next chunk of the backup.

        Raises:
            ValueError: the content is not a backup.
        """
        self._sink.write(chunk)
        if self._head is None:
            self._line += chunk
            if b"\n" not in self._line:
                if len(self._line) > _MAX_HEADER_BYTES:
                    raise ValueError("Expected a backup that begins with a line of JSON.")
                return
            line, chunk = self._line.split(b"\n", 1)
            self._head = json.loads(line)
        self._digest.update(chunk)
        self._bytes += len(chunk)
        if self._progress is not None:
            self._progress(self._bytes, int(self._head["length"]))

    def finish(self, _: Reply) -> Backup:
        """Return the backup's description after checking length and checksum.

        Raises:
            ValueError: the backup is incomplete or differs from what was sent.
        """
        if self._head is None or (self._head["length"], self._head["sha256"]) != (
            self._bytes,
            self._digest.hexdigest(),
        ):
            raise ValueError("The received backup differs in length or checksum from the one that was sent.")
        return Backup.read(self._head)


def _private(path: str, flags: int) -> int:
    """Open a file that only this user may read."""
    return os.open(path, flags, 0o600)


@contextmanager
def _open_target(file: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open the backup's destination; a path gets its name if the block ends without an error."""
    if not isinstance(file, str | os.PathLike):
        yield file
        file.flush()
        return
    target = Path(file)
    partial = target.with_name(f"{target.name}.part")
    try:
        partial.unlink(missing_ok=True)  # it would keep its mode
        with open(partial, "wb", opener=_private) as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
