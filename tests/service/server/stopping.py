"""Services that are stopped by a signal while requests run, and the fate of these requests."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from softkv_service.server.process import EXIT_SECONDS
from tests.service.commands.conftest import Serving, serving

BUSY = 30.0
"""Seconds that a busy machine may take beyond what the service promises."""
IN_TIME = EXIT_SECONDS + BUSY
BY_ITSELF = EXIT_SECONDS
"""A process that ends later was ended by its exit deadline."""


class Asked(threading.Thread):
    """A call in a thread of its own, and its answer or the error that came instead of one."""

    def __init__(self, method: str, url: str, **content: Any) -> None:
        super().__init__(daemon=True)
        self.answer: httpx.Response | None = None
        self.error: httpx.TransportError | None = None
        self._call = (method, url, content)
        self.start()

    def run(self) -> None:
        method, url, content = self._call
        try:
            self.answer = httpx.request(method, url, timeout=60, trust_env=False, **content)
        except httpx.TransportError as error:
            self.error = error

    def status(self) -> int | None:
        """Return the status of the answer, or None if the connection was cut."""
        self.join(60)
        assert not self.is_alive()
        return None if self.answer is None else self.answer.status_code

    def refused(self) -> bool:
        """Return whether the call was refused because the service stops."""
        self.status()
        return self.answer is not None and self.answer.json()["code"] == "stopping"


class Stopped(Serving):
    """A service that can be stopped by a signal; its log is checked at the end."""

    client: httpx.Client

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal."""
        self.told = time.monotonic()
        self.process.send_signal(number)

    def gone(self) -> float:
        """Wait for a clean end with exit code 0; return the seconds since the signal."""
        _, log = self.process.communicate(timeout=60)
        seconds = time.monotonic() - self.told
        assert self.process.returncode == 0, log
        for word in ("Traceback", "unexpected", "status=500", "Exception", "without completing"):
            assert word not in log, log
        return seconds

    def raw(self, data: bytes) -> socket.socket:
        """Return a connection that has sent these bytes."""
        made = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=30)
        made.sendall(data)
        return made


@contextmanager
def stoppable(data: Path, *options: str) -> Iterator[Stopped]:
    """Yield a service that the test then stops."""
    with serving(data, *options) as running:
        made = Stopped(running.url, running.announced, running.process, running.before)
        with httpx.Client(base_url=made.url, timeout=60, trust_env=False) as made.client:
            yield made


def head(line: str, media: str, length: str) -> bytes:
    """Return the head of a request whose body follows."""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n{length}\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    """A part of a body without a length."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def read_until(raw: socket.socket, expected: bytes) -> None:
    """Read on until this came."""
    received = b""
    while expected not in received:
        more = raw.recv(65536)
        assert more, received
        received += more


def lines(raw: socket.socket) -> list[dict[str, Any]]:
    """Return the rest of a stream of NDJSON, until it ends."""
    received = b"".join(iter(lambda: raw.recv(65536), b""))
    return [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
