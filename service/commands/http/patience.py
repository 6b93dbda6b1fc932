"""How long a server waits for its callers: for a request, its body, or an answer to be taken; and for how many."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any, Literal, Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.bounds import Bounds
from service.api.problems.errors import APIError, ConnectionsFull, TooSlow

log = structlog.get_logger("softkv")

Waits = Literal["request", "head", "body", "answer"]
"""For what: a first byte, the rest of a head, more of a body, or that an answer is taken."""
LOOKS_IN_TIME, LONGEST_LOOK_SECONDS = 8, 1.0
GIVING_WAY = 32  # one in so many connections closes, where one comes that is too many
OVER = 8  # one in so many more may be open for as long as it takes to refuse them


class Watched(Protocol):
    """A connection, as it is looked at.

    Attributes:
        received, taken: bytes that came and that went.
        requests: how many heads were read.
        heard: when the last bytes came.
        asks: whether the application waits for more of a body.
    """

    transport: Any
    client: tuple[str, int] | None
    timeout_keep_alive_task: asyncio.TimerHandle | None
    received: int
    requests: int
    heard: float
    asks: bool

    def waits(self) -> Waits | None:
        """For what of its caller's it waits; None where it does not, or where it idles after an answer."""

    def give_up(self, error: APIError | None) -> None:
        """End it, with an answer where there is one to give."""


class Patience:
    """The connections of one server, looked at once a second.

    Each caller has some seconds. Time in which he is waited for takes of them, and bytes give back what they are worth
    at the least rate, never more than there was at first: so a body may stall for so long, and may be of any length
    while it comes. Time in which the service itself is what takes long does not count.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._seconds: dict[Waits, float] = {
            "request": bounds.head_seconds,
            "head": bounds.head_seconds,
            "body": bounds.body_seconds,
            "answer": bounds.body_seconds,
        }
        self._every = min(LONGEST_LOOK_SECONDS, min(self._seconds.values()) / LOOKS_IN_TIME)
        self._open: dict[Watched, _Left] = {}
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, connection: Watched, loop: asyncio.AbstractEventLoop) -> None:
        """Look at it from now on; where there are too many, some give way, or it is refused itself."""
        most = self.bounds.connections
        full = len(self._open) >= most and not self._made_room()
        if len(self._open) >= most + most // OVER:
            connection.give_up(None)
            return
        self._open[connection] = _Left()
        if full:
            connection.give_up(
                ConnectionsFull(
                    f"{most} connections are open, the most that this service has at once, and all of them are being "
                    "answered: try again, and send many requests over one connection"
                )
            )
        if self._timer is None:
            self._timer = loop.call_later(self._every, self._look, loop)

    def closed(self, connection: Watched) -> None:
        """Look at it no more."""
        self._open.pop(connection, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection, left in list(self._open.items()):
            waits = connection.waits()
            if left.after(waits, connection, now, self._seconds[waits] if waits else 0, self.bounds.rate) <= 0:
                assert waits is not None
                log.info("a caller took too long", waited_for=waits, client=_address(connection))
                connection.give_up(self._error(waits))
        self._timer = loop.call_later(self._every, self._look, loop) if self._open else None

    def _error(self, waits: Waits) -> APIError | None:
        """What the caller is told; nothing where he said nothing, or takes nothing."""
        bounds = self.bounds
        if waits == "head":
            return TooSlow(
                f"the request line and its headers did not come within {bounds.head_seconds:g} seconds: "
                "send them in one piece"
            )
        if waits == "body":
            return TooSlow(
                f"the body came {bounds.body_seconds:g} seconds later than at {bounds.rate} bytes a second, the least "
                "that this service waits for: send it right after its head, and what is large in parts"
            )
        return None

    def _made_room(self) -> bool:
        """End connections that wait for their callers: of whoever has most, and of these the most silent ones."""
        held = Counter(map(_address, self._open))
        waiting = [each for each in self._open if each.timeout_keep_alive_task is not None or each.waits() is not None]
        waiting.sort(key=lambda each: (-held[_address(each)], each.heard))
        for each in waiting[: 1 + self.bounds.connections // GIVING_WAY]:
            self.closed(each)
            each.give_up(None)
        return bool(waiting)


class _Left:
    """How many seconds a caller has left for what he is waited for."""

    def __init__(self) -> None:
        self._what: tuple[Waits | None, int] = None, 0
        self._seconds = self._at = 0.0
        self._bytes = 0

    def after(self, waits: Waits | None, connection: Watched, now: float, most: float, rate: int) -> float:
        """How many are left now; 1 where he is not waited for."""
        what = waits, connection.requests
        came = connection.transport.taken() if waits == "answer" else connection.received
        if what != self._what:
            self._what, self._seconds = what, most
        elif waits is not None:
            worth = (came - self._bytes) / rate if waits in ("body", "answer") else 0.0
            self._seconds = min(most, self._seconds + worth) - (now - self._at)
        self._bytes, self._at = came, now
        return 1.0 if waits is None else self._seconds


def _address(connection: Watched) -> str:
    return connection.client[0] if connection.client else ""


class Awaited:
    """What `Watched` wants of a connection and uvicorn's protocols do not count, to go before them."""

    loop: asyncio.AbstractEventLoop
    app: Any
    timeout_keep_alive: Any
    asks = False
    received = requests = 0
    heard = 0.0

    def begin_to_wait(self, patience: Patience) -> None:
        """Before there is a connection."""
        self._patience = patience
        self.timeout_keep_alive = patience.bounds.idle_seconds
        self.heard = self.loop.time()
        self.app = partial(self._asking, self.app)

    def hear(self, data: bytes) -> None:
        """Count what has come."""
        self.received += len(data)
        self.heard = self.loop.time()

    async def _asking(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, which says when it waits for more of a body."""

        async def received() -> Message:
            self.asks = True
            try:
                return await receive()
            finally:
                self.asks = False

        await app(scope, received, send)
