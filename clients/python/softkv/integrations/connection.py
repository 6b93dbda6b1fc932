"""The way to the service of an object that is asked both by whoever waits and by whoever awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from softkv.client import AsyncClient, Client
from softkv.local import AsyncTransport, Transport
from softkv.sending import http_options


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
        self._client, self._async_client = client, async_client
        given = async_client if client is None else client
        if given is None:
            options = http_options(url, key, connections=1)
            self._way = _way(options["base_url"], options["headers"])
        else:
            self._way = _way(given._sender.http.base_url, given._sender.http.headers)
        self._given = given
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._way["url"]).rstrip("/")

    @property
    def client(self) -> Client:
        """The blocking client."""
        if self._client is None:
            host = None if self._given is None else self._given._host
            transport = None if host is None else Transport(host)
            self._client = Client(**self._way, transport=transport, **self._options())
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The awaited client of the event loop that runs; a connection is of no use to another loop."""
        if self._async_client is not None:
            return self._async_client
        loop = asyncio.get_running_loop()
        if loop not in self._of_loops:
            host = None if self._given is None else self._given._host
            transport = None if host is None else AsyncTransport(host)
            self._of_loops[loop] = AsyncClient(**self._way, transport=transport, **self._options())
        return self._of_loops[loop]

    def _options(self) -> dict[str, Any]:
        """How calls are sent by the client that was given."""
        if self._given is None:
            return {}
        options = self._given._sender.options
        return {"timeout": options.timeout, "retries": options.retrying.retries}

    def __repr__(self) -> str:
        return f"<Connection to {self.url}>"


def _way(url: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """The address and the key of a client."""
    return {"url": str(url), "key": headers.get("Authorization", "").removeprefix("Bearer ") or None}
