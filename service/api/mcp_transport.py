"""An HTTP transport for calls to this service from within its own process, made while it answers an outer request."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.admission import notify_disconnect
from service.api.network import FROM_NETWORK

OF_CALLER = (b"host", b"authorization", b"x-api-key", b"traceparent", b"tracestate")


class InProcessTransport(httpx2.AsyncBaseTransport):
    """A transport that sends inner calls to this service itself, on behalf of an outer request.

    An inner call has the key, client address and Host of the outer request, and no more rights. It is checked,
    admitted, counted and logged like any other. So the outer request needs no slot for running calls, and a shutdown
    cancels the inner call instead (`Call.waiting`).
    """

    def __init__(self, outer: Scope) -> None:
        self._app: ASGIApp = outer["app"]
        self._outer = outer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the application, and return its response."""
        outer = self._outer
        state: dict[str, Any] = {FROM_NETWORK: True} if FROM_NETWORK in outer["state"] else {}
        inner_headers = [(name.encode().lower(), text.encode()) for name, text in request.headers.multi_items()]
        forwarded = [header for header in inner_headers if header[0] not in (*OF_CALLER, b"x-request-id")]
        request_id = (b"x-request-id", outer["state"]["request_id"].encode())
        headers = [*(header for header in outer["headers"] if header[0] in OF_CALLER), *forwarded, request_id]

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            await self._app({**scope, "headers": headers, "client": outer["client"], "state": state}, receive, send)

        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        response = asyncio.ensure_future(transport.handle_async_request(request))
        try:
            with outer["state"]["call"].waiting():
                return await asyncio.shield(response)
        except asyncio.CancelledError:
            # Cancel as after a disconnect: writes go on, other calls are cancelled and release their slots.
            notify_disconnect(state)
            raise
