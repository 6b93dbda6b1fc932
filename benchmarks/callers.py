"""Callers of a server that cost next to nothing: what they take of the processor, the server lacks.

One loop over blocking sockets in one process, requests made beforehand, and answers looked at only as far as to know
where they end: the same for every server. A `Wire` is its protocol, which knows where an answer ends, and refusals.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"

Address = tuple[str, int]


class Wire(Protocol):
    """A protocol of one request and one answer at a time, over a connection that stays open.

    Attributes:
        hello: what is sent once, each when the one before is answered, before anything is asked.
    """

    hello: Sequence[bytes]

    def verdict(self, received: bytes) -> str | None:
        """Return None while the answer is incomplete, "" for a success, else the refusal."""


@dataclass(frozen=True)
class Http:
    """HTTP/1.1 whose answers say their length; all but 200 is a refusal."""

    hello: Sequence[bytes] = ()

    def verdict(self, received: bytes) -> str | None:
        """See `Wire`."""
        head = received.find(END_OF_HEAD)
        if head < 0:
            return None
        length = LENGTH.search(received, 0, head + 1)
        if length is None:
            return "an answer without its length"
        if len(received) < head + len(END_OF_HEAD) + int(length[1]):
            return None
        return "" if received.startswith(b"HTTP/1.1 200") else received[:1000].decode(errors="replace")


def address_of(url: str) -> Address:
    """Return the address of http://host:port."""
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def request_of(address: Address, path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}"
    )
    return head.encode() + END_OF_HEAD + body


def get_of(address: Address, path: str) -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}".encode() + END_OF_HEAD


def body_of(answer: bytes) -> bytes:
    """Return the body of an answer over HTTP."""
    return answer.partition(END_OF_HEAD)[2]


AT_ONCE = 1 << 18  # bytes read from a connection at a time
PATIENCE = 300.0  # the limit in seconds for an answer that no longer counts


class CallRefused(RuntimeError):
    """A server refused a call, hung up, or said nothing."""


@dataclass
class Calls:
    """The results of some seconds of calls.

    Attributes:
        milliseconds: of every call that was sent in that time and answered, then or later.
        answered: the number of answers in that time.
        seconds: the length of that time.
        processor: the share of one core that the callers used.
        answers: the first answer to each request, as bytes, by the request's index.
        received: the number of answers at any time.
        errors: the number of refused and lost calls, at any time.
        error: the first of these errors.
        next: the index of the next request.
    """

    milliseconds: list[float] = field(default_factory=list)
    answered: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    answers: dict[int, bytes] = field(default_factory=dict)
    received: int = 0
    errors: int = 0
    error: str = ""
    next: int = 0

    @property
    def a_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    def milliseconds_of(self, share: float) -> float | None:
        """Return the milliseconds in which this share of the calls was answered; None without any."""
        return float(np.quantile(self.milliseconds, share)) if self.milliseconds else None


@dataclass(frozen=True)
class Span:
    """The duration of calls.

    Attributes:
        seconds: the minimum time that counts.
        settling: seconds before that, which do not count.
        least: answers or refusals to wait for, even if this takes longer.
        most: the limit of that wait in seconds.
    """

    seconds: float
    settling: float = 0.0
    least: int = 1
    most: float = 60.0


def ask(address: Address, wire: Wire, request: bytes, patience: float = PATIENCE) -> bytes:
    """Send one request over a new connection; return the answer as bytes.

    Raises:
        CallRefused: refused, or no answer in `patience` seconds.
        OSError: no server listens.
    """
    connection = _connected(address, wire, patience)
    try:
        return _exchanged(connection, wire, request)
    finally:
        connection.close()


