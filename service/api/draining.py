"""A service that was told to stop: what it still answers, what it refuses, and what it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from service.api.problems.errors import ServiceStopping

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


class Draining:
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
