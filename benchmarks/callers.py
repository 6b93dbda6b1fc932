"""Callers of the service that cost next to nothing: what they take of the processor, the service lacks."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"


class CallRefused(RuntimeError):
    """The service answered something else than 200, or hung up."""


@dataclass(frozen=True)
class Calls:
    """What came of some seconds of calling.

    Attributes:
        milliseconds: of every call that was answered in that time, in the order of the answers.
        seconds: how long that time was.
        processor: the share of one core that the callers themselves took.
        last: an answer's body.
    """

    milliseconds: list[float]
    seconds: float
    processor: float
    last: bytes

    @property
    def a_second(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds


def request_of(url: str, path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire; `url` is http://host:port."""
    host = url.removeprefix("http://")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + END_OF_HEAD + body


def call(url: str, requests: Sequence[bytes], seconds: float, settling: float) -> Calls:
    """Send each of the requests again and again over a connection of its own, the next when the last is answered.

    Args:
        url: http://host:port.
        requests: of each caller, as `request_of` makes them.
        seconds: how long to count.
        settling: seconds before that, not counted.

    Raises:
        CallRefused: an answer that is not 200.
    """
    return asyncio.run(_call(url, requests, seconds, settling))


async def _call(url: str, requests: Sequence[bytes], seconds: float, settling: float) -> Calls:
    found: list[tuple[float, float]] = []
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    callers = [Caller(request, found.append, refused) for request in requests]
    for caller in callers:
        await _connect(caller, url)
    started = time.perf_counter()
    for caller in callers:
        caller.send()
    await asyncio.wait([refused], timeout=settling)
    worked = time.process_time()
    await asyncio.wait([refused], timeout=max(0.0, started + settling + seconds - time.perf_counter()))
    worked = time.process_time() - worked
    for caller in callers:
        caller.stop()
    if refused.done():
        refused.result()
    first = started + settling
    counted = [1e3 * took for ended, took in found if first <= ended < first + seconds]
    return Calls(counted, seconds, worked / seconds, callers[0].last)


async def _connect(caller: Caller, url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    await asyncio.get_running_loop().create_connection(lambda: caller, host, int(port))


class Caller(asyncio.Protocol):
    """One connection with one request on its way at a time."""

    def __init__(
        self, request: bytes, answered: Callable[[tuple[float, float]], None], refused: asyncio.Future[None]
    ) -> None:
        self.last = b""
        self._request = request
        self._answered = answered
        self._refused = refused
        self._received = b""
        self._stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self) -> None:
        """Ask."""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def stop(self) -> None:
        """Hang up; an answer that is on its way is lost."""
        self._stopped = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Note a whole answer and ask again."""
        received = self._received = self._received + data if self._received else data
        head = received.find(END_OF_HEAD)
        if head < 0:
            return
        length = LENGTH.search(received, 0, head + 1)
        if not received.startswith(b"HTTP/1.1 200") or length is None:
            self._refuse(received[:1000].decode(errors="replace"))
        elif len(received) >= head + len(END_OF_HEAD) + int(length[1]):
            now = time.perf_counter()
            self._answered((now, now - self._sent))
            self.last, self._received = received[head + len(END_OF_HEAD) :], b""
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody hangs up but we."""
        if not self._stopped:
            self._refuse(f"the connection was lost: {error or 'the service closed it'}")

    def _refuse(self, reason: str) -> None:
        if not self._refused.done():
            self._refused.set_exception(CallRefused(reason))
