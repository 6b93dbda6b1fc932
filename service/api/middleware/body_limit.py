"""Limits on request bodies, in bytes, and the queue of requests that need much memory."""

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
"""How many requests are worked on at once of those that take much memory; one caller has at most all but one."""
BODIES = 8
"""How many of the largest bodies may be in memory at once."""


class BodyLimitMiddleware:
    """Refuses bodies over `max_body_bytes` (413), unless the route that runs lifts that.

    A body of NDJSON is a stream of batches and has no limit of its own. Routes find the `places` that they take in a
    request's state.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, admission: Admission) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._admission = admission
        self._gate = FairSemaphore(size=HEAVY, share=HEAVY - 1)
        self._bodies = CallerShares(BODIES * max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit = BodyLimit(receive, Headers(scope=scope), most=self._max_body_bytes, bodies=self._bodies)
        except APIError as refusal:
            await problem_response(refusal)(scope, receive, send)
            return
        burden = Burden(self._gate)
        scope["state"].update(body_limit=limit, admission=self._admission, burden=burden)
        try:
            await self._app(scope, limit.receive, send)
        finally:
            burden.end()


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise LengthRequired(f"Content-Length is {length!r}: send the number of bytes, or a chunked body")
    return int(length)


class BodyLimit:
    """What is left of one request to read, at most `most` bytes unless the route that runs has lifted that.

    Attributes:
        expects_any: whether it has a body.
    """

    def __init__(self, receive: Receive, headers: Headers, *, most: int, bodies: CallerShares) -> None:
        self._receive = receive
        self._declared = _declared(headers)
        self._most: int | None = most
        self._advice = "send fewer documents at a time, or application/x-ndjson, which has no limit"
        self._received = 0
        self._bodies = bodies
        self._caller, self._kept = "", 0
        self._read: Message | None = None
        self.expects_any = self._declared > 0 or "transfer-encoding" in headers

    def lift(self) -> None:
        """Take a body of any length: for a route that reads it in parts and limits those."""
        self._most = None

    def lower(self, most: int) -> None:
        """Take a body of at most `most` bytes: for a route whose bodies are short."""
        self._most = most if self._most is None else min(self._most, most)
        self._advice = "send less at a time"

    def check(self) -> None:
        """Refuse a body that is declared as too long, before any of it is read."""
        self._at_most(self._declared)

    async def receive(self) -> Message:
        """The next part of the body."""
        if self._read is not None:
            message, self._read = self._read, None
            return message
        self.check()
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._at_most(self._received)
        return message

    async def read(self, caller: str) -> None:
        """Read all of it, for `receive` to give.

        Raises:
            ClientDisconnect: the caller has gone.
            QueueFull: bodies of this caller's, or of all, take too much room.
        """
        self._caller, parts, more = caller, list[bytes](), True
        try:
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                more = message.get("more_body", False)
                self._keep(message.get("body", b""), parts)
        except BaseException:
            self._let_go()
            raise
        self._read = {"type": "http.request", "body": b"".join(parts), "more_body": False}

    def _keep(self, part: bytes, parts: list[bytes]) -> None:
        size, bodies = len(part), self._bodies
        if bodies.full(size) or bodies.over(self._caller, size, always=self._most or 0):
            raise QueueFull(
                f"bodies of {bodies.taken} bytes are under way, and this caller may have no more, or nobody: try "
                "again, and send fewer at once"
            )
        bodies.take(self._caller, size)
        self._kept += size
        parts.append(part)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What was read counts for as long as the block runs."""
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._bodies.take(self._caller, -self._kept)
        self._kept = 0

    def _at_most(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise BodyTooLarge(
                f"the body has {size} bytes or more, this service takes {self._most} here: {self._advice}"
            )


class Burden:
    """What one request is to the service: a heavy one waits for its turn, and has it until it is answered."""

    def __init__(self, gate: FairSemaphore) -> None:
        self._gate = gate
        self._caller: str | None = None

    async def heavy(self) -> None:
        """Wait, where it does not have its turn yet."""
        if self._caller is None:
            caller = CALLER.get()
            await self._gate.acquire(caller)
            self._caller = caller

    def end(self) -> None:
        """Let the next one have its turn."""
        if self._caller is not None:
            self._gate.release(self._caller)


async def heavy(scope: Scope, size: int, light: int) -> None:
    """Where a request is larger than light, wait for its turn among those that are: they are held a few at a time."""
    if size > light and (burden := scope["state"].get("burden")) is not None:
        await burden.heavy()


def body_limit(scope: Scope) -> BodyLimit:
    """The limit on the body of a request."""
    limit: BodyLimit = scope["state"]["body_limit"]
    return limit
