"""The addresses of this machine in its networks, by which others reach a service."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

# An address of each kind that is nobody's: to choose the way to it sends nothing.
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
INTERFACES, INTERFACES_V6 = Path("/sys/class/net"), Path("/proc/net/if_inet6")
SIOCGIFADDR = 0x8915  # Linux: the address of an interface, 20 bytes into a structure that begins with its name
MARKS_OF_A_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def elsewhere(host: str, port: int) -> list[str]:
    """The addresses for browsers of other machines, the one of the widest network first; none of a loopback address."""
    host = host.strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return [] if host == "localhost" else [url(host, port)]
    if address.is_loopback:
        return []
    return [url(each, port) for each in _own(address.version)] if address.is_unspecified else [url(host, port)]


def in_a_container() -> bool:
    """Whether the network seen here may be a container's own, whose addresses nobody outside its machine can use."""
    return any(mark.exists() for mark in MARKS_OF_A_CONTAINER)


def url(host: str, port: int) -> str:
    """Where a service of that host and port is."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _own(version: int) -> list[str]:
    """This machine's addresses in networks, each once: of the way out first, then of every interface."""
    found = dict.fromkeys([*_outgoing(version), *(_v4() if version == 4 else _v6())])
    return [each for each in found if not (ip_address(each).is_loopback or ip_address(each).is_link_local)]


def _outgoing(version: int) -> Iterator[str]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect((ELSEWHERE[family], 9))
        yield way.getsockname()[0]


def _v4() -> Iterator[str]:
    """Of each interface but the bridges that containers hang on, where the system is Linux."""
    if not sys.platform.startswith("linux"):
        return
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                if not _is_bridge(name):
                    given = ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                    yield socket.inet_ntoa(given[20:24])


def _v6() -> Iterator[str]:
    with suppress(OSError):
        for line in INTERFACES_V6.read_text().splitlines():
            packed, *_, name = line.split()
            if not _is_bridge(name):
                yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed))


def _is_bridge(name: str) -> bool:
    return (INTERFACES / name / "bridge").exists()
