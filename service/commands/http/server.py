"""The HTTP server under `softkv serve`: uvicorn, stopped by a signal without dying by it."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import structlog
import uvicorn
from fastapi import FastAPI

from service.commands.http.ending import Ending
from service.commands.http.joining import Joining
from service.commands.http.reading import connections

if TYPE_CHECKING:
    from service.api.draining import Draining
    from service.api.state import State

log = structlog.get_logger("softkv")

STREAMS_SECONDS = 1.9
"""After a signal, until a stream that has not ended by itself is cut."""
_SAYING_SECONDS = 0.2
"""Of these, what a stream has at least to say why it ends, where the loop was late."""
CLOSING_SECONDS = 1.5
"""Of the time that a signal leaves, what is kept for closing the store."""
ANSWERING_SECONDS = 0.5
"""For refusals of what was given up, and for callers to read them."""
_POLL_SECONDS = 0.02


def event_loop() -> asyncio.AbstractEventLoop:
    """A new one: uvloop's, where that is to be had."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def configuration(app: FastAPI, http: Any, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    """uvicorn's: connections are read by `http`, and the application alone writes the log."""
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose word a caller's address is: the connection's. A header can say anything.
        proxy_headers=False,
        lifespan=lifespan,
    )


class Server(uvicorn.Server):
    """uvicorn's server, whose end by a signal is a success; `announce` is called when it answers.

    Told by SIGTERM, it goes on for a moment in which /readyz is red, so that a balancer sends elsewhere; Ctrl-C skips
    that. Then it takes no connection more, answers what runs and refuses what waits.
    """

    def __init__(self, app: FastAPI, announce: Callable[[], None], ending: Ending, drain_seconds: float) -> None:
        super().__init__(configuration(app, connections(app.state.bounds), lifespan="off"))
        self._app = app
        self._announce = announce
        self._ending = ending
        self._drain_seconds = drain_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on the first signal, at once on a second one; uvicorn's own raises it again."""
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take notice of a signal."""
        self._ending.tell(sig)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce it."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go on for a moment, then refuse, then give up, and leave time to close the store."""
        draining: Draining = self._app.state.draining
        draining.begin()
        told = signal.Signals(self._ending.signal or signal.SIGINT).name
        log.info("stopping", signal=told, calls=draining.calls)
        cutting = asyncio.create_task(self._cut_streams())
        if self._ending.signal != signal.SIGINT:
            await asyncio.sleep(self._drain_seconds - self._ending.since())
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        encoder = self._app.state.parts.catalogue.encoder
        if encoder is not None:
            encoder.refuse()
        for connection in list(self.server_state.connections):
            _last_answer(connection)
        draining.refuse()
        if not await self._done(self._ending.left() - CLOSING_SECONDS - ANSWERING_SECONDS):
            log.warning("given up", calls=draining.give_up())
            await self._done(ANSWERING_SECONDS)
        cutting.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def _done(self, seconds: float) -> bool:
        """Whether all is answered and read by then."""
        deadline = time.monotonic() + seconds
        while self.server_state.tasks or self.server_state.connections:
            if time.monotonic() > deadline:
                return not self.server_state.tasks
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def _cut_streams(self) -> None:
        await asyncio.sleep(STREAMS_SECONDS - _SAYING_SECONDS - self._ending.since())
        await asyncio.sleep(_SAYING_SECONDS)
        for connection in list(self.server_state.connections):
            if any(cycle.response_started and not cycle.response_complete for cycle in _cycles(connection)):
                connection.transport.abort()


def _cycles(connection: Any) -> list[Any]:
    """The requests of a connection that may be under way: the last one read, and the one that is answered."""
    return [each for each in (connection.cycle, getattr(connection, "_answering", None)) if each is not None]


def _last_answer(connection: Any) -> None:
    """Close a connection that waits for nothing, and have another one closed behind its answer."""
    connection.shutdown()
    for cycle in _cycles(connection):
        cycle.keep_alive = False
        if cycle.more_body and isinstance(connection.transport, Joining):
            connection.transport.linger()


async def run(
    app: FastAPI,
    listener: socket.socket,
    announce: Callable[[], None],
    starting: Callable[[State], Coroutine[Any, Any, None]],
    ending: Ending,
    drain_seconds: float,
) -> None:
    """Serve `app` on a listening socket until a signal; what fails in its start is raised as it is.

    Args:
        starting: tells how far the start is, beside what else runs.
    """
    # Entered here and not by uvicorn, which would log what fails in it as a traceback.
    async with app.router.lifespan_context(app):
        telling = asyncio.create_task(starting(app.state.parts))
        await Server(app, announce, ending, drain_seconds).serve(sockets=[listener])
        telling.cancel()
    ending.soon()
