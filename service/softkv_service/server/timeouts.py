"""Timeouts and the limit of client connections: for a request's head, for its body, and for the client's reading of the
response.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Literal, Protocol

from softkv_service.api.admission import ConnectionLimits
from softkv_service.api.problems.errors import APIError, ConnectionsFull, TooSlow
from softkv_service.logs import log

WaitReason = Literal["request", "head", "body", "answer"]
"""The action that the client owes: send a first byte, the rest of a head or more of a body, or read the answer."""
CHECKS_PER_TIMEOUT, MAX_CHECK_SECONDS = 8, 1.0
EVICTION_SHARE = 32
"""If one connection exceeds the limit, one in 32 of the waiting connections is closed."""
OVERFLOW_SHARE = 8
"""One in 8 connections more than the limit may be open while they are refused."""


class TrackedConnection(Protocol):
    """A connection whose timeouts `ConnectionTimeouts` checks.

    Attributes:
        received: the number of bytes received.
        requests: the number of heads that were parsed.
        last_received: the loop's time when the last bytes arrived.
    """

    transport: Any
    client: tuple[str, int] | None
    timeout_keep_alive_task: asyncio.TimerHandle | None
    received: int
    requests: int
    last_received: float

    def wait_reason(self) -> WaitReason | None:
        """Return what the server waits for the client to do, or None if it waits for nothing or the
        connection is idle.
        """

    def terminate(self, error: APIError | None) -> None:
        """Close the connection, and answer with the error if there is one and an answer is possible."""


class ConnectionTimeouts:
    """The connections of one server, checked at least once a second.

    Each connection has a budget of seconds. Time in which the server waits for the client is subtracted. Each
    transferred byte adds the time that it would take at the minimum rate, up to the initial budget. So a body may stall
    as long as the budget lasts, and may have any length while bytes arrive. Time in which the service itself is slow or
    paused does not count. After a late check, bytes may still wait in the sockets, so only the next check closes
    connections.
    """

    def __init__(self, bounds: ConnectionLimits) -> None:
        self.bounds = bounds
        self._seconds: dict[WaitReason, float] = {
            "request": bounds.header_timeout,
            "head": bounds.header_timeout,
            "body": bounds.body_timeout,
            "answer": bounds.body_timeout,
        }
        self._interval = min(MAX_CHECK_SECONDS, min(self._seconds.values()) / CHECKS_PER_TIMEOUT)
        self._open: dict[TrackedConnection, _Deadline] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._now = self._checked = 0.0  # seconds in which the loop ran; the loop's time of the last check
        self._is_late = False

    def add(self, connection: TrackedConnection, loop: asyncio.AbstractEventLoop) -> None:
        """Track a new connection.

        If the limit of connections is reached, close connections that wait for their client, or refuse the new one.
        """
        limit = self.bounds.connections
        full = len(self._open) >= limit and not self._evict()
        if len(self._open) >= limit + limit // OVERFLOW_SHARE:
            connection.terminate(None)
            return
        self._open[connection] = _Deadline()
        if full:
            connection.terminate(
                ConnectionsFull(
                    f"{limit} connections are open, which is the limit of this service, and all of them are being "
                    "answered. Retry later, and send many requests over one connection."
                )
            )
        if self._timer is None:
            self._checked = loop.time()
            self._timer = loop.call_later(self._interval, self._check, loop)

    def remove(self, connection: TrackedConnection) -> None:
        """Stop tracking a connection, because it was closed."""
        self._open.pop(connection, None)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        passed, self._checked = loop.time() - self._checked, loop.time()
        was_late, self._is_late = self._is_late, passed > 2 * self._interval
        self._now += self._interval if self._is_late else passed
        for connection, deadline in list(self._open.items()):
            reason = connection.wait_reason()
            budget = self._seconds[reason] if reason else 0
            seconds = deadline.update(reason, connection, self._now, budget, self.bounds.rate)
            if seconds <= 0 and (was_late or not self._is_late):
                assert reason is not None
                log.info("client timed out", waited_for=reason, client=_address(connection))
                connection.terminate(self._error(reason))
        self._timer = loop.call_later(self._interval, self._check, loop) if self._open else None

    def _error(self, reason: WaitReason) -> APIError | None:
        """Return the error to send to a client that was too slow, or None if the client has sent nothing or does not
        read.
        """
        bounds = self.bounds
        if reason == "head":
            return TooSlow(
                f"The request line and its headers did not arrive within {bounds.header_timeout:g} seconds. Send them "
                "in one piece."
            )
        if reason == "body":
            return TooSlow(
                f"The body fell {bounds.body_timeout:g} seconds behind {bounds.rate} bytes per second, the minimum "
                "rate of this service. Send it right after its head, and send large content in several requests."
            )
        return None

    def _evict(self) -> bool:
        """Close connections on which the server waits for the client, to make room: those silent longest, of the
        clients with the most connections.
        """
        counts = Counter(map(_address, self._open))
        waiting = [
            connection
            for connection in self._open
            if connection.timeout_keep_alive_task is not None or connection.wait_reason() is not None
        ]
        waiting.sort(key=lambda connection: (-counts[_address(connection)], connection.last_received))
        for connection in waiting[: 1 + self.bounds.connections // EVICTION_SHARE]:
            self.remove(connection)
            connection.terminate(None)
        return bool(waiting)


class _Deadline:
    """The seconds that a client has left to do what the server waits for."""

    def __init__(self) -> None:
        self._step: tuple[WaitReason | None, int] = None, 0
        self._seconds = self._updated = 0.0
        self._bytes = 0

    def update(
        self, reason: WaitReason | None, connection: TrackedConnection, now: float, budget: float, rate: int
    ) -> float:
        """Account for the time and bytes since the last check.

        Return the seconds left, or 1 if the server waits for nothing.
        """
        step = reason, connection.requests
        transferred = connection.transport.count_sent() if reason == "answer" else connection.received
        if step != self._step:
            self._step, self._seconds = step, budget
        elif reason is not None:
            earned = (transferred - self._bytes) / rate if reason in ("body", "answer") else 0.0
            self._seconds = min(budget, self._seconds + earned) - (now - self._updated)
        self._bytes, self._updated = transferred, now
        return 1.0 if reason is None else self._seconds


def _address(connection: TrackedConnection) -> str:
    return connection.client[0] if connection.client else ""
