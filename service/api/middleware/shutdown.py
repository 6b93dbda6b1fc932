"""Shutdown in three steps: stop streams, refuse new calls, and cancel the calls that still run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette._utils import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.keyring import CHANGING
from service.api.middleware.requests import PROBES
from service.api.problems.errors import ServiceStopping
from service.api.problems.handlers import problem_response

STREAM_SECONDS = 1.5
"""The time in which a stream must finish its current part."""

T = TypeVar("T")


class Call:
    """A call in progress, as the shutdown tracks it.

    Attributes:
        task: the task that answers it.
        awaits_body: whether the task waits for more of the request body.
        stopped: whether the shutdown cancelled the task.
        started: whether the call's response has begun.
    """

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task
        self.awaits_body = self.stopped = self.started = False
        self._waits = False

    def stop(self) -> None:
        """Cancel the call for the shutdown, unless it waits for a nested call, which is cancelled itself."""
        if not (self.stopped or self._waits):
            self.stopped = True
            self.task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark the call as waiting for a nested call to this service.

        The shutdown then cancels the nested call instead.
        """
        self._waits = True
        try:
            yield
        finally:
            self._waits = False


class Shutdown:
    """The state of the service's shutdown, and its three steps: `begin`, `refuse`, `give_up`.

    Attributes:
        begun: set by `begin`: /readyz fails, streams start no new part, and connections are closed after a response.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._late = asyncio.Event()
        self._refusing = False
        self._calls: set[Call] = set()

    @property
    def refusing(self) -> bool:
        """Whether new calls are refused."""
        return self._refusing

    @property
    def calls(self) -> int:
        """The number of calls in progress."""
        return len(self._calls)

    def begin(self) -> None:
        """Begin the shutdown: /readyz fails and no stream starts a new part, but requests are still served."""
        if not self.begun.is_set():
            self.begun.set()
            asyncio.get_running_loop().call_later(STREAM_SECONDS, self._late.set)

    def refuse(self) -> None:
        """Refuse new calls, and cancel the calls that still wait for more of their body."""
        self.begin()
        self._refusing = True
        for call in list(self._calls):
            if call.awaits_body and not call.started:
                call.stop()

    def give_up(self) -> int:
        """Cancel all calls in progress, and return their number.

        Their threads still finish, but the results are discarded.
        """
        self.refuse()
        calls = list(self._calls)
        for call in calls:
            call.stop()
        return len(calls)

    @contextmanager
    def track(self, call: Call) -> Iterator[None]:
        """Track a call while the block runs."""
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.discard(call)

    def check_streams(self) -> None:
        """Raise ServiceStopping if the shutdown has begun, so that a stream starts no new part."""
        if self.begun.is_set():
            raise ServiceStopping("The service is shutting down and accepts no new streams. Retry later.")

    async def until_begun(self, work: Awaitable[T]) -> T:
        """Run a part of a stream that only reads, and return its result. A shutdown cancels the part at once.

        Raises:
            ServiceStopping: the shutdown began before the part was complete.
        """
        return await _unless(self.begun, work)

    async def until_late(self, work: Awaitable[T]) -> T:
        """Run a part of a stream that should be finished, and return its result.

        A shutdown waits `STREAM_SECONDS` for it.

        Raises:
            ServiceStopping: the part took longer than that after the shutdown began.
        """
        return await _unless(self._late, work)


async def _unless(event: asyncio.Event, work: Awaitable[T]) -> T:
    task, ended = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        ended.cancel()
        task.cancel()
    await asyncio.wait((task,))
    raise ServiceStopping("The service is shutting down. Continue from this point later.")


UNTOUCHED = "The service is shutting down and has not started on this request. Retry later."
GIVEN_UP = "The service is shutting down, and this request took too long. Retry later."
UNCERTAIN = (
    "The service is shutting down, and this write took too long. It may or may not have been written. Check later, or "
    "send it again, with the same Idempotency-Key if it had one."
)
CLOSE = (b"connection", b"close")


class ShutdownMiddleware:
    """A middleware that tracks every call, and answers the calls that the shutdown stops.

    The request's state holds the `Call` as `call`.
    """

    def __init__(self, app: ASGIApp, *, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Track a call and pass it on, or refuse it if the shutdown refuses new calls; an ASGI call."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        call, shutdown, received = Call(task), self._shutdown, False

        async def receive_part() -> Message:
            nonlocal received
            if not received and shutdown.refusing:
                raise ServiceStopping(UNTOUCHED)
            call.awaits_body = not received
            message = await receive()
            call.awaits_body = False
            received = received or not message.get("more_body", False)
            return message

        async def send_part(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.started = True
                if shutdown.begun.is_set():
                    message["headers"] = [*message.get("headers", ()), CLOSE]
            await send(message)

        if shutdown.refusing and get_route_path(scope) not in PROBES:
            await problem_response(ServiceStopping(UNTOUCHED))(scope, receive, send_part)
            return
        scope["state"]["call"] = call
        with shutdown.track(call):
            try:
                await self._app(scope, receive_part, send_part)
            except asyncio.CancelledError:
                if not call.stopped:
                    raise
                task.uncancel()
                if not call.started:
                    await problem_response(ServiceStopping(_reason(call, scope)))(scope, receive, send_part)


def _reason(call: Call, scope: Scope) -> str:
    if call.awaits_body:
        return UNTOUCHED
    return UNCERTAIN if getattr(scope.get("route"), "required_level", None) in CHANGING else GIVEN_UP
