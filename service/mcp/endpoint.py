"""Over HTTP, within the service: streamable HTTP without sessions, and each tool's call made to that same service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context as Variables

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.mcp.library import Library
from service.mcp.server import Context, made
from softkv import AsyncClient

URL = "http://localhost"
NO_KEY = "-"  # so that none is looked for in the environment: the caller's is sent in its place


class Endpoint:
    """An ASGI application; between `start` and `close` it answers.

    Args:
        most_bytes: of a request's body.
        within: from a request to what sends calls of the same caller to the service.
    """

    def __init__(self, most_bytes: int, within: Callable[[Scope], httpx2.AsyncBaseTransport]) -> None:
        @asynccontextmanager
        async def open_(context: Context) -> AsyncIterator[Library]:
            assert isinstance(context.request, Request)
            transport = within(context.request.scope)
            async with AsyncClient(URL, key=NO_KEY, retries=0, transport=transport) as client:
                yield Library(client)

        self._sessions = StreamableHTTPSessionManager(
            made(open_), json_response=True, stateless=True, max_request_body_size=most_bytes
        )
        self._started, self._ending = asyncio.Event(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take requests from now on."""
        # Nothing of the request that happens to be the first belongs to it.
        self._running = asyncio.create_task(self._run(), context=Variables())
        await self._started.wait()

    async def _run(self) -> None:
        async with self._sessions.run():
            self._started.set()
            await self._ending.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        await self._sessions.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End what still runs."""
        self._ending.set()
        if self._running is not None:
            await self._running
