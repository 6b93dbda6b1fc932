"""The access of other machines in the network to a service that listens on a loopback address.

A caller on this machine opens it while the service runs, and closes it again. It is closed at each start, and two hours
after the last connection from the network: a laptop may be elsewhere then. Calls that arrive by it read, and take part
in rooms: `AccessCheck` gives none of them more.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal, Protocol

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from service import addresses
from service.api.problems.errors import NetworkUnavailable

log = structlog.get_logger("softkv")

FROM_NETWORK = "from_network"
"""The key in the state of each request that arrived by the listener of the network. No header sets it."""
IDLE_SECONDS = 7200.0
"""The time after which an unused service closes, by the clock on the wall, which goes on while a laptop sleeps."""
LOOK_SECONDS = 15.0
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]{1,5})?")
FORWARDED = re.compile(
    r"(?!x-(?:api-key|request-id|room-secret)$)x-.*|.*(?:forward|prox[yi]|-ip$|-addr$|-port$|-proto$).*|via|surrogate.*"
    r"|(?:akamai|azure|cdn|cf|cloudfront|fastly|fly|ngrok|render|tailscale|true|vercel)-.*"
)
"""Headers that proxies add to requests, and all of X-… that the service does not know: each proxy names its own."""

Obstacle = Literal["caller", "container", "proxy", "listening", "server", "offline"]
REASONS: dict[Obstacle, str] = {
    "container": "the service runs in a container, and other machines do not reach its addresses: publish its port, "
    "and start it with SOFTKV_HOST=0.0.0.0 and SOFTKV_ALLOW_ANONYMOUS=read",
    "proxy": "the service is behind a proxy or on a Unix socket: let the network in there",
    "listening": "the service listens on the network already: its --host and its keys say who may call it",
    "server": "`softkv serve` does not run this service: start it so that it listens on the network",
    "offline": "this computer has no address in a network: join one, such as the room's Wi-Fi, and try again",
}


class Listener(Protocol):
    """The part of the server for a second address. Requests that arrive there have `FROM_NETWORK` in their state."""

    port: int

    @property
    def connections(self) -> int:
        """The number of connections that arrived there and are open."""

    async def open(self, address: str) -> None:
        """Listen at this address and no other; raise OSError if that is impossible, and stay as before."""

    def close(self) -> None:
        """Stop listening, and end the connections that arrived there."""


class NetworkListener:
    """Whether the service is open to the network, and at which address.

    Args:
        host: the address that the service itself listens on.
        proxied: whether a proxy answers for the service, or it listens on a Unix socket.
        look_seconds: the time between two looks at the connections.
        clock: returns the time in seconds of Unix time.

    Attributes:
        address: the address at which it is open; None if it is closed.
        used: the last time at which it was opened or had a connection, in seconds of Unix time.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        proxied: bool = False,
        look_seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host = host
        self.address: str | None = None
        self._proxied = proxied
        self._listener: Listener | None = None
        self._changing = asyncio.Lock()
        self._look_seconds = look_seconds
        self._clock = clock
        self.used = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, listener: Listener) -> None:
        """Give the server's listener. Without one, the service cannot be opened."""
        self._listener = listener

    @property
    def url(self) -> str | None:
        """The URL at which other machines reach the service; None if it is closed."""
        return None if self.address is None or self._listener is None else self.url_at(self.address)

    def url_at(self, address: str) -> str:
        """Return the URL of the service at an address of this machine."""
        assert self._listener is not None
        return addresses.url(address, self._listener.port)

    @property
    def is_public(self) -> bool:
        """Whether the address at which the service is open, or would be, is one of the internet."""
        address = self.address or next(iter(addresses.own_addresses()), None)
        return address is not None and ip_address(address).is_global

    @property
    def has_moved(self) -> bool:
        """Whether the machine has lost the address at which the service is open, because it is in another network."""
        return self.address is not None and self.address not in addresses.own_addresses()

    def find_obstacle(self) -> Obstacle | None:
        """Return the reason why the service cannot be opened now; None if it can."""
        if addresses.in_a_container():
            return "container"
        if self._proxied:
            return "proxy"
        if not addresses.is_loopback(self.host):
            return "listening"
        if self._listener is None:
            return "server"
        return None if addresses.own_addresses() else "offline"

    async def open(self, address: str | None) -> None:
        """Open the service at an address of this machine, by default that of the default route.

        If it is open at another address, that one is closed.

        Raises:
            NetworkUnavailable: the service cannot be opened, or not at this address.
        """
        async with self._changing:
            obstacle, choices = self.find_obstacle(), addresses.own_addresses()
            if obstacle is not None:
                raise NetworkUnavailable(REASONS[obstacle])
            if address is not None and address not in choices:
                raise NetworkUnavailable(
                    f"expected an address of this computer, {' or '.join(choices)}, got {address}: leave `address` out "
                    "for the first"
                )
            chosen = address or choices[0]
            if chosen == self.address:
                return
            assert self._listener is not None
            try:
                await self._listener.open(chosen)
            except OSError as error:
                raise NetworkUnavailable(
                    f"cannot listen at {chosen} port {self._listener.port} ({error.strerror or error}): stop the "
                    "program that listens there, or start softkv with another --port"
                ) from None
            self.address = chosen
            self.used = self._clock()
            self._look_later()
            log.warning("open to the network", url=self.url, public=self.is_public)

    async def close(self) -> None:
        """Close the service to the network; if it is closed, do nothing."""
        async with self._changing:
            self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.address is not None and self._listener is not None:
            self._listener.close()
            log.warning("closed to the network", url=self.url)
            self.address = None

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._look_seconds, self._look)

    def _look(self) -> None:
        """Close the service if no connection came for too long."""
        if self._clock() - self.used > IDLE_SECONDS and not self._changing.locked():
            self._close()
            return
        if self._listener is not None and self._listener.connections:
            self.used = self._clock()
        self._look_later()


def find_stranger(scope: Scope, headers: Headers) -> str | None:
    """Return the reason that a caller may not open the service to the network; None for one on this machine.

    Only the connection proves that: it came to the service's own address, from a loopback address, and no proxy passed
    it on. The Host must be a loopback name, too, which a page that uses DNS rebinding does not send.

    Args:
        scope: the request's ASGI scope, with its client address from the connection.
        headers: its headers.
    """
    client, version = scope.get("client"), scope.get("http_version")
    if FROM_NETWORK in scope["state"] or not client or not addresses.is_loopback(client[0]):
        return "it comes from another machine"
    # A browser and curl speak HTTP/1.1; nginx speaks 1.0 where its settings leave all as it is, and adds no header.
    if passed_on := [name for name in headers if FORWARDED.fullmatch(name)] or ["HTTP/1.0"] * (version == "1.0"):
        return f"a proxy passed it on, as {passed_on[0]} shows"
    host = headers.get("host", "")
    match = HOST.fullmatch(host)
    if match is None or not addresses.is_loopback(match[1].lower()):
        return f"it was sent to {host!r}, and not to localhost"
    return None
