"""A transport whose answers leave in one piece: head and body are one write to the socket and one packet."""

from __future__ import annotations

import asyncio
from typing import Any

LINGER_SECONDS = 1.0


class Joining:
    """A transport whose every other write waits for the next one, or for the end of this turn of the loop.

    So the head of an answer goes with its body, and of a stream no more than one part is held back while the next is
    there already.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""
        self._written = 0
        self._lingers = self._ends = False

    def write(self, data: bytes) -> None:
        """Send it with what waits; where nothing does, it waits itself."""
        if not data or self._ends:
            return
        self._written += len(data)
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        else:
            self._held = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits."""
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)

    def taken(self) -> int:
        """How many bytes have left."""
        return self._written - len(self._held) - self._transport.get_write_buffer_size()

    def linger(self) -> None:
        """Let `close` hear the caller out for a moment, as RFC 9112, 9.6 wants it.

        Closed with something unread, a socket resets the connection, and the caller may never see the last answer.
        """
        self._lingers = True

    def close(self) -> None:
        """Close it, once what waits is sent."""
        self.flush()
        if not self._lingers or self._transport.is_closing():
            self._transport.close()
        elif not self._ends:
            self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)
        self._ends = True

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._ends or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
