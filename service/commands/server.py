"""The HTTP server under `softkv serve`: uvicorn, stopped by a signal without dying by it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from service.commands.seeding_bar import show_seeding

# What an answer on its way may still take when the service is told to stop.
_GRACE_SECONDS = 8  # below the ten after which docker kills


class Server(uvicorn.Server):
    """uvicorn's server, whose end by a signal is a success; `told` is called when it answers."""

    def __init__(self, app: FastAPI, told: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._told = told

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on the first signal, at once on a second Ctrl-C; uvicorn's own raises it again."""
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._told()


async def run(app: FastAPI, listener: socket.socket, told: Callable[[], None]) -> None:
    """Serve `app` on a listening socket until a signal; what fails in its start is raised as it is."""
    # Entered here and not by uvicorn, which would log what fails in it as a traceback.
    async with app.router.lifespan_context(app):
        bar = asyncio.create_task(show_seeding(app.state.parts.demo))
        await Server(app, told).serve(sockets=[listener])
        bar.cancel()
