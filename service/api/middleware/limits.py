"""How much one service takes on: bytes of a body, and requests at once."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.body_limit import BodyLimit
from service.api.problems import table as problems
from service.api.problems.errors import APIError, LengthRequired, QueueFull


class Limits:
    """Refuses bodies over `max_body_bytes` (413) and calls over `max_queue` at once (429).

    The route that runs may lift the first: a body of NDJSON is a stream of batches and has no limit of its own.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_queue: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_queue = max_queue
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counts = scope["path"].startswith("/v1/")
        try:
            if counts and self._under_way >= self._max_queue:
                raise QueueFull(f"{self._under_way} requests are under way, the most this service holds: try again")
            limit = BodyLimit(receive, declared=_declared(Headers(scope=scope)), most=self._max_body_bytes)
        except APIError as refusal:
            await problems.of_error(refusal)(scope, receive, send)
            return
        scope["state"]["body_limit"] = limit
        self._under_way += counts
        try:
            await self._app(scope, limit.receive, send)
        finally:
            self._under_way -= counts


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise LengthRequired(f"Content-Length is {length!r}: send the number of bytes, or a chunked body")
    return int(length)
