"""How much a service takes on: bytes of a body, and the places that calls take."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.places import Places
from service.api.problems.errors import APIError, BodyTooLarge, LengthRequired
from service.api.problems.handlers import of_error


class Limits:
    """Refuses bodies over `max_body_bytes` (413), unless the route that runs lifts that.

    A body of NDJSON is a stream of batches and has no limit of its own. Routes find the `places` that they take in a
    request's state.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, places: Places) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit = BodyLimit(receive, declared=_declared(Headers(scope=scope)), most=self._max_body_bytes)
        except APIError as refusal:
            await of_error(refusal)(scope, receive, send)
            return
        scope["state"].update(body_limit=limit, places=self._places)
        await self._app(scope, limit.receive, send)


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise LengthRequired(f"Content-Length is {length!r}: send the number of bytes, or a chunked body")
    return int(length)


class BodyLimit:
    """What is left of one request to read, at most `most` bytes unless the route that runs has lifted that."""

    def __init__(self, receive: Receive, *, declared: int, most: int) -> None:
        self._receive = receive
        self._declared = declared
        self._most: int | None = most
        self._received = 0

    def lift(self) -> None:
        """Take a body of any length: for a route that reads it in parts and limits those."""
        self._most = None

    def check(self) -> None:
        """Refuse a body that is declared as too long, before any of it is read."""
        self._at_most(self._declared)

    async def receive(self) -> Message:
        """The next part of the body."""
        self.check()
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._at_most(self._received)
        return message

    def _at_most(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise BodyTooLarge(
                f"the body has {size} bytes or more, this service takes {self._most}: send fewer documents at a "
                "time, or application/x-ndjson, which has no limit"
            )


def body_limit(scope: Scope) -> BodyLimit:
    """The limit on the body of a request."""
    limit: BodyLimit = scope["state"]["body_limit"]
    return limit
