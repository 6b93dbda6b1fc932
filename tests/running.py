"""A real service for the tests: uvicorn on a free port, in a thread of its own."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from softkv_attention.lookup import Limits
from softkv_service import logs
from softkv_service.api.admission import KINDS, ConnectionLimits
from softkv_service.api.routes.page import SITE
from softkv_service.api.telemetry import Tracing
from softkv_service.app import create_app
from softkv_service.server.httptools_protocol import protocol_factory
from softkv_service.server.server import server_config
from softkv_service.settings import Settings
from softkv_service.startup import open_in_background

TLS_CONTEXT = httpx.create_ssl_context()
"""Shared by all clients. Each would otherwise make its own, slowly, though no test service speaks TLS."""


class RunningService:
    """Starts the service; `url` is where it listens. Leaving the block stops it as Ctrl-C would."""

    def __init__(
        self,
        *,
        port: int = 0,
        limits: Limits | None = None,
        tracing: Tracing | None = None,
        site: Path = SITE,
        connections: ConnectionLimits | None = None,
        **settings: Any,
    ) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        # asyncio does this itself only on sockets that it makes; without it a second answer waits 40 ms for an ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = Settings(port=self.port, **settings)
        opening = None if limits is None else open_in_background(self.settings, limits)
        logs.configure(self.settings.log_format, self.settings.log_level)
        self.app = create_app(self.settings, opening, tracing, site, connections)
        config = server_config(self.app, protocol_factory(self.app.state.connection_limits), lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> RunningService:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the service did not start; its log is above")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()

    def client(self, **options: Any) -> httpx.Client:
        """A client of this service."""
        return httpx.Client(base_url=self.url, timeout=120, verify=TLS_CONTEXT, **options)

    def wait_until_ready(self, seconds: float = 900) -> None:
        """Block until /readyz reports that the service is ready."""
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while (answer := client.get("/readyz")).status_code != 200:
                content = answer.json()
                if content["failed"] or time.monotonic() > deadline:
                    raise RuntimeError(f"the service does not get ready: {content}")
                time.sleep(0.1)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Fill every kind of admission slot for other callers."""
        admission = self.app.state.admission
        with ExitStack() as stack:
            for kind in KINDS:
                for number in range(self.settings.max_queue):
                    stack.enter_context(admission.admit(kind, f"another {number}"))
            yield

    def open_connections(self) -> set[Any]:
        """Return the connections of its callers, as the server knows them."""
        return set(self._server.server_state.connections)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call a function in the service's event loop."""
        next(iter(self.open_connections())).loop.call_soon_threadsafe(call)


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port that no other program gets at any address of this machine, until a server of the test listens."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers set it, which may listen there too
        reserved.bind(("", 0))
        yield reserved.getsockname()[1]


def children_of(process: int | None = None, *, module: str) -> list[int]:
    """Return the processes that run a module as children of a process, by default this one."""
    own_pid = process or os.getpid()
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == own_pid and state != "Z" and module in (status.parent / "cmdline").read_text():
                children.append(int(status.parent.name))
    return children
