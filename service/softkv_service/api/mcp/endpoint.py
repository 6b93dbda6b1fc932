"""The endpoint of the Model Context Protocol: the client's server of tools over HTTP, within the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from contextvars import Context as Variables
from typing import Any

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from softkv import AsyncClient
from softkv.mcp.library import Library
from softkv.mcp.server import Context, create_server
from softkv_service.api.admission import notify_disconnect

URL = "http://localhost"
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
        state = dict[str, Any]()
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


class Endpoint:
    """An ASGI application for streamable HTTP without sessions; it answers between `start` and `close`.

    Each tool calls this same service.

    Args:
        max_bytes: the limit of a request's body.
    """

    def __init__(self, max_bytes: int) -> None:
        @asynccontextmanager
        async def open_library(context: Context) -> AsyncIterator[Library]:
            assert isinstance(context.request, Request)
            transport = InProcessTransport(context.request.scope)
            async with AsyncClient(URL, key="", retries=0, transport=transport) as client:
                yield Library(client)

        self._sessions = StreamableHTTPSessionManager(
            create_server(open_library), json_response=True, stateless=True, max_request_body_size=max_bytes
        )
        self._started, self._ending = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the endpoint, so that it accepts requests."""
        # An empty context: the task must not inherit variables of the request that happens to be the first.
        self._task = asyncio.create_task(self._run(), context=Variables())
        await self._started.wait()

    async def _run(self) -> None:
        async with self._sessions.run():
            self._started.set()
            await self._ending.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI defines it."""
        await self._sessions.handle_request(scope, receive, send)

    async def close(self) -> None:
        """Close the endpoint, and end all calls that it is answering."""
        self._ending.set()
        if self._task is not None:
            await self._task
