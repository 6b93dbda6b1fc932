"""Admission control: limits on a service's concurrent calls, connections and bytes, and the part of each that one
caller may use.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import ClientDisconnect
from starlette.types import Scope

from softkv_service.api.problems.errors import QueueFull


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on connections, and on how slowly a client may send and read.

    Attributes:
        connections: the maximum number of open connections.
        header_timeout: time limit for the request line and the headers.
        body_timeout: how many seconds a request body or a client that reads a response may fall behind `rate`.
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
    """A capacity that all callers share, such as slots or bytes, and the amount that each caller uses.

    A caller may use at most three times the amount that stays free. So a single caller gets at most three quarters, and
    two callers get three sevenths each. A part always stays free for a new caller.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._of: Counter[str] = Counter()

    def full(self, amount: int = 1) -> bool:
        """Return whether less than this amount of the capacity is free."""
        return self.taken + amount > self.capacity

    def over(self, caller: str, amount: int = 1, always: int = 1) -> bool:
        """Return whether a further amount would exceed the caller's share of the capacity.

        Args:
            caller: the caller's identity.
            amount: the further amount.
            always: a caller may always use this much in all, even beyond its share.
        """
        free = self.capacity - self.taken - amount
        return self._of[caller] + amount > max(always, TIMES_THE_FREE * free)

    def take(self, caller: str, amount: int = 1) -> None:
        """Add an amount to the caller's use; a negative amount releases it."""
        self.taken += amount
        self._of[caller] += amount
        if not self._of[caller]:
            del self._of[caller]


class Admission:
    """A limited number of slots for each kind of call: each running call holds one, and a call without one is refused.

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
        """Raise QueueFull if a call of this kind cannot be admitted.

        Args:
            kind: the kind of call, which has a limited number of slots (running calls).
            caller: the caller's identity.

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

    def admit(self, kind: Kind, caller: str = "") -> Slot:
        """Return a slot for a call of this kind, which is held inside its `with` block.

        Args:
            kind: the kind of call, which has a limited number of slots.
            caller: the caller's identity.

        Raises:
            QueueFull: all slots of the kind are in use, or the caller's share of them is.
        """
        self.check(kind, caller)
        return Slot(self._shares[kind], caller)


class Slot:
    """A slot that a caller's call holds inside a `with` block."""

    def __init__(self, shares: CallerShares, caller: str) -> None:
        self._shares, self._caller = shares, caller

    def __enter__(self) -> None:
        self._shares.take(self._caller)

    def __exit__(self, *_: object) -> None:
        self._shares.take(self._caller, -1)


class CancelOnDisconnect:
    """A `with` block that is cancelled if the client disconnects, so that the call's slot and memory are released.

    It raises ClientDisconnect if the client disconnected before the response began.
    """

    def __init__(self, scope: Scope) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._state, self._task, self._disconnected = scope["state"], task, False

    def cancel(self) -> None:
        """Cancel the block."""
        self._disconnected = True
        self._task.cancel()

    def __enter__(self) -> None:
        self._state[ON_DISCONNECT] = self.cancel

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        del self._state[ON_DISCONNECT]
        if not (self._disconnected and isinstance(error, asyncio.CancelledError)):
            return False
        self._task.uncancel()
        if not self._state["call"].started:
            raise ClientDisconnect from None
        return True


def notify_disconnect(state: Mapping[str, Any]) -> None:
    """Cancel the block of `CancelOnDisconnect` for a request with this state: its client disconnected."""
    cancel = state.get(ON_DISCONNECT)
    if cancel is not None:
        cancel()
