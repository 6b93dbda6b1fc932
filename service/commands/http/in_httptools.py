"""A connection whose requests llhttp reads, through httptools: machine code that takes a third of h11's time.

llhttp is strict as it is used here: none of its leniencies is on. What it lets through and h11 does not is refused
here: codings beside `chunked`, a missing Host. What it does for others and
nobody wants here is undone: trailers are no headers, and `Upgrade` changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.places import caller_gone
from service.api.problems.errors import APIError
from service.commands.http.joining import Joining
from service.commands.http.patience import Awaited, Patience, Waits
from service.commands.http.unreadable import (
    MOST_HEAD_BYTES,
    PIECE_BYTES,
    malformed_head,
    refusal,
    to_refuse,
    too_large,
    unclear_host,
    unclear_length,
)

MOST_WAITING = 16  # requests that were sent ahead; what follows them is left unread
CONNECT = b"CONNECT"


class InHttptools(Awaited, HttpToolsProtocol):
    """uvicorn's, with answers in one write, problems for what cannot be read, and bounds on what is held.

    A request that cannot be read is answered in its turn, after those that were sent before it, and is the last one
    of its connection.
    """

    def __init__(self, patience: Patience, **named: Any) -> None:
        super().__init__(**named)
        self.begin_to_wait(patience)
        self.parser = httptools.HttpRequestParser(self)  # uvicorn's own is lenient
        self._answering: RequestResponseCycle | None = None  # of those that wait, `pipeline` has the others
        self._unread = b""  # what came while too many wait
        self._idle_bytes = 0  # read since a head, a part of a body or a request was whole
        self._in_head = self._in_body = False
        self._is_upgrade = False  # the head is to be read again without its Upgrade
        self._is_last = False  # no request follows the one that is read
        self._deaf = False  # nothing more is read
        self._hosts = 0
        self._lengths: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection that a caller has made."""
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))
        self._patience.opened(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; uvicorn's own tells the one that was read last."""
        super().connection_lost(exc)
        self._patience.closed(self)
        self._deaf = True
        self._unread = b""
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
            caller_gone(self._answering.scope["state"])

    def data_received(self, data: bytes) -> None:
        """Read on, a piece at a time, as long as few requests wait."""
        self._unset_keepalive_if_required()
        self.hear(data)
        if self._unread:
            self._unread += data
            self.flow.pause_reading()
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self._deaf or self.transport.is_closing():
                return
            if len(self.pipeline) >= MOST_WAITING:
                self._unread = data[start:]
                self.flow.pause_reading()
                return
            self._parse(data[start : start + PIECE_BYTES])

    def on_response_complete(self) -> None:
        """Go on with what was sent ahead."""
        super().on_response_complete()
        if self._unread and not self.transport.is_closing():
            data, self._unread = self._unread, b""
            self.data_received(data)

    def waits(self) -> Waits | None:
        """For what of its caller's: see `Patience`."""
        if self.transport.get_write_buffer_size():
            return "answer"
        if self._deaf:
            return None
        answered = self._answering is None or self._answering.response_complete
        if self._in_body:
            return "body" if answered or (self.asks and self.cycle is self._answering) else None
        if not answered or self.timeout_keep_alive_task is not None:
            return None
        return "head" if self._idle_bytes else "request"

    def give_up(self, error: APIError | None) -> None:
        """End it, with an answer where there is one to give."""
        if error is None:
            self.transport.abort()
        else:
            self._refuse(error)

    def _parse(self, data: bytes) -> None:
        while data and not self._deaf:
            self._idle_bytes += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._stop(error)
            else:
                if self._idle_bytes > MOST_HEAD_BYTES:
                    self._refuse(too_large())
                return

    def _stop(self, error: httptools.HttpParserError) -> None:
        self._deaf = True
        if self._is_last and not (self._in_head or self._in_body):
            return  # it follows a request that ends the connection
        raised = error.__context__
        if raised is not None and not isinstance(raised, APIError):  # a defect of ours, in a callback
            raise raised
        self._refuse(raised or refusal(str(error), in_body=self._in_body))

    def on_message_begin(self) -> None:
        """A request line begins."""
        if self._is_last:
            raise malformed_head()
        super().on_message_begin()
        self._in_head = True
        self._hosts = 0
        self._lengths = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after the head it is a trailer, which nobody reads."""
        if not self._in_head:
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding" or name == b"content-length":
            self._lengths.append((name, value))
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """A head is read: begin to answer, or have it wait for its turn."""
        version, scope = self.parser.get_http_version(), cast(Any, self.scope)
        scope["http_version"] = version
        method = self._locate(scope)
        self._check(version)
        self._idle_bytes = 0
        self.requests += 1
        self._in_head, self._in_body = False, True
        if self.parser.should_upgrade() and method != CONNECT:
            self._is_upgrade = True
            return
        self._is_last = version != "1.1" or method == CONNECT or not self.parser.should_keep_alive()
        kind = RequestResponseCycle if version == "1.1" else UnframedCycle
        self._begin(kind, scope, expects=self.expect_100_continue and version == "1.1")

    def _locate(self, scope: dict[str, Any]) -> bytes:
        """Write into a scope what is asked → the method."""
        method = self.parser.get_method()
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope["method"] = method.decode("ascii")
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        scope["query_string"] = query
        return method

    def _check(self, version: str) -> None:
        """Raises: APIError where llhttp has read what is not to be answered."""
        if self._hosts > 1 or (self._hosts == 0 and version != "1.0"):
            raise unclear_host()
        if self._lengths:
            (name, value), *more = self._lengths
            if more or not (value.isdigit() if name == b"content-length" else value.lower() == b"chunked"):
                raise unclear_length()

    def on_body(self, body: bytes) -> None:
        """A part of a body, for whoever still wants it."""
        self._idle_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._idle_bytes = 0
        self._in_body = False
        if self._is_upgrade or self.cycle.response_complete:
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
        if self.cycle is self._answering:
            self.flow.resume_reading()  # else nobody would notice when the caller hangs up

    def _without_upgrade(self) -> bytes:
        """The head of a request that asked for another protocol, as of one that did not, to be read again.

        llhttp takes what follows the head for that protocol; but it is the body, and the next request.
        """
        if not self._is_upgrade:  # CONNECT, which is the last one
            self._deaf = True
            return b""
        self._is_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        head = [f"{self.scope['method']} ".encode(), self.url, f" HTTP/{self.scope['http_version']}\r\n".encode()]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        return b"".join((*head, b"\r\n"))

    def _refuse(self, error: APIError) -> None:
        """Answer with a problem in the place of the request that is being read, and read no more."""
        self._deaf = self._is_last = True
        broken = self.cycle
        if self._in_body and broken is self._answering:
            if broken.response_started:  # which tells its caller already, or cannot be taken back
                self.transport.close()
                return
            broken.disconnected = True
            broken.message_event.set()
            self._answering = None
        elif self._in_body:
            self.pipeline.popleft()
        cast(Joining, self.transport).linger()
        if not (self._in_head or self._in_body):
            super().on_message_begin()  # nothing of it is known
        elif self._in_head and self.url:
            self._locate(cast(Any, self.scope))
        self._begin(RequestResponseCycle, to_refuse(self.scope, error), expects=False)
        self.cycle.more_body = False

    def _begin(self, kind: type[RequestResponseCycle], scope: dict[str, Any], *, expects: bool) -> None:
        self.cycle = kind(
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
        if self._answering is None or self._answering.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)


class UnframedCycle(RequestResponseCycle):
    """An answer to HTTP/1.0, which knows no chunks: where it does not say its length, it ends with the connection."""

    _ends_with_connection = False

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.body":
            if self._ends_with_connection:
                self.expected_content_length = len(message.get("body", b""))
        elif b"content-length" not in {name.lower() for name, _ in message.get("headers", ())}:
            self.chunked_encoding, self._ends_with_connection = False, True
        await super().send(message)
