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
        collection: the number of the collection in the store.
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
        """Read the common fields from a message. Raise KeyError if one is missing."""
        return cls(
            fields_["collection"],
            fields_["version"],
            tuple(fields_["ranges"]),
            fields_["condition"],
            fields_["seconds"],
        )


@dataclass(frozen=True)
class NodeReport:
    """A node's report about itself, which is sent as a message with the same field names.

    Attributes:
        slot: the node's name.
        node: the machine that it runs on.
        ranges: the number of replicas that are ready.
        rows: the number of live keys in these replicas.
        coming: the number of replicas that the node loads or will load; 1 until the node has read which these are.
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
    """Return the refusal for a node that reached only this version, older than the requested one, before the
    deadline.
    """
    return {"behind": version}


def missing(first_rows: list[int]) -> Refusal:
    """Return the refusal for a node that has no replica of these shards. The coordinator then asks another node."""
    return {"missing": first_rows}


def failure(reason: object) -> Refusal:
    """Return the refusal for a node that cannot answer for another reason, in words."""
    return {"failed": str(reason)}
