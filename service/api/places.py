"""How many calls of each kind a service holds at once, so that a flood of one kind takes no place of another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from starlette.requests import ClientDisconnect
from starlette.types import Scope

from service.api.problems.errors import QueueFull

LEAVE = "leave"
"""In a request's state while it may be given up: what the server calls when its caller has gone."""

Kind = Literal["lookup", "encode", "write", "read", "stateless", "stream"]
KINDS: dict[Kind, str] = {
    "lookup": "calls that attend to a collection",
    "encode": "calls for what an encoder makes of texts",
    "write": "calls that write",
    "read": "calls that read what is stored",
    "stateless": "calls on what comes with them",
    "stream": "calls that are sent or answered in parts",
}


class Places:
    """Of each kind `most` places; who finds none is refused at once, and a place is given back when its holder ends.

    Whatever else is to decide who gets a place, a caller's share or a stream's, belongs into `held`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    @contextmanager
    def held(self, kind: Kind) -> Iterator[None]:
        """A place for as long as the block runs.

        Raises:
            QueueFull: all of that kind are taken.
        """
        if self.taken[kind] >= self._most:
            raise QueueFull(
                f"{self.taken[kind]} {KINDS[kind]} are under way, the most of kind {kind} that this service holds: "
                "try again"
            )
        self.taken[kind] += 1
        try:
            yield
        finally:
            self.taken[kind] -= 1


@contextmanager
def given_up(scope: Scope) -> Iterator[None]:
    """Whatever the block does ends when the caller has gone, and so gives back what it holds.

    Raises:
        ClientDisconnect: the caller has gone before the answer began.
    """
    task, gone = asyncio.current_task(), False
    assert task is not None

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    scope["state"][LEAVE] = leave
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        if not scope["state"]["call"].started:
            raise ClientDisconnect from None
    finally:
        del scope["state"][LEAVE]


def caller_gone(state: Mapping[str, Any]) -> None:
    """Say so, by the state of a request that is not answered yet."""
    leave = state.get(LEAVE)
    if leave is not None:
        leave()
