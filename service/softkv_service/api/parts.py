"""The door for parts of the service that other distributions add, by entry points of the group `softkv.parts`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter

ENTRY_POINTS = "softkv.parts"
"""The group of entry points of installed distributions: each names a `Part`."""


@dataclass(frozen=True)
class Refusal:
    """A reason to refuse a call: its status, and the text that clients get.

    Attributes:
        status: the HTTP status.
        reason: its description in the OpenAPI file. None leaves it out, because it occurs before a call reaches a
            route.
        errors: the exceptions for which this refusal is sent, a class or a tuple as in `except`.
        repeat: whether the same request may succeed a moment later.
        openai_reason, openai_code, openai_param: what OpenAI's clients get in place of reason, code and pointer.
        advice: what a caller may do beyond what the reason says, with links from `docs/reference`.
    """

    status: int
    reason: str | None
    errors: type[Exception] | tuple[type[Exception], ...]
    repeat: bool = False
    openai_reason: str | None = None
    openai_code: str | None = None
    openai_param: str | None = None
    advice: str | None = None


class PartState(Protocol):
    """The state of a part while a service runs."""

    def limits(self) -> Mapping[str, int]:
        """Return the limits that `GET /v1` adds to its own."""

    async def close(self) -> None:
        """End what runs, before the store is closed."""


@dataclass(frozen=True)
class Part:
    """The calls, refusals, state and pages that a distribution adds to the service.

    Attributes:
        name: the name of its state in `State.added`.
        start: creates its state, when the service starts.
        routers: imports its routers and returns them. It is called after the refusals are known.
        refusals: the refusals of its calls by their codes.
        errors: its errors for which a refusal of the service is sent, each with the code of that refusal.
        web: the folder of its files of the page. The page has them beside its own, below the same address.
        documents: the documents among these files, by the paths at which they are found.
        moved: paths at which a document was once found, each with the path of now.
    """

    name: str
    start: Callable[[], PartState]
    routers: Callable[[], Iterable[APIRouter]]
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    errors: Mapping[type[Exception], str] = field(default_factory=dict)
    web: Path | None = None
    documents: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)


@cache
def find_parts() -> tuple[Part, ...]:
    """Return the parts of all installed distributions, in the order of their names."""
    return tuple(entry.load() for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name))
