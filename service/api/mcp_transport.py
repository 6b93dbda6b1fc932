"""From a request to the service that it came to: calls of the same caller, made without a network."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.admission import notify_disconnect

OF_CALLER = (b"host", b"authorization", b"x-api-key", b"traceparent", b"tracestate")


class InProcessTransport(httpx2.AsyncBaseTransport):
    """Calls the application that a request came to, as whoever sent it: his key, address, and name for the service.

    Each call is one as any other: let in, counted, logged, and told to end by itself. So the request that it is made
    for takes no place, and is not told to end while it waits for one (`Call.waiting`).
    """

    def __init__(self, outer: Scope) -> None:
        self._app: ASGIApp = outer["app"]
        self._outer = outer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One call."""
        outer, state = self._outer, dict[str, Any]()
        own = [(name.encode().lower(), text.encode()) for name, text in request.headers.multi_items()]
        kept = [header for header in own if header[0] not in (*OF_CALLER, b"x-request-id")]
        named = (b"x-request-id", outer["state"]["request_id"].encode())
        headers = [*(header for header in outer["headers"] if header[0] in OF_CALLER), *kept, named]

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            await self._app({**scope, "headers": headers, "client": outer["client"], "state": state}, receive, send)

        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        answering = asyncio.ensure_future(transport.handle_async_request(request))
        try:
            with outer["state"]["call"].waiting():
                return await asyncio.shield(answering)
        except asyncio.CancelledError:
            # As a server does when a caller hangs up: what writes goes on, all else gives its place back.
            notify_disconnect(state)
            raise
