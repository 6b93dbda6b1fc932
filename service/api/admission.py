"""Admission control: limits on calls, connections and bytes of a service, and the share of each caller."""

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
    """Limits on connections, and on how slowly a client may send and read.

    Attributes:
        connections: the maximum number of open connections.
        header_timeout: time limit for the request line and the headers.
        body_timeout: how far a request body or a reader of a response may fall behind `rate`.
        rate: minimum transfer rate of bodies and responses, in bytes per second.
        keepalive_timeout: how long an idle connection stays open after a response.
    """

    connections: int = 1000
    header_timeout: float = 10
    body_timeout: float = 30
    rate: int = 1024
    keepalive_timeout: float = 30


ON_DISCONNECT = "on_disconnect"
"""Key in a request's state of the callback that the server calls if the client disconnects."""

Kind = Literal["lookup", "encode", "write", "read", "stateless", "stream", "listen"]
KINDS: dict[Kind, str] = {
    "lookup": "calls that attend to a collection",
    "encode": "calls that encode texts",
    "write": "calls that write",
    "read": "calls that read stored documents",
    "stateless": "calls on the data of the request",
    "stream": "calls that are sent or answered in parts",
    "listen": "calls that listen to events",
}
TIMES_THE_FREE = 3


class CallerShares:
    """A capacity that callers share, with the amount that each of them uses.

    A caller may use three times the free amount: alone at most three quarters, and two callers three sevenths each. So
    a new caller always finds some free.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._of: Counter[str] = Counter()

    def full(self, amount: int = 1) -> bool:
        """Return whether the capacity lacks this amount."""
        return self.taken + amount > self.capacity

    def over(self, caller: str, amount: int = 1, always: int = 1) -> bool:
        """Return whether this amount exceeds the caller's share. `always` is allowed whatever the share is."""
        free = self.capacity - self.taken - amount
        return self._of[caller] + amount > max(always, TIMES_THE_FREE * free)

    def take(self, caller: str, amount: int = 1) -> None:
        """Add an amount to the caller's use; a negative amount releases it."""
        self.taken += amount
        self._of[caller] += amount
        if not self._of[caller]:
            del self._of[caller]


class Admission:
    """A limited number of slots for each kind of call; a call without a free slot is refused at once.

    Args:
        capacity: the number of slots of each kind.

    Attributes:
        refused: counts of refusals, by kind and by reason: all slots in use ("full"), or the caller's share ("share").
    """

    def __init__(self, capacity: int) -> None:
        self._shares: dict[Kind, CallerShares] = {kind: CallerShares(capacity) for kind in KINDS}
        self.refused: Counter[tuple[Kind, Literal["full", "share"]]] = Counter()

    @property
    def slots_in_use(self) -> dict[Kind, int]:
        """The number of slots in use, by kind."""
        return {kind: shares.taken for kind, shares in self._shares.items()}

    def check(self, kind: Kind, caller: str = "") -> None:
        """Raise QueueFull if the call cannot be admitted.

        Raises:
            QueueFull: all slots of the kind are in use, or the caller's share of them is.
        """
        shares = self._shares[kind]
        if shares.full():
            self.refused[kind, "full"] += 1
            raise QueueFull(
                f"{shares.taken} {KINDS[kind]} are in progress, the limit of kind {kind} in this service: try again"
            )
        if shares.over(caller):
            self.refused[kind, "share"] += 1
            raise QueueFull(
                f"this caller uses its share of kind {kind} ({KINDS[kind]}): try again, and send fewer at once"
            )

    @contextmanager
    def admit(self, kind: Kind, caller: str = "") -> Iterator[None]:
        """Hold a slot while the block runs.

        Raises:
            QueueFull: see `check`.
        """
        self.check(kind, caller)
        self._shares[kind].take(caller)
        try:
            yield
        finally:
            self._shares[kind].take(caller, -1)


@contextmanager
def cancel_on_disconnect(scope: Scope) -> Iterator[None]:
    """Cancel the block if the client disconnects, so that it releases what it holds.

    Raises:
        ClientDisconnect: the client disconnected before the response began.
    """
    task, disconnected = asyncio.current_task(), False
    assert task is not None

    def cancel() -> None:
        nonlocal disconnected
        disconnected = True
        task.cancel()

    scope["state"][ON_DISCONNECT] = cancel
    try:
        yield
    except asyncio.CancelledError:
        if not disconnected:
            raise
        task.uncancel()
        if not scope["state"]["call"].started:
            raise ClientDisconnect from None
    finally:
        del scope["state"][ON_DISCONNECT]


def notify_disconnect(state: Mapping[str, Any]) -> None:
    """Report that a request's client disconnected, by the request's state."""
    cancel = state.get(ON_DISCONNECT)
    if cancel is not None:
        cancel()
