"""The HTTP server under `softkv serve`: uvicorn, with a graceful shutdown on signals."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import uvicorn
from fastapi import FastAPI

from softkv_service.logs import log
from softkv_service.server.httptools_protocol import CoalescingTransport, protocol_factory
from softkv_service.server.process import ExitDeadline, remove_unix_socket

if TYPE_CHECKING:
    from softkv_service.api.shutdown import Shutdown
    from softkv_service.api.state import State

STREAM_SECONDS = 1.9
"""Seconds after a signal until streams that have not ended are cut."""
_STREAM_ERROR_SECONDS = 0.2
"""The part of `STREAM_SECONDS` that a stream has at least to send its last error, even if the loop was late."""
CLOSING_SECONDS = 1.5
"""The part of the time until the exit deadline that is reserved for closing the store."""
ANSWERING_SECONDS = 0.5
"""Seconds to send the errors of cancelled requests, and for clients to read them."""
_POLL_SECONDS = 0.02


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop, of uvloop if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def server_config(app: FastAPI, http: Any, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    """Return uvicorn's configuration.

    `http` creates the protocol of each connection, and only the application writes log lines. Of connections from a
    trusted proxy, `X-Forwarded-For` and `X-Forwarded-Proto` set the address of the client and the scheme.
    """
    trusted_proxies: list[str] = list(app.state.trusted_proxies)
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Otherwise the address of a client is that of its connection: a header can claim anything.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        root_path=app.state.root_path,
        lifespan=lifespan,
    )


class Server(uvicorn.Server):
    """The uvicorn server with a graceful shutdown; it calls `announce` when it accepts connections.

    After SIGTERM it keeps serving for `drain_seconds` while /readyz fails, so that a load balancer stops sending
    requests; Ctrl-C skips that. Then it accepts no more connections, answers running requests and refuses waiting ones.
    """

    def __init__(
        self, app: FastAPI, announce: Callable[[], None], exit_deadline: ExitDeadline, drain_seconds: float
    ) -> None:
        super().__init__(server_config(app, protocol_factory(app.state.connection_limits), lifespan="off"))
        self._app = app
        self._announce = announce
        self._exit_deadline = exit_deadline
        self._drain_seconds = drain_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; unlike the method of uvicorn, do not raise the signal again at the end."""
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown at the first signal; exit at the second."""
        self._exit_deadline.record_signal(sig)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then call `announce`."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Keep serving for `drain_seconds`, then refuse new requests, then cancel running ones early enough to close
        the store.
        """
        shutdown: Shutdown = self._app.state.shutdown
        shutdown.begin()
        signal_name = signal.Signals(self._exit_deadline.signal or signal.SIGINT).name
        log.info("stopping", signal=signal_name, calls=shutdown.calls)
        cutting = asyncio.create_task(self._cut_streams())
        if self._exit_deadline.signal != signal.SIGINT:
            await asyncio.sleep(self._drain_seconds - self._exit_deadline.seconds_since_signal())
        for listener in sockets or ():
            remove_unix_socket(listener)
        for opened in (*self.servers, *(sockets or ())):
            opened.close()
        self._app.state.parts.catalogue.encoders.refuse()
        for connection in list(self.server_state.connections):
            _close_after_answer(connection)
        shutdown.refuse()
        if not await self._wait_until_done(self._exit_deadline.remaining() - CLOSING_SECONDS - ANSWERING_SECONDS):
            log.warning("cancelled running requests", calls=shutdown.give_up())
            await self._wait_until_done(ANSWERING_SECONDS)
        cutting.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def _wait_until_done(self, seconds: float) -> bool:
        """Wait up to this many seconds.

        Return whether all requests were answered and the clients have read the responses.
        """
        deadline = time.monotonic() + seconds
        while self.server_state.tasks or self.server_state.connections:
            if time.monotonic() > deadline:
                return not self.server_state.tasks
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def _cut_streams(self) -> None:
        await asyncio.sleep(STREAM_SECONDS - _STREAM_ERROR_SECONDS - self._exit_deadline.seconds_since_signal())
        await asyncio.sleep(_STREAM_ERROR_SECONDS)
        for connection in list(self.server_state.connections):
            if any(cycle.response_started and not cycle.response_complete for cycle in _cycles(connection)):
                connection.transport.abort()


def _cycles(connection: Any) -> list[Any]:
    """Return the requests of a connection that may be running: the one parsed last and the one being answered."""
    return [cycle for cycle in (connection.cycle, connection.active_cycle) if cycle is not None]


def _close_after_answer(connection: Any) -> None:
    """Close an idle connection at once, and any other one after its answer."""
    connection.shutdown()
    for cycle in _cycles(connection):
        cycle.keep_alive = False
        if cycle.more_body and isinstance(connection.transport, CoalescingTransport):
            connection.transport.linger()


async def run(
    app: FastAPI,
    listener: socket.socket,
    announce: Callable[[], None],
    report_startup: Callable[[State], Coroutine[Any, Any, None]],
    exit_deadline: ExitDeadline,
    drain_seconds: float,
) -> None:
    """Serve `app` on a listening socket until a signal; errors of its startup are raised unchanged.

    Args:
        app: the application.
        listener: the socket.
        announce: called when the server accepts connections.
        report_startup: reports the progress of the startup, in a task of its own.
        exit_deadline: the watchdog that ends the process.
        drain_seconds: how long to keep serving after SIGTERM.
    """
    # Entered here and not by uvicorn, which would log an error as a traceback.
    async with app.router.lifespan_context(app):
        reporting = asyncio.create_task(report_startup(app.state.parts))
        await Server(app, announce, exit_deadline, drain_seconds).serve(sockets=[listener])
        reporting.cancel()
    exit_deadline.shorten()
