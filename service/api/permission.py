"""What a caller may do, and what a route asks of its caller: declared on the route, and read from nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, Request
from starlette.types import Scope

from service.api.problems.errors import Forbidden, KeyRefused

Level = Literal["none", "read", "write"]
LEVELS: tuple[Level, ...] = ("none", "read", "write")  # each may do what those before it may
NO_KEY = "this service asks for a key: send it as Authorization: Bearer <key> or X-API-Key: <key>"


@dataclass(frozen=True)
class Requirement:
    """A route's declaration, as one of its dependencies; of several, as its router's and its own, the highest holds."""

    level: Level

    async def __call__(self, request: Request) -> None:
        """Refuse who may not."""
        admit(request.scope, self.level)


def requires(level: Level) -> Any:
    """What a router or a route asks of its callers, for its `dependencies`."""
    return Depends(Requirement(level))


def required(route: Any) -> Level | None:
    """The level that a route declares, None where it declares nothing."""
    declared = [
        each.dependency.level for each in getattr(route, "dependencies", ()) if isinstance(each.dependency, Requirement)
    ]
    return max(declared, key=LEVELS.index, default=None)


def admit(scope: Scope, needed: Level) -> None:
    """Let a request through, or refuse it: `api/access.py` has said what its caller may do.

    Raises:
        KeyRefused: the caller may do nothing.
        Forbidden: the caller may only read.
    """
    level: Level = scope.get("state", {}).get("access", "none")
    if LEVELS.index(level) >= LEVELS.index(needed):
        return
    if level == "none":
        raise KeyRefused(NO_KEY)
    raise Forbidden(
        f"{scope['method']} {scope['path']} writes, and this caller may only read: use a key that may write"
    )


async def undeclared_writes(request: Request) -> None:
    """A dependency of every route: one that declares nothing is for those who may write."""
    if required(request.scope.get("route")) is None:
        admit(request.scope, "write")
