"""Calls of a service that stops: those that are not begun or take too long are refused, with 503."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.draining import Call, Draining
from service.api.middleware.request_id import QUIET
from service.api.problems.errors import ServiceStopping
from service.api.problems.handlers import of_error

UNTOUCHED = "this service is told to stop, and has not begun with this: ask again when it runs"
GIVEN_UP = "this service is told to stop, and this took longer than it could wait: ask again when it runs"
UNCERTAIN = (
    "this service is told to stop, and this took longer than it could wait; whether it was written is not known: look "
    "when it runs, or send it again, with the same Idempotency-Key if it had one"
)
CLOSE = (b"connection", b"close")


class Drained:
    """Tells `draining` of every call, and answers those that it stops. A request's state has it as `call`."""

    def __init__(self, app: ASGIApp, *, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        call, draining, whole = Call(task), self._draining, False

        async def heard() -> Message:
            nonlocal whole
            if not whole and draining.refusing:
                raise ServiceStopping(UNTOUCHED)
            call.awaits_body = not whole
            message = await receive()
            call.awaits_body = False
            whole = whole or not message.get("more_body", False)
            return message

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.started = True
                if draining.begun.is_set():
                    message["headers"] = [*message.get("headers", ()), CLOSE]
            await send(message)

        if draining.refusing and scope["path"] not in QUIET:
            await of_error(ServiceStopping(UNTOUCHED))(scope, receive, said)
            return
        scope["state"]["call"] = call
        with draining.under_way(call):
            try:
                await self._app(scope, heard, said)
            except asyncio.CancelledError:
                if not call.stopped:
                    raise
                task.uncancel()
                if not call.started:
                    await of_error(ServiceStopping(_reason(call, scope)))(scope, receive, said)


def _reason(call: Call, scope: Scope) -> str:
    if call.awaits_body:
        return UNTOUCHED
    return UNCERTAIN if getattr(scope.get("route"), "needed", None) == "write" else GIVEN_UP
