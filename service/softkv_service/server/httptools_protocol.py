"""HTTP/1.1 connections, parsed by llhttp through httptools, under uvicorn.

llhttp runs in its strict mode. Some requests that llhttp accepts and RFC 9112 forbids are refused here: those with
transfer codings other than `chunked`, and those without a Host. uvicorn's own protocol for httptools accepts them. It
also parses on behind `Connection: close`, takes the body behind an `Upgrade` as the next request, makes headers of
trailers, reads headers of any size, and answers what it cannot parse before the requests that came earlier.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from softkv_service.api.admission import ConnectionLimits, notify_disconnect
from softkv_service.api.middleware.requests import NO_STORE
from softkv_service.api.problems.errors import APIError
from softkv_service.configuration import UNIX
from softkv_service.server.malformed import (
    MAX_HEAD_BYTES,
    PIECE_BYTES,
    ambiguous_length,
    head_too_large,
    invalid_head,
    invalid_host,
    parser_error,
    rejection_scope,
)
from softkv_service.server.process import UNIX_FAMILY
from softkv_service.server.timeouts import MAX_CHECK_SECONDS, ConnectionTimeouts, WaitReason

MAX_PIPELINED = 16
"""The most requests of one connection that wait for their turn; the bytes after them stay unparsed."""
LINGER_SECONDS = 1.0
CONNECT = b"CONNECT"
MAPPED = "::ffff:"
"""The beginning of an IPv4 address as sockets of both families have it."""


def protocol_factory(bounds: ConnectionLimits) -> Any:
    """Return the function that uvicorn calls to create the protocol of each connection, with these limits."""
    return partial(StrictHttpProtocol, ConnectionTimeouts(bounds))


class CoalescingTransport:
    """A transport that joins two writes into one: the first waits for the second, or for the end of the event loop's
    current turn.

    So the head and the body of a response are sent in one write to the socket, and in one packet. In a stream at most
    one part is delayed, until the next part arrives.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._buffer = b""
        self._written = 0
        self._lingers = self._ends = False

    def write(self, data: bytes) -> None:
        """Send the data together with the buffered data; buffer it if the buffer is empty."""
        if not data or self._ends:
            return
        self._written += len(data)
        if self._buffer:
            buffered, self._buffer = self._buffer, b""
            self._transport.writelines((buffered, data))
        else:
            self._buffer = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the buffered data to the socket."""
        buffered, self._buffer = self._buffer, b""
        if buffered and not self._transport.is_closing():
            self._transport.write(buffered)

    def count_sent(self) -> int:
        """Return how many bytes have left this process."""
        return self._written - len(self._buffer) - self._transport.get_write_buffer_size()

    def linger(self) -> None:
        """Make `close` read and discard further data for a moment, as RFC 9112, section 9.6 requires.

        If a socket is closed while data is unread, the connection is reset, and the client may lose the last response.
        """
        self._lingers = True

    def close(self) -> None:
        """Send the buffered data, then close the transport."""
        self.flush()
        if not self._lingers or self._transport.is_closing():
            self._transport.close()
        elif not self._ends:
            self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)
        self._ends = True

    def is_closing(self) -> bool:
        """Return whether the transport is closing, so that no more data can be sent."""
        return self._ends or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Cycle(RequestResponseCycle):
    """A request and its response.

    Attributes:
        awaits_body: whether the application waits for more of the body.
    """

    awaits_body = False

    async def receive(self) -> Any:
        """Return the next part of the body, and note meanwhile that the application waits for it."""
        self.awaits_body = True
        try:
            return await super().receive()
        finally:
            self.awaits_body = False

    async def send_500_response(self) -> None:
        """Answer a request whose application ended without an answer; no cache may keep that either."""
        self.default_headers = [*self.default_headers, (b"cache-control", NO_STORE.encode())]
        await super().send_500_response()


class StrictHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a strict parser, responses in one write, problem responses to malformed requests,
    and limits.

    A malformed request is answered after the requests that came before it on the connection. Then the connection is
    closed. It is a `TrackedConnection`: it counts bytes and requests, because uvicorn does not.
    """

    cycle: Cycle

    def __init__(self, timeouts: ConnectionTimeouts, **options: Any) -> None:
        super().__init__(**options)
        self._timeouts = timeouts
        self.timeout_keep_alive: Any = timeouts.bounds.keepalive_timeout
        self.received = self.requests = 0
        self.last_received = self.loop.time()
        self.parser = httptools.HttpRequestParser(self)  # the parser of uvicorn is lenient
        self.active_cycle: Cycle | None = None  # the one being answered; `pipeline` has the next
        self._unparsed = b""  # bytes that arrived while too many requests wait
        self._idle_bytes = 0  # parsed since the last complete head, part of a body or request
        self._in_head = self._in_body = False
        self._is_upgrade = False  # the head has to be parsed again without its Upgrade
        self._is_last = False  # no request follows the one being parsed
        self._stopped = False  # nothing more is parsed
        self._hosts = 0
        self._lengths: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport of a new connection, and start its timeouts.

        A client that a listener of both families has by IPv4 gets its IPv4 address, by which it may be trusted.
        """
        super().connection_made(cast(asyncio.Transport, CoalescingTransport(transport, self.loop)))
        if transport.get_extra_info("socket").family == UNIX_FAMILY:
            self.client = UNIX, 0
        elif self.client is not None and self.client[0].startswith(MAPPED):
            self.client = self.client[0].removeprefix(MAPPED), self.client[1]
        self._timeouts.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered that its client is gone. uvicorn itself tells only the request that
        was parsed last.
        """
        super().connection_lost(exc)
        self._timeouts.remove(self)
        self._stopped = True
        self._unparsed = b""
        self.pipeline.clear()
        if self.active_cycle is not None and not self.active_cycle.response_complete:
            self.active_cycle.disconnected = True
            self.active_cycle.message_event.set()
            notify_disconnect(self.active_cycle.scope["state"])

    def data_received(self, data: bytes) -> None:
        """Parse received data piece by piece; stop when too many parsed requests wait for their turn."""
        self._unset_keepalive_if_required()
        self.received += len(data)
        self.last_received = self.loop.time()
        if self._unparsed:
            self._unparsed += data
            self.flow.pause_reading()
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self._stopped or self.transport.is_closing():
                return
            if len(self.pipeline) >= MAX_PIPELINED:
                self._unparsed = data[start:]
                self.flow.pause_reading()
                return
            self._parse(data[start : start + PIECE_BYTES])

    def on_response_complete(self) -> None:
        """After a response, continue with the next request that the client has already sent."""
        super().on_response_complete()
        if self._unparsed and not self.transport.is_closing():
            data, self._unparsed = self._unparsed, b""
            self.data_received(data)

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection; if the loop was paused, read first what its client has sent meanwhile."""
        assert self.timeout_keep_alive_task is not None
        if self.loop.time() - self.timeout_keep_alive_task.when() < MAX_CHECK_SECONDS:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(MAX_CHECK_SECONDS, self.timeout_keep_alive_handler)

    def wait_reason(self) -> WaitReason | None:
        """Return what the server waits for the client to do on this connection, or None if it waits for nothing."""
        if self.transport.get_write_buffer_size():
            return "answer"
        if self._stopped:
            return None
        answered = self.active_cycle is None or self.active_cycle.response_complete
        if self._in_body:
            return "body" if answered or (self.cycle.awaits_body and self.cycle is self.active_cycle) else None
        if not answered or self.timeout_keep_alive_task is not None:
            return None
        return "head" if self._idle_bytes else "request"

    def terminate(self, error: APIError | None) -> None:
        """Close the connection, after answering with the error if there is one."""
        if error is None:
            self.transport.abort()
        else:
            self._refuse(error)

    def _parse(self, data: bytes) -> None:
        while data and not self._stopped:
            self._idle_bytes += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._stop(error)
            else:
                if self._idle_bytes > MAX_HEAD_BYTES:
                    self._refuse(head_too_large())
                return

    def _stop(self, error: httptools.HttpParserError) -> None:
        self._stopped = True
        if self._is_last and not (self._in_head or self._in_body):
            return  # the data follows a request that ends the connection
        raised = error.__context__
        if raised is not None and not isinstance(raised, APIError):  # a defect in a callback of this class
            raise raised
        self._refuse(raised or parser_error(str(error), in_body=self._in_body))

    def on_message_begin(self) -> None:
        """Reset the parser's state, because a new request begins."""
        if self._is_last:
            raise invalid_head()
        super().on_message_begin()
        self._in_head = True
        self._hosts = 0
        self._lengths = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, and ignore trailers, which arrive after the head."""
        if not self._in_head:
            return
        name, value = name.lower(), value.strip(b" \t")  # which RFC 9110 excludes, and llhttp leaves at the end
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding" or name == b"content-length":
            self._lengths.append((name, value))
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Start to answer the request, or queue it until its turn."""
        version, scope = self.parser.get_http_version(), cast(Any, self.scope)
        scope["http_version"] = version
        method = self._set_target(scope)
        self._check(version)
        self._idle_bytes = 0
        self.requests += 1
        self._in_head, self._in_body = False, True
        if self.parser.should_upgrade() and method != CONNECT:
            self._is_upgrade = True
            return
        self._is_last = version != "1.1" or method == CONNECT or not self.parser.should_keep_alive()
        cycle_type = Cycle if version == "1.1" else Http10Cycle
        self._begin(cycle_type, scope, expects=self.expect_100_continue and version == "1.1")

    def _set_target(self, scope: dict[str, Any]) -> bytes:
        """Write method, path and query of the parsed request into its ASGI scope; return the method.

        The path in the scope begins with the root path, which a proxy may have removed from the target or kept.
        """
        method = self.parser.get_method()
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope["method"] = method.decode("ascii")
        is_missing = path.startswith("/") and not f"{path}/".startswith(f"{self.root_path}/")
        root_path = self.root_path if is_missing else ""
        scope["path"] = root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = root_path.encode("ascii") + raw_path
        scope["query_string"] = query
        return method

    def _check(self, version: str) -> None:
        """Check the Host header and the length of the request that was parsed.

        Raises:
            APIError: llhttp accepted headers that RFC 9112 forbids.
        """
        if self._hosts > 1 or (self._hosts == 0 and version != "1.0"):
            raise invalid_host()
        if self._lengths:
            (name, value), *more = self._lengths
            if more or not (value.isdigit() if name == b"content-length" else value.lower() == b"chunked"):
                raise ambiguous_length()

    def on_body(self, body: bytes) -> None:
        """Pass a part of a body to its request, unless the request is answered already."""
        self._idle_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Mark the request as complete."""
        self._idle_bytes = 0
        self._in_body = False
        if self._is_upgrade or self.cycle.response_complete:
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
        if self.cycle is self.active_cycle:
            self.flow.resume_reading()  # otherwise a disconnect would go unnoticed

    def _without_upgrade(self) -> bytes:
        """Return the head of the current request without its Upgrade header, to be parsed again.

        After a head with Upgrade, llhttp expects another protocol. Here the body and the next request follow.
        """
        if not self._is_upgrade:  # CONNECT, which is the last request
            self._stopped = True
            return b""
        self._is_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        head = [f"{self.scope['method']} ".encode(), self.url, f" HTTP/{self.scope['http_version']}\r\n".encode()]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        return b"".join((*head, b"\r\n"))

    def _refuse(self, error: APIError) -> None:
        """Answer the request being parsed with a problem, and parse no more."""
        self._stopped = self._is_last = True
        cycle = self.cycle
        if self._in_body and cycle is self.active_cycle:
            if cycle.response_started:  # the answer has begun and cannot be replaced
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self.active_cycle = None
        elif self._in_body:
            self.pipeline.popleft()
        cast(CoalescingTransport, self.transport).linger()
        if not (self._in_head or self._in_body):
            super().on_message_begin()  # no part of a request has arrived
        elif self._in_head and self.url:
            self._set_target(cast(Any, self.scope))
        self._begin(Cycle, rejection_scope(self.scope, error), expects=False)
        self.cycle.more_body = False

    def _begin(self, cycle_type: type[Cycle], scope: dict[str, Any], *, expects: bool) -> None:
        self.cycle = cycle_type(
            scope=cast(Any, scope),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=not self._is_last,
            on_response=self.on_response_complete,
        )
        if self.active_cycle is None or self.active_cycle.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.active_cycle = cast(Cycle, cycle)
        super()._start_asgi_task(cycle, app)


class Http10Cycle(Cycle):
    """A response to an HTTP/1.0 request.

    HTTP/1.0 has no chunks, so a response without a length ends when the connection closes.
    """

    _ends_with_connection = False

    async def send(self, message: Any) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.body":
            if self._ends_with_connection:
                self.expected_content_length = len(message.get("body", b""))
        elif b"content-length" not in {name.lower() for name, _ in message.get("headers", ())}:
            self.chunked_encoding, self._ends_with_connection = False, True
        await super().send(message)
