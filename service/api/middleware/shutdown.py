"""Shutdown in three steps: stop streams, refuse new calls, and give up the calls that still run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.requests import QUIET
from service.api.problems.errors import ServiceStopping
from service.api.problems.handlers import problem_response

STREAM_SECONDS = 1.5
"""How long a stream may take for what it is at."""

T = TypeVar("T")


class Call:
    """A call under way, as far as a service that stops wants to know.

    Attributes:
        task: what answers it.
        awaits_body: whether it waits for its caller to send more of the body.
        stopped: whether it was told to end.
        started: whether its answer has begun.
    """

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task
        self.awaits_body = self.stopped = self.started = False
        self._waits = False

    def stop(self) -> None:
        """Have it answered that the service stops, instead of what it waits for."""
        if not (self.stopped or self._waits):
            self.stopped = True
            self.task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While it waits for a call of its own to this same service: that one is told to end, and so this one ends."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False


class Shutdown:
    """Three steps, each taken once: `begin`, `refuse`, `give_up`.

    Attributes:
        begun: is set when the first is taken: /readyz is red, streams begin nothing more, connections are not kept.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._late = asyncio.Event()
        self._refusing = False
        self._calls: set[Call] = set()

    @property
    def refusing(self) -> bool:
        """Whether what comes is refused."""
        return self._refusing

    @property
    def calls(self) -> int:
        """How many are under way."""
        return len(self._calls)

    def begin(self) -> None:
        """Say so to who asks whether the service is ready, and to streams; everything else goes on."""
        if not self.begun.is_set():
            self.begun.set()
            asyncio.get_running_loop().call_later(STREAM_SECONDS, self._late.set)

    def refuse(self) -> None:
        """Take on no call more, and wait for no body."""
        self.begin()
        self._refusing = True
        for call in list(self._calls):
            if call.awaits_body and not call.started:
                call.stop()

    def give_up(self) -> int:
        """Answer what still runs that the service stops → how many calls; threads compute on, for nobody."""
        self.refuse()
        calls = list(self._calls)
        for call in calls:
            call.stop()
        return len(calls)

    @contextmanager
    def under_way(self, call: Call) -> Iterator[None]:
        """Know of a call for as long as the block runs."""
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.discard(call)

    def refuse_streams(self) -> None:
        """Raises: ServiceStopping where a stream that began now would be cut."""
        if self.begun.is_set():
            raise ServiceStopping("this service is told to stop, and begins no stream: ask again when it runs")

    async def before_end(self, work: Awaitable[T]) -> T:
        """What a part of a stream gives that changes nothing.

        Raises:
            ServiceStopping: the service was told to stop before it was there; it is cancelled.
        """
        return await _unless(self.begun, work)

    async def in_time(self, work: Awaitable[T]) -> T:
        """The same of a part that is better finished: it is given `STREAM_SECONDS`."""
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
    raise ServiceStopping("this service is told to stop: go on from here when it runs")


UNTOUCHED = "this service is told to stop, and has not begun with this: ask again when it runs"
GIVEN_UP = "this service is told to stop, and this took longer than it could wait: ask again when it runs"
UNCERTAIN = (
    "this service is told to stop, and this took longer than it could wait; whether it was written is not known: look "
    "when it runs, or send it again, with the same Idempotency-Key if it had one"
)
CLOSE = (b"connection", b"close")


class ShutdownMiddleware:
    """Tells `draining` of every call, and answers those that it stops. A request's state has it as `call`."""

    def __init__(self, app: ASGIApp, *, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        call, draining, whole = Call(task), self._shutdown, False

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
            await problem_response(ServiceStopping(UNTOUCHED))(scope, receive, said)
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
                    await problem_response(ServiceStopping(_reason(call, scope)))(scope, receive, said)


def _reason(call: Call, scope: Scope) -> str:
    if call.awaits_body:
        return UNTOUCHED
    return UNCERTAIN if getattr(scope.get("route"), "needed", None) == "write" else GIVEN_UP
