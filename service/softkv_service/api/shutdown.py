"""Shutdown in three steps: stop streams, refuse new calls, and cancel the calls that still run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from softkv_service.api.problems.errors import ServiceStopping

STREAM_SECONDS = 1.5
"""The time in which a stream must finish its current part."""

T = TypeVar("T")
_CONTINUE = "The service is shutting down. Continue from this point later."


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
        refusing: whether new calls are refused.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._late = asyncio.Event()
        self.refusing = False
        self._calls: set[Call] = set()

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
        self.refusing = True
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

    def add(self, call: Call) -> None:
        """Add a call in progress."""
        self._calls.add(call)

    def remove(self, call: Call) -> None:
        """Remove a call that has ended."""
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
        part = await _unless(self.begun, work)
        if self.begun.is_set():
            raise ServiceStopping(_CONTINUE)
        return part

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
    raise ServiceStopping(_CONTINUE)
