"""`POST /mcp`: one message of the Model Context Protocol, in and out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.api.body import require_declared
from service.api.middleware import cors
from service.api.middleware.access import MCP, caller_of
from service.api.middleware.limits import body_limit
from service.api.places import Kind, given_up
from service.api.problems.errors import OriginRefused
from service.api.routing import GuardedRoute, reaches, requires, takes
from service.scheduling import CALLER

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
        require_declared(headers)
        limit, caller = body_limit(scope), caller_of(scope)
        limit.lower(MESSAGE_BYTES)
        CALLER.set(caller)
        await limit.read(caller)
        with limit.kept(), given_up(scope):
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
async def speak_mcp(_: Request) -> Response:
    """A message, as the protocol's own description has it."""
    return _Spoken()


def _refuse_foreign(scope: Scope, headers: Headers) -> None:
    # With a key, too: the protocol wants it so, and a page that is not listed could not read the answer anyway.
    if cors.is_foreign(headers, scope["app"].state.cors_origins):
        raise OriginRefused(
            f"this comes from a web page of {headers['origin']}, and only pages of this service may send it: add the "
            f"origin to SOFTKV_CORS_ORIGINS"
        )
