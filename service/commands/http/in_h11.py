"""A connection whose requests h11 reads: slower, and there wherever uvicorn is."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from service.api.places import caller_gone
from service.api.problems.errors import APIError
from service.commands.http.joining import Joining
from service.commands.http.patience import Awaited, Patience, Waits
from service.commands.http.unreadable import MOST_HEAD_BYTES, PIECE_BYTES, refusal, to_refuse, too_large


class InH11(Awaited, H11Protocol):
    """uvicorn's, with answers in one write, and problems for what cannot be read."""

    def __init__(self, patience: Patience, **named: Any) -> None:
        super().__init__(**named)
        self.begin_to_wait(patience)
        self.conn = h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection that a caller has made."""
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))
        self._patience.opened(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered."""
        super().connection_lost(exc)
        self._patience.closed(self)
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            caller_gone(self.cycle.scope["state"])

    def data_received(self, data: bytes) -> None:
        """Read on, a piece at a time, unless it is refused already what comes here."""
        self.hear(data)
        for start in range(0, len(data), PIECE_BYTES):
            if self._refused:
                break
            super().data_received(data[start : start + PIECE_BYTES])

    def handle_events(self) -> None:
        """What h11 has read, also of what was sent ahead."""
        before = self.cycle
        super().handle_events()
        self.requests += self.cycle is not before
        if self.conn.their_state is h11.DONE and not self.conn.trailing_data[0]:
            self.flow.resume_reading()  # else nobody would notice when the caller hangs up

    def waits(self) -> Waits | None:
        """For what of its caller's: see `Patience`."""
        if self.transport.get_write_buffer_size():
            return "answer"
        if self._refused:
            return None
        answered = self.cycle is None or self.cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            return "body" if answered or self.asks else None
        if not answered or self.timeout_keep_alive_task is not None:
            return None
        return "head" if self.conn.trailing_data[0] else "request"

    def give_up(self, error: APIError | None) -> None:
        """Answer with the error, if there is one, and end the connection."""
        if error is None:
            self.transport.abort()
        else:
            self._refuse(error)

    def send_400_response(self, msg: str) -> None:
        """Have the application answer what h11 has just refused."""
        self._refuse(_error(sys.exception(), in_body=self.conn.our_state is not h11.IDLE))

    def _refuse(self, error: APIError) -> None:
        """Have the application answer in place of what is read; nothing more is."""
        self._refused = True
        in_body = self.conn.our_state is not h11.IDLE
        broken = self.cycle
        if broken is not None and not broken.response_complete:
            if broken.response_started:
                self.transport.close()
                return
            broken.disconnected = True
            broken.message_event.set()
        elif in_body:  # of a request that is answered already
            self.transport.close()
            return
        cast(Joining, self.transport).linger()
        self._answer(error)

    def _answer(self, error: APIError) -> None:
        known = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "state": self.app_state.copy(),
        }
        self.cycle = RequestResponseCycle(
            scope=cast(Any, to_refuse(known, error)),
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        self.cycle.keep_alive = False
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _should_upgrade(self) -> bool:
        return False  # HTTP/1.1 is all that there is, and whoever asks for more is answered in it


def _error(raised: BaseException | None, *, in_body: bool) -> APIError:
    if isinstance(raised, h11.RemoteProtocolError) and raised.error_status_hint == 431:
        return too_large()
    return refusal(str(raised), in_body=in_body)
