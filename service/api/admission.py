"""Admission control: how many calls, connections and bytes one service accepts, and each caller's share of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import ClientDisconnect
from starlette.types import Scope

from service.api.problems.errors import QueueFull


@dataclass(frozen=True)
class ConnectionLimits:
    """What the server keeps while it reads requests and sends answers.

    Attributes:
        connections: how many are open at once.
        head_seconds: within which a request line and its headers have to come, from when they are waited for.
        body_seconds: how long a body may be behind `rate`, and an answer that is not taken.
        rate: bytes a second of a body or an answer.
        idle_seconds: how long a connection stays open after an answer.
    """

    connections: int = 1000
    head_seconds: float = 10
    body_seconds: float = 30
    rate: int = 1024
    idle_seconds: float = 30


LEAVE = "leave"
"""In a request's state while it may be given up: what the server calls when its caller has gone."""

Kind = Literal["lookup", "encode", "write", "read", "stateless", "stream", "listen"]
KINDS: dict[Kind, str] = {
    "lookup": "calls that attend to a collection",
    "encode": "calls for what an encoder makes of texts",
    "write": "calls that write",
    "read": "calls that read what is stored",
    "stateless": "calls on what comes with them",
    "stream": "calls that are sent or answered in parts",
    "listen": "calls that listen to what happens",
}
TIMES_THE_FREE = 3


class CallerShares:
    """So much of something, and who has how much of it.

    A caller may have three times what stays free: so one alone has three quarters of it at most, two have three
    sevenths each, and whoever comes next finds some.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._of: Counter[str] = Counter()

    def full(self, wanted: int = 1) -> bool:
        """Whether so much more is not there."""
        return self.taken + wanted > self.most

    def over(self, caller: str, wanted: int = 1, always: int = 1) -> bool:
        """Whether so much more were more than his share; `always` is granted where it is there."""
        free = self.most - self.taken - wanted
        return self._of[caller] + wanted > max(always, TIMES_THE_FREE * free)

    def take(self, caller: str, some: int = 1) -> None:
        """Count it as his; less than nothing gives it back."""
        self.taken += some
        self._of[caller] += some
        if not self._of[caller]:
            del self._of[caller]


class Admission:
    """Of each kind `most` places; who finds none is refused at once, and a place is given back when its holder ends.

    Attributes:
        refused: how often, by kind and by what was short: "full" the kind, or "share" what a caller may have of it.
    """

    def __init__(self, most: int) -> None:
        self._shares: dict[Kind, CallerShares] = {kind: CallerShares(most) for kind in KINDS}
        self.refused: Counter[tuple[Kind, Literal["full", "share"]]] = Counter()

    @property
    def taken(self) -> dict[Kind, int]:
        """How many are taken, by kind."""
        return {kind: shares.taken for kind, shares in self._shares.items()}

    def check(self, kind: Kind, caller: str = "") -> None:
        """Refuse who would get no place.

        Raises:
            QueueFull: all of that kind are taken, or the caller has his share of them.
        """
        shares = self._shares[kind]
        if shares.full():
            self.refused[kind, "full"] += 1
            raise QueueFull(
                f"{shares.taken} {KINDS[kind]} are under way, the most of kind {kind} that this service holds: "
                "try again"
            )
        if shares.over(caller):
            self.refused[kind, "share"] += 1
            raise QueueFull(
                f"so many {KINDS[kind]} are under way for this caller that of kind {kind} few places are left for "
                "others: try again, and send fewer at once"
            )

    @contextmanager
    def admit(self, kind: Kind, caller: str = "") -> Iterator[None]:
        """A place for as long as the block runs.

        Raises:
            QueueFull: as of `check`.
        """
        self.check(kind, caller)
        self._shares[kind].take(caller)
        try:
            yield
        finally:
            self._shares[kind].take(caller, -1)


@contextmanager
def cancel_on_disconnect(scope: Scope) -> Iterator[None]:
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


def notify_disconnect(state: Mapping[str, Any]) -> None:
    """Say so, by the state of a request that is not answered yet."""
    leave = state.get(LEAVE)
    if leave is not None:
        leave()
