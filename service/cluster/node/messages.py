"""Messages to and from a node: a request, refusals, and a node's report about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

Refusal: TypeAlias = dict[str, Any]

GONE: Refusal = {"gone": True}
"""The version is older than what the node keeps; ask for a newer one."""
STATUS_CALL = "standing"
"""The call that a node answers with its `NodeReport`; it names no collection."""


@dataclass(frozen=True)
class NodeRequest:
    """The common fields of all messages to a node.

    Attributes:
        collection: its number in the store.
        version: the version to answer from.
        ranges: the first rows of the shards.
        condition: the JSON of a filter for documents; None for all documents.
        seconds: the time that the coordinator waits.
    """

    collection: int
    version: int
    ranges: tuple[int, ...]
    condition: str | None
    seconds: float

    @classmethod
    def of(cls, fields_: Mapping[str, Any]) -> NodeRequest:
        """Read a request from a message; raise KeyError if a field is missing."""
        return cls(
            fields_["collection"],
            fields_["version"],
            tuple(fields_["ranges"]),
            fields_["condition"],
            fields_["seconds"],
        )


@dataclass(frozen=True)
class NodeReport:
    """A node's report about itself; the names of its fields are those of the message.

    Attributes:
        slot: the node's name.
        node: the machine that it runs on.
        ranges: the number of replicas that are ready.
        rows: the number of live keys in them.
        coming: the number of replicas that it loads or will load; 1 before it knows them.
        versions: for each collection number, the version that all its replicas have reached.
        trouble: the error of the last sync with the store; None if it succeeded.
    """

    slot: str
    node: str
    leaving: bool
    ranges: int
    rows: int
    coming: int
    versions: Mapping[int, int]
    trouble: str | None

    def message(self) -> dict[str, Any]:
        """Return the report as the fields of a message."""
        return vars(self) | {"versions": sorted(self.versions.items())}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> NodeReport:
        """Read a report from a message; unknown fields of newer nodes are ignored."""
        values = {field.name: message[field.name] for field in fields(cls)}
        return cls(**{**values, "versions": dict(message["versions"])})


def behind(version: int) -> Refusal:
    """Return a refusal: the node reached only this version in time."""
    return {"behind": version}


def missing(first_rows: list[int]) -> Refusal:
    """Return a refusal: the node has no replica of these shards; ask another node."""
    return {"missing": first_rows}


def failure(reason: object) -> Refusal:
    """Return a refusal: the node cannot answer, for this reason."""
    return {"failed": str(reason)}
