"""A route of the API: who may call it and how much it reads are settled before anything of the request is read."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from service.api.body_limit import body_limit
from service.api.permission import admit, required


class GuardedRoute(APIRoute):
    """Checks what it declares with `requires`, and the length of the body; one that declares nothing is for writers."""

    reads_any_length = False

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any route, to those who may call it; a method it does not take is refused as such."""
        if scope["method"] in (self.methods or ()):
            admit(scope, required(self) or "write")
            limit = body_limit(scope)
            if self.reads_any_length:
                limit.lift()
            limit.check()
        await super().handle(scope, receive, send)
