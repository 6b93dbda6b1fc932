"""One id a request: taken from X-Request-ID or made, answered, and in every line of the log."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("softkv")
ACCEPTABLE = re.compile(r"[!-~]{1,128}")
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# The last three do not fall back to the first.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "


class RequestId:
    """The outermost layer: names the request, sets the headers every answer has, logs how it went.

    `frame_ancestors`: whose pages may show this service's in a frame, as a Content-Security-Policy writes it.
    """

    def __init__(self, app: ASGIApp, *, frame_ancestors: str) -> None:
        self._app = app
        headers = HEADERS | {"Content-Security-Policy": POLICY + frame_ancestors}
        self._headers = [(name.lower().encode(), content.encode()) for name, content in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = identifier
        started = time.perf_counter()
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message.get("headers", ())
                names = {name for name, _ in sent}
                own = (header for header in self._headers if header[0] not in names)
                message["headers"] = [*sent, *own, (b"x-request-id", identifier.encode())]
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=identifier)
        try:
            await self._app(scope, receive, named)
        finally:
            if scope["path"] not in QUIET:
                holder = scope["state"].get("holder")
                log.info(
                    "request",
                    **({} if holder is None else holder.named),
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    took_ms=round((time.perf_counter() - started) * 1e3, 2),
                )
            structlog.contextvars.reset_contextvars(**bound)
