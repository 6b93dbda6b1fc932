"""`POST /mcp`: one message of the Model Context Protocol, answered by an endpoint that is made on the first one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.api.admission import Kind, cancel_on_disconnect
from service.api.body import require_json_type
from service.api.middleware.access import MCP, caller_of, is_foreign
from service.api.middleware.body_limit import body_limit
from service.api.problems.errors import MCPMissing, OriginRefused
from service.api.routing import GuardedRoute, reaches, requires, takes
from service.scheduling import CALLER

if TYPE_CHECKING:
    from service.mcp import Endpoint


_LIBRARY = ("mcp", "mcp_types", "jsonschema")


class MCPEndpoint:
    """Has the endpoint, once there is one.

    Args:
        most_bytes: of a request's body.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._endpoint: Endpoint | None = None
        self._making = asyncio.Lock()

    async def endpoint(self) -> Endpoint:
        """Where requests go.

        Raises:
            MCPMissing: the library is not installed.
        """
        async with self._making:
            if self._endpoint is None:
                endpoint = await asyncio.to_thread(_made, self._most_bytes)
                await endpoint.start()
                self._endpoint = endpoint
        return self._endpoint

    async def close(self) -> None:
        """End it, where there is one."""
        if self._endpoint is not None:
            await self._endpoint.close()


def is_of_library(missing: ModuleNotFoundError) -> bool:
    """Whether what cannot be imported comes with the protocol's library."""
    return (missing.name or "").partition(".")[0] in _LIBRARY


def _made(most_bytes: int) -> Endpoint:
    try:
        from service.mcp import Endpoint
    except ModuleNotFoundError as error:
        if not is_of_library(error):
            raise
        raise MCPMissing(
            "this installation leaves out the Model Context Protocol: its operator installs it with "
            "pip install 'softkv[mcp]', and a container with EXTRAS=mcp"
        ) from None
    from service.api.mcp_transport import InProcessTransport

    return Endpoint(most_bytes, InProcessTransport)


MESSAGE_BYTES = 256_000
"""The longest message: twenty ids and a text need a hundredth of it, and its JSON is read on the event loop."""


class MessageRoute(GuardedRoute):
    """Takes no place: what a message asks for is a call of its sender to this service, and takes one as any other.

    And it is not for pages of other origins: a browser would send these anywhere.
    """

    def kind_of(self, scope: Scope) -> Kind | None:
        """None, whatever the tools' calls are."""
        return None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the message, and answer it."""
        headers = Headers(scope=scope)
        _refuse_foreign(scope, headers)
        require_json_type(headers)
        limit, caller = body_limit(scope), caller_of(scope)
        limit.lower(MESSAGE_BYTES)
        CALLER.set(caller)
        await limit.read(caller)
        with limit.hold(), cancel_on_disconnect(scope):
            await super().answer(scope, receive, send)


class _Spoken(Response):
    """What the protocol's own server answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        endpoint = await scope["app"].state.mcp.endpoint()
        await endpoint(scope, receive, send)


router = APIRouter(
    route_class=MessageRoute,
    dependencies=[requires("read"), takes("stateless"), reaches("collections")],
    include_in_schema=False,
)


@router.post(MCP)
async def post_mcp_message(_: Request) -> Response:
    """A message, as the protocol's own description has it."""
    return _Spoken()


def _refuse_foreign(scope: Scope, headers: Headers) -> None:
    # With a key, too: the protocol wants it so, and a page that is not listed could not read the answer anyway.
    if is_foreign(headers, scope["app"].state.cors_origins):
        raise OriginRefused(
            f"this comes from a web page of {headers['origin']}, and only pages of this service may send it: add the "
            f"origin to SOFTKV_CORS_ORIGINS"
        )
