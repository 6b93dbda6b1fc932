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
from service.commands.http.unreadable import MOST_HEAD_BYTES, PIECE_BYTES, refusal, to_refuse, too_large


class InH11(H11Protocol):
    """uvicorn's, with answers in one write, and problems for what cannot be read."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.conn = h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection that a caller has made."""
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered."""
        super().connection_lost(exc)
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            caller_gone(self.cycle.scope["state"])

    def data_received(self, data: bytes) -> None:
        """Read on, a piece at a time, unless it is refused already what comes here."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._refused:
                break
            super().data_received(data[start : start + PIECE_BYTES])

    def send_400_response(self, msg: str) -> None:
        """Have the application answer what h11 has just refused; nothing more is read."""
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
        self._answer(_error(sys.exception(), in_body=in_body))

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
