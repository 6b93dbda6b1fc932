"""The addresses of this machine in its networks, at which other machines reach a service."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from softkv.settings import is_loopback, is_this_machine

__all__ = [
    "CONTAINER_MARKERS",
    "DEFAULT_URL",
    "in_a_container",
    "is_loopback",
    "is_this_machine",
    "network_urls",
    "own_addresses",
    "url",
]

# An unassigned address of each family: choosing a route to it sends nothing.
UNASSIGNED = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
INTERFACES, INTERFACES_V6 = Path("/sys/class/net"), Path("/proc/net/if_inet6")
DEFAULT_URL = "http://127.0.0.1:8000"
SIOCGIFADDR = 0x8915  # Linux: the address of an interface, 20 bytes into a structure that begins with its name
CONTAINER_MARKERS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def network_urls(host: str, port: int) -> list[str]:
    """Return the URLs for browsers of other machines, the widest network first; empty for a loopback address."""
    host = host.strip("[]")
    if is_loopback(host):
        return []
    try:
        address = ip_address(host)
    except ValueError:
        return [url(host, port)]
    if not address.is_unspecified:
        return [url(host, port)]
    both = address.version == 6 and socket.has_dualstack_ipv6()
    return [url(reachable, port) for reachable in (own_addresses() if both else _own_addresses(address.version))]


def own_addresses() -> list[str]:
    """Return the addresses of this machine in its networks: first that of the default route, IPv6 after IPv4."""
    return [*_own_addresses(4), *_own_addresses(6)]


def in_a_container() -> bool:
    """Return whether this process runs in a container, whose addresses may be unreachable from other machines."""
    return any(marker.exists() for marker in CONTAINER_MARKERS)


def url(host: str, port: int) -> str:
    """Return the URL of a service at this host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _own_addresses(version: int) -> list[str]:
    """Return the addresses of this machine, without duplicates: first that of the default route, then those of all
    interfaces.
    """
    addresses = dict.fromkeys([*_outgoing(version), *(_v4() if version == 4 else _v6())])
    return [text for text in addresses if not (ip_address(text).is_loopback or ip_address(text).is_link_local)]


def _outgoing(version: int) -> Iterator[str]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((UNASSIGNED[family], 9))
        yield probe.getsockname()[0]


def _v4() -> Iterator[str]:
    """Yield the IPv4 address of each interface on Linux, except bridges of containers."""
    if not sys.platform.startswith("linux"):
        return
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # the interface has no address
                if not _is_bridge(name):
                    request = ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                    yield socket.inet_ntoa(request[20:24])


def _v6() -> Iterator[str]:
    with suppress(OSError):
        for line in INTERFACES_V6.read_text().splitlines():
            packed, *_, name = line.split()
            if not _is_bridge(name):
                yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed))


def _is_bridge(name: str) -> bool:
    return (INTERFACES / name / "bridge").exists()
