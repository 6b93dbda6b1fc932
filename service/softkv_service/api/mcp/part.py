"""The part of a server that answers `/mcp`: the route of messages, and its state, the endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from softkv.mcp import is_of_library
from softkv_service.api.admission import CancelOnDisconnect, Kind
from softkv_service.api.body import body_limit, require_json_type
from softkv_service.api.middleware.access import caller_of, is_foreign
from softkv_service.api.parts import Part
from softkv_service.api.paths import MCP
from softkv_service.api.problems.errors import MCPMissing, OriginRefused
from softkv_service.api.routing import GuardedRoute, filters, reaches, requires, takes
from softkv_service.scheduling import CALLER

if TYPE_CHECKING:
    from softkv_service.api.mcp.endpoint import Endpoint

NAME = "mcp"
MESSAGE_BYTES = 256_000
"""The maximum length of a message: twenty ids and a text need a hundredth of it.

Its JSON is parsed on the event loop.
"""


class MCPEndpoint:
    """The endpoint of the Model Context Protocol, made on first use; the state of the part."""

    def __init__(self) -> None:
        self._endpoint: Endpoint | None = None
        self._making = asyncio.Lock()

    async def endpoint(self) -> Endpoint:
        """Return the endpoint that answers requests.

        Raises:
            MCPMissing: the library is not installed.
        """
        async with self._making:
            if self._endpoint is None:
                endpoint = await asyncio.to_thread(_make_endpoint)
                await endpoint.start()
                self._endpoint = endpoint
        return self._endpoint

    def limits(self) -> Mapping[str, int]:
        """Return no limits: calls of tools have those of other calls."""
        return {}

    async def close(self) -> None:
        """Close the endpoint, if a message has created it."""
        if self._endpoint is not None:
            await self._endpoint.close()


def _make_endpoint() -> Endpoint:
    try:
        from softkv_service.api.mcp.endpoint import Endpoint
    except ModuleNotFoundError as error:
        if not is_of_library(error):
            raise
        raise MCPMissing(
            "this installation leaves out the Model Context Protocol: its operator installs it with "
            "`pip install 'mcp>=2.3'`, and a container with EXTRAS=mcp"
        ) from None
    return Endpoint(MESSAGE_BYTES)


class MessageRoute(GuardedRoute):
    """The route of messages, which needs no slot for running calls.

    The call that a message makes to this service takes a slot of its own. The route refuses web pages of other origins,
    whose messages a browser would send anywhere.
    """

    def kind_of(self, scope: Scope) -> Kind | None:
        """Return None: a message needs no slot for running calls, only the call that it makes."""
        return None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read and answer the message."""
        headers = Headers(scope=scope)
        _refuse_foreign(scope, headers)
        require_json_type(headers)
        limit, caller = body_limit(scope), caller_of(scope)
        limit.lower(MESSAGE_BYTES)
        CALLER.set(caller)
        await limit.read(caller)
        with closing(limit), CancelOnDisconnect(scope):
            await super().answer(scope, receive, send)


class _Spoken(Response):
    """A response that the server of the Model Context Protocol sends itself."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the server of the Model Context Protocol send its response; an ASGI call."""
        mcp = scope["app"].state.parts.added[NAME]
        assert isinstance(mcp, MCPEndpoint)
        endpoint = await mcp.endpoint()
        if "accept" not in Headers(scope=scope):  # the caller takes anything
            scope = {**scope, "headers": [*scope["headers"], (b"accept", b"application/json")]}
        await endpoint(scope, receive, send)


router = APIRouter(
    route_class=MessageRoute,
    dependencies=[requires("read"), takes("stateless"), reaches("collections"), filters("filtered")],
    include_in_schema=False,
)


@router.post(MCP)
@router.post(f"{MCP}/")
async def post_mcp_message(_: Request) -> Response:
    """Answer a message of the Model Context Protocol."""
    return _Spoken()


def _refuse_foreign(scope: Scope, headers: Headers) -> None:
    # Even with a key: the protocol requires it, and a page that is not listed could not read the answer anyway.
    if is_foreign(headers, scope["app"].state.cors_origins):
        raise OriginRefused(
            f"this comes from a web page of {headers['origin']}, and only pages of this service may send it: add the "
            f"origin to SOFTKV_CORS_ORIGINS"
        )


PART = Part(NAME, MCPEndpoint, lambda: [router])
