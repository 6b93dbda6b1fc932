"""A second listener of the server, at an address of the network, which is opened and closed while the server runs."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import uvicorn

from service.api.network import FROM_NETWORK

BACKLOG = 2048


class NetworkListener:
    """The listener that lets other machines in; a shutdown of the server closes it, too.

    Its connections have the protocol, the limits and the application of all others. Each of their requests has
    `FROM_NETWORK` in its state, which the server itself sets for the connection.

    Args:
        server: the running server.
        port: the port that it listens on, and the listener as well.
    """

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.port = port
        self._server = server
        self._opened: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """The number of connections that arrived there and are open."""
        return len(self._find_connections())

    async def open(self, address: str) -> None:
        """Listen at this address and no other; raise OSError if that is impossible, and stay as before."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, self.port), family=family, backlog=BACKLOG)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened = await asyncio.get_running_loop().create_server(self._create_protocol, sock=listening, backlog=BACKLOG)
        if self._server.should_exit:  # the shutdown has closed the others already
            opened.close()
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        self.close()
        self._opened = opened
        self._server.servers.append(opened)

    def close(self) -> None:
        """Stop listening, and end the connections that arrived there, also those that are being answered."""
        if self._opened is None:
            return
        self._opened.close()
        self._server.servers.remove(self._opened)
        self._opened = None
        for connection in self._find_connections():
            connection.transport.abort()

    def _find_connections(self) -> list[Any]:
        connections: list[Any] = list(self._server.server_state.connections)
        return [connection for connection in connections if FROM_NETWORK in connection.app_state]

    def _create_protocol(self) -> asyncio.Protocol:
        """Create the protocol of a connection, as the server does for its own."""
        create: type[asyncio.Protocol] = self._server.config.http_protocol_class
        state = {**self._server.lifespan.state, FROM_NETWORK: True}
        return create(config=self._server.config, server_state=self._server.server_state, app_state=state)  # type: ignore[call-arg]
