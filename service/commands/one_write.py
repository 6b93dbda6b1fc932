"""uvicorn's protocol, whose answers leave in one piece: head and body are one write to the socket and one packet."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol


class Joining:
    """A transport whose every other write waits for the next one, or for the end of this turn of the loop.

    So the head of an answer goes with its body, and of a stream no more than one part is held back while the next is
    there already.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send it with what waits; where nothing does, it waits itself."""
        if not data:
            return
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

    def close(self) -> None:
        """Close it, once what waits is sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OneWriteProtocol(H11Protocol):
    """A connection that is written to through `Joining`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection that a caller has made."""
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))
