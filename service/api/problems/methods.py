"""Which methods a path takes: HEAD wherever GET is, and the whole list where another one comes."""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

READING = ("GET", "HEAD")


class HeadAsGet:
    """Answers HEAD as GET; the server under it leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed(request: Request) -> str:
    """The methods that the path of a request takes, where Starlette names those of one route."""
    routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]
    taken = [
        method
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if not taken or "GET" in taken:  # what no route takes is a file
        taken = [*READING, *(method for method in taken if method != "GET")]
    return ", ".join(taken)