def call(
    address: Address, wire: Wire, requests: Sequence[bytes], connections: int, span: Span, first: int = 0
) -> Calls:
    """Send requests over several connections at once; each sends the next request when its last is answered, in rounds.

    Calls in progress at the end are awaited, so that they do not burden the next server; one without an answer in
    `PATIENCE` seconds is an error.

    Args:
        address: of the server.
        wire: its protocol.
        requests: the requests as bytes.
        connections: the number of connections.
        span: the duration.
        first: the index of the first request to send.

    Raises:
        CallRefused: a connection could not be made.
    """
    calls = Calls(next=first)
    callers = [_Caller(address, wire, requests, calls) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        try:
            for caller in callers:
                selector.register(caller.connection, selectors.EVENT_READ, caller)
            began = time.perf_counter() + span.settling
            for caller in callers:
                caller.send(time.perf_counter())
            _run(selector, callers, calls, began, span)
        finally:
            for caller in callers:
                caller.connection.close()
    return calls


def _run(selector: selectors.BaseSelector, callers: Sequence[_Caller], calls: Calls, began: float, span: Span) -> None:
    """Until the time is over and nothing is under way; `began` is when counting begins."""
    ended, worked, now, refused = float("inf"), time.process_time(), time.perf_counter(), 0

    def came() -> int:
        return calls.answered + calls.errors

    while now < ended or any(caller.under_way for caller in callers):
        ready = selector.select(0.05)
        for key, _ in ready:
            caller: _Caller = key.data
            received = caller.receive()
            now = time.perf_counter()
            if received is None:
                continue
            if began <= now < ended and received:
                calls.answered += 1
            if began <= caller.sent < ended and received:
                calls.milliseconds.append(1e3 * (now - caller.sent))
            if not caller.open:
                selector.unregister(key.fileobj)
                caller.connect()
                selector.register(caller.connection, selectors.EVENT_READ, caller)
            if now < ended:
                caller.send(now)
        now = time.perf_counter()
        if ended == float("inf"):
            if now < began:
                worked, refused = time.process_time(), calls.errors
            elif now >= began + (span.seconds if came() - refused >= span.least else max(span.seconds, span.most)):
                ended, calls.seconds = now, now - began
                calls.processor = (time.process_time() - worked) / calls.seconds
        elif now > ended + PATIENCE:
            calls.errors += sum(caller.under_way for caller in callers)
            calls.error = calls.error or f"no answer in {PATIENCE:.0f} s"
            return


class _Caller:
    """One connection with one request under way at a time.

    Attributes:
        connection: the socket.
        open: whether it still is.
        under_way: whether an answer is waited for.
        sent: when the request was.
    """

    def __init__(self, address: Address, wire: Wire, requests: Sequence[bytes], calls: Calls) -> None:
        self.under_way = False
        self.sent = 0.0
        self._address, self._wire, self._requests, self._calls = address, wire, requests, calls
        self._place = 0
        self._received = b""
        self.connect()

    def connect(self) -> None:
        """Connect, and say hello."""
        try:
            self.connection = _connected(self._address, self._wire, PATIENCE)
        except OSError as error:
            raise CallRefused(f"{self._address[0]}:{self._address[1]} cannot be called: {error}") from None
        self.open = True

    def send(self, now: float) -> None:
        """Ask what is next."""
        self._place = self._calls.next
        self._calls.next = (self._place + 1) % len(self._requests)
        self.sent, self.under_way = now, True
        with contextlib.suppress(OSError):  # that the server hung up is noticed when its answer is read
            self.connection.sendall(self._requests[self._place])

    def receive(self) -> bool | None:
        """Read more; return None if the answer is incomplete, else whether it is a success."""
        try:
            data = self.connection.recv(AT_ONCE)
        except OSError as error:
            return self._lost(str(error))
        if not data:
            return self._lost("the server closed it")
        received = self._received = self._received + data if self._received else data
        verdict = self._wire.verdict(received)
        if verdict is None:
            return None
        self._received, self.under_way = b"", False
        if verdict:
            return self._failed(verdict)
        self._calls.received += 1
        if self._place not in self._calls.answers:
            self._calls.answers[self._place] = received
        return True

    def _lost(self, why: str) -> bool:
        self.connection.close()
        self.open, self.under_way, self._received = False, False, b""
        return self._failed(f"the connection was lost: {why}")

    def _failed(self, reason: str) -> bool:
        self._calls.errors += 1
        self._calls.error = self._calls.error or reason
        return False


def _connected(address: Address, wire: Wire, patience: float) -> socket.socket:
    connection = socket.create_connection(address, timeout=patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for request in wire.hello:
            _exchanged(connection, wire, request)
    except BaseException:
        connection.close()
        raise
    return connection


def _exchanged(connection: socket.socket, wire: Wire, request: bytes) -> bytes:
    """Send it → the whole answer."""
    connection.sendall(request)
    received = b""
    while (verdict := wire.verdict(received)) is None:
        data = connection.recv(AT_ONCE)
        if not data:
            raise CallRefused("the server closed the connection")
        received += data
    if verdict:
        raise CallRefused(verdict)
    return received
