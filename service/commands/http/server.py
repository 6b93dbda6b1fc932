"""The HTTP server under `softkv serve`: uvicorn, stopped by a signal without dying by it, and a bar meanwhile."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from service.commands.console import progress
from service.commands.http import connections

if TYPE_CHECKING:
    from service.retrieval.documents import Seeding

# What an answer on its way may still take when the service is told to stop.
_GRACE_SECONDS = 8  # below the ten after which docker kills
_BAR_SECONDS = 0.25


def event_loop() -> asyncio.AbstractEventLoop:
    """A new one: uvloop's, where that is to be had."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Server(uvicorn.Server):
    """uvicorn's server, whose end by a signal is a success; `announce` is called when it answers."""

    def __init__(self, app: FastAPI, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=connections(app.state.bounds),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._announce = announce

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
        """Start, then announce it."""
        await super().startup(sockets)
        self._announce()


async def run(app: FastAPI, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serve `app` on a listening socket until a signal; what fails in its start is raised as it is."""
    # Entered here and not by uvicorn, which would log what fails in it as a traceback.
    async with app.router.lifespan_context(app):
        bar = asyncio.create_task(_show_seeding(app.state.parts.demo))
        await Server(app, announce).serve(sockets=[listener])
        bar.cancel()


async def _show_seeding(seeding: Seeding) -> None:
    """Draw a bar a demo collection until all are loaded, while the service answers; a pipe gets the log's lines."""
    console = Console(stderr=True)
    if not console.is_terminal or not seeding.loading():
        return
    with progress(console) as bars:
        tasks = {name: bars.add_task(name, total=None) for name in seeding.progress}
        while seeding.loading():
            for name, state in seeding.progress.items():
                bars.update(tasks[name], completed=state.done, total=state.total)
            await asyncio.sleep(_BAR_SECONDS)
