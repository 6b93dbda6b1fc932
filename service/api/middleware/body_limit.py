"""Limits on the bytes of request bodies, and a queue that lets only a few requests with large bodies run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.admission import Admission, CallerShares
from service.api.problems.errors import APIError, BodyTooLarge, LengthRequired, QueueFull
from service.api.problems.handlers import problem_response
from service.scheduling import CALLER, FairSemaphore

HEAVY = 3
"""The number of requests that need much memory and may run at once. One caller may have at most all but one of them."""
BODIES = 8
"""The number of bodies of the maximum size that may be in memory at once."""


class BodyLimitMiddleware:
    """A middleware that refuses bodies over `max_body_bytes` (413), unless the route lifts the limit.

    Only the route of NDJSON streams lifts the limit. The request's state gets `body_limit`, `admission` and
    `heavy_turn`.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, admission: Admission) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._admission = admission
        self._semaphore = FairSemaphore(size=HEAVY, share=HEAVY - 1)
        self._bodies = CallerShares(BODIES * max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the body limit of a request, and pass the request on; an ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit = BodyLimit(receive, Headers(scope=scope), max_bytes=self._max_body_bytes, bodies=self._bodies)
        except APIError as refusal:
            await problem_response(refusal)(scope, receive, send)
            return
        heavy_turn = HeavyTurn(self._semaphore)
        scope["state"].update(body_limit=limit, admission=self._admission, heavy_turn=heavy_turn)
        try:
            await self._app(scope, limit.receive, send)
        finally:
            heavy_turn.end()


def _content_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise LengthRequired(f"Content-Length is {length!r}: send the number of bytes, or a chunked body")
    return int(length)


class BodyLimit:
    """The body of one request, limited to `max_bytes` unless the route lifts the limit.

    Attributes:
        has_body: whether the request declares a body.
    """

    def __init__(self, receive: Receive, headers: Headers, *, max_bytes: int, bodies: CallerShares) -> None:
        self._receive = receive
        self._declared = _content_length(headers)
        self._max_bytes: int | None = max_bytes
        self._advice = "send fewer documents at a time, or application/x-ndjson, which has no limit"
        self._received = 0
        self._bodies = bodies
        self._caller, self._size = "", 0
        self._read: Message | None = None
        self.has_body = self._declared > 0 or "transfer-encoding" in headers

    def lift(self) -> None:
        """Accept a body of any length, for a route that reads it in parts and limits each part."""
        self._max_bytes = None

    def lower(self, max_bytes: int) -> None:
        """Lower the limit to `max_bytes`, for a route whose bodies are short."""
        self._max_bytes = max_bytes if self._max_bytes is None else min(self._max_bytes, max_bytes)
        self._advice = "send less at a time"

    def check(self) -> None:
        """Raise BodyTooLarge if the declared length of the body is too large, before the body is read."""
        self._at_most(self._declared)

    async def receive(self) -> Message:
        """Return the next part of the body."""
        if self._read is not None:
            message, self._read = self._read, None
            return message
        self.check()
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._at_most(self._received)
        return message

    async def read(self, caller: str) -> None:
        """Read the whole body, which `receive` then returns.

        Raises:
            ClientDisconnect: the client disconnected.
            QueueFull: the bodies of this caller, or of all callers, need too much memory.
        """
        self._caller, parts, more = caller, list[bytes](), True
        try:
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                more = message.get("more_body", False)
                self._add(message.get("body", b""), parts)
        except BaseException:
            self._release()
            raise
        self._read = {"type": "http.request", "body": b"".join(parts), "more_body": False}

    def _add(self, part: bytes, parts: list[bytes]) -> None:
        size, bodies = len(part), self._bodies
        if bodies.full(size) or bodies.over(self._caller, size, always=self._max_bytes or 0):
            raise QueueFull(
                f"{bodies.taken} bytes of request bodies are in memory, the limit of this caller or of the service. "
                "Retry, and send fewer requests at once."
            )
        bodies.take(self._caller, size)
        self._size += size
        parts.append(part)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count the body's bytes as memory in use by its caller while the block runs."""
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        self._bodies.take(self._caller, -self._size)
        self._size = 0

    def _at_most(self, size: int) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            raise BodyTooLarge(
                f"the body has {size} bytes or more, this service takes {self._max_bytes} here: {self._advice}"
            )


class HeavyTurn:
    """The turn of a request among those that need much memory, of which only a few run at once.

    The request keeps its turn until it is answered.
    """

    def __init__(self, semaphore: FairSemaphore) -> None:
        self._semaphore = semaphore
        self._caller: str | None = None

    async def wait(self) -> None:
        """Wait for the request's turn, unless the request has it already."""
        if self._caller is None:
            caller = CALLER.get()
            await self._semaphore.acquire(caller)
            self._caller = caller

    def end(self) -> None:
        """End the request's turn, so that the next request gets its own; do nothing without a turn."""
        if self._caller is not None:
            self._semaphore.release(self._caller)


async def wait_if_heavy(scope: Scope, size: int, light: int) -> None:
    """Wait for a turn if the request needs much memory: only a few such requests run at once.

    Args:
        scope: the request's ASGI scope.
        size: the size of the request.
        light: a request up to this size needs no turn.
    """
    if size > light and (heavy_turn := scope["state"].get("heavy_turn")) is not None:
        await heavy_turn.wait()


def body_limit(scope: Scope) -> BodyLimit:
    """Return the limit on the body of a request, as the middleware stored it in the request's state."""
    limit: BodyLimit = scope["state"]["body_limit"]
    return limit
