"""How much one service takes on: bytes of a body, and requests at once."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.api.errors import APIError, BodyTooLarge, LengthRequired, QueueFull


class Limits:
    """Refuses bodies over `max_body_bytes` (413) and requests over `max_queue` at once (429).

    A body of NDJSON is a stream of batches and has no limit of its own; its lines do.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_queue: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_queue = max_queue
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        try:
            if self._under_way >= self._max_queue:
                raise QueueFull(f"{self._under_way} requests are under way, the most this service holds: try again")
            limited = self._limit(Headers(scope=scope), receive)
        except APIError as refusal:
            await problems.of_error(refusal)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, limited, send)
        finally:
            self._under_way -= 1

    def _limit(self, headers: Headers, receive: Receive) -> Receive:
        if headers.get("content-type", "").startswith("application/x-ndjson"):
            return receive
        declared = headers.get("content-length", "0")
        if not declared.isdecimal():
            raise LengthRequired(f"Content-Length is {declared!r}: send the number of bytes, or a chunked body")
        if int(declared) > self._max_body_bytes:
            raise self._too_large(int(declared))
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise self._too_large(received)
            return message

        return counted

    def _too_large(self, size: int) -> BodyTooLarge:
        return BodyTooLarge(
            f"the body has {size} bytes or more, this service takes {self._max_body_bytes}: send fewer documents at a "
            "time, or application/x-ndjson, which has no limit"
        )
