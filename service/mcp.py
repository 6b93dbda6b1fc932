"""The endpoint of the Model Context Protocol: the server of `softkv.mcp`, over HTTP within the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context as Variables

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from softkv import AsyncClient
from softkv.mcp import Context, Library, create_server

URL = "http://localhost"


class Endpoint:
    """An ASGI application for streamable HTTP without sessions; it answers between `start` and `close`.

    Each tool calls this same service.

    Args:
        max_bytes: the limit of a request's body.
        transport_for: returns for the scope of a request a transport that calls the service as the same caller.
    """

    def __init__(self, max_bytes: int, transport_for: Callable[[Scope], httpx2.AsyncBaseTransport]) -> None:
        @asynccontextmanager
        async def open_library(context: Context) -> AsyncIterator[Library]:
            assert isinstance(context.request, Request)
            transport = transport_for(context.request.scope)
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
