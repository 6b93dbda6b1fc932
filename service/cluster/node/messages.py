"""A question as it comes to a slot, what it is told where the slot has no answer, and what a slot says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

Refusal: TypeAlias = dict[str, Any]

GONE: Refusal = {"gone": True}
"""The version is older than what is kept: ask about a newer one."""
STATUS_CALL = "standing"
"""The call that a slot answers with its `NodeReport`; it names no collection."""


@dataclass(frozen=True)
class NodeRequest:
    """What every message to a slot says, whatever else is in it.

    Attributes:
        collection: its number in the store.
        version: the one that is answered from, and no other.
        ranges: their first rows.
        condition: which documents, as the JSON of a filter; None for all.
        seconds: how long it waits for the version.
    """

    collection: int
    version: int
    ranges: tuple[int, ...]
    condition: str | None
    seconds: float

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> NodeRequest:
        """As a message says it; raises KeyError where something is missing."""
        return cls(
            said["collection"],
            said["version"],
            tuple(said["ranges"]),
            said["condition"],
            said["seconds"],
        )


@dataclass(frozen=True)
class NodeReport:
    """What a slot has.

    Attributes:
        ranges: how many it has ready.
        rows: how many keys live in them.
        coming: how many it reads, or is to read; one before it knows which these are.
        versions: of each collection, by its number, the version that all of its ranges have reached.
        trouble: why the last look did not succeed; None where it did.
    """

    slot: str
    node: str
    leaving: bool
    ranges: int
    rows: int
    coming: int
    versions: Mapping[int, int]
    trouble: str | None

    def said(self) -> dict[str, Any]:
        """As a message says it."""
        return vars(self) | {"versions": sorted(self.versions.items())}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> NodeReport:
        """As a message says it, of which newer slots may say more."""
        told = {each.name: said[each.name] for each in fields(cls)}
        return cls(**{**told, "versions": dict(said["versions"])})


def behind(version: int) -> Refusal:
    """The version was not reached in time, only this one."""
    return {"behind": version}


def missing(first_rows: list[int]) -> Refusal:
    """These ranges are not held here: ask another slot."""
    return {"missing": first_rows}


def failed(why: object) -> Refusal:
    """It cannot be answered here, for a reason that is told."""
    return {"failed": str(why)}
