"""The way to the service of an object that is asked both by whoever waits and by whoever awaits."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from softkv.client import AsyncClient, Client
from softkv.local import AsyncTransport, Transport


class Connection:
    """A blocking client, and an awaited one for each event loop, of one service.

    Args:
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both; whoever made it closes it.
        async_client: the same, awaited, which then serves every event loop; left out, there is one for each, of the
            same service and with the same key.

    Raises:
        Invalid: that is no address.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
    ) -> None:
        self._given = async_client
        if client is None:
            client = Client(url, key=key) if async_client is None else Client(**_way_of(async_client, Transport))
        self.client = client
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()

    @property
    def async_client(self) -> AsyncClient:
        """The awaited client of the event loop that runs; a connection is of no use to another loop."""
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        if loop not in self._of_loops:
            made = AsyncClient(**_way_of(self.client, AsyncTransport))
            options = self.client._sender.options
            self._of_loops[loop] = made.with_options(timeout=options.timeout, retries=options.retrying.retries)
        return self._of_loops[loop]

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self.client._sender.http.base_url).rstrip("/")

    def __repr__(self) -> str:
        return f"<Connection to {self.url}>"


def _way_of(client: Client | AsyncClient, transport: type[Transport | AsyncTransport]) -> dict[str, Any]:
    """The arguments by which a client of the other kind reaches the same service."""
    http = client._sender.http
    key = http.headers.get("Authorization", "").removeprefix("Bearer ") or None
    way = {"url": str(http.base_url), "key": key}
    return way if client._host is None else way | {"transport": transport(client._host)}
