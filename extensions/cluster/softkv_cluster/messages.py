"""Messages to and from a shard server: a request, refusals, and a server's report about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from softkv_cluster.lookup import of_bytes, to_bytes

ShardId: TypeAlias = tuple[int, int]
"""A shard: the collection's number, and the shard's first row."""
Refusal: TypeAlias = dict[str, Any]
"""The reason that a server does not answer: `gone` (the version is older than all that it keeps), `behind` (the version
that it reached in time), `missing` (the first rows of shards that it does not hold) or `failed` (in words)."""


@dataclass(frozen=True)
class ServerRequest:
    """The common fields of all messages to a server.

    Attributes:
        collection: the number of the collection in the store.
        version: the version to answer from.
        expired_until: documents that expire until this instant are left out; None leaves out none.
        ranges: the first rows of the shards.
        condition: the JSON of a filter for documents; None for all documents.
        seconds: the time that the coordinator waits.
    """

    collection: int
    version: int
    expired_until: int | None
    ranges: tuple[int, ...]
    condition: str | None
    seconds: float

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Read the common fields from a message. Raise KeyError if one is missing."""
        ranges = tuple(fields["ranges"])
        return cls(
            fields["collection"],
            fields["version"],
            fields["expired_until"],
            ranges,
            fields["condition"],
            fields["seconds"],
        )


@dataclass(frozen=True)
class ServerReport:
    """A server's report about itself, as of the end of its last sync with the store.

    Attributes:
        server: the server's name.
        machine: the machine that it runs on.
        plan: the number of the plan that it follows; 0 before it has read one.
        ready: the shards that it holds.
        rows: the number of live keys in these shards.
        coming: the number of shards that it loads, or will load.
        versions: for each collection number, the version that all its replicas have reached.
        trouble: the error of the last sync with the store; None if it succeeded.
    """

    server: str
    machine: str
    plan: int = 0
    ready: frozenset[ShardId] = frozenset()
    rows: int = 0
    coming: int = 1
    versions: Mapping[int, int] | None = None
    trouble: str | None = None

    def to_bytes(self) -> bytes:
        """Return the report as a message."""
        versions = sorted((self.versions or {}).items())
        return to_bytes({**vars(self), "ready": sorted(self.ready), "versions": versions}, {})

    @classmethod
    def of_bytes(cls, message: bytes) -> Self:
        """Read a report from a message."""
        fields, _ = of_bytes(message)
        fields["ready"] = frozenset((number, first_row) for number, first_row in fields["ready"])
        return cls(**{**fields, "versions": dict(fields["versions"])})
