"""Where browsers find the service: on this machine, and on others of its network."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from rich.console import Console

from service.settings import is_loopback

# An address of each kind that is nobody's: to choose the way to it sends nothing.
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
INTERFACES, INTERFACES_V6 = Path("/sys/class/net"), Path("/proc/net/if_inet6")
SIOCGIFADDR = 0x8915  # Linux: the address of an interface, 20 bytes into a structure that begins with its name
MARKS_OF_A_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))
BLACK_ON_WHITE, PLAIN = "\x1b[30;107m", "\x1b[0m"  # a scanner wants it so, whatever the terminal's colours are
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def here(host: str, port: int) -> str:
    """The address for a browser on this machine, of a service that listens on `host`."""
    host = host.strip("[]")
    return _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)


def elsewhere(host: str, port: int) -> list[str]:
    """The addresses for browsers of other machines, the one of the widest network first; none of a loopback address."""
    host = host.strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return [] if host == "localhost" else [_url(host, port)]
    if address.is_loopback:
        return []
    return [_url(each, port) for each in _own(address.version)] if address.is_unspecified else [_url(host, port)]


def in_a_container() -> bool:
    """Whether the network seen here may be a container's own, whose addresses nobody outside its machine can use."""
    return any(mark.exists() for mark in MARKS_OF_A_CONTAINER)


def announcement(host: str, port: int, terminal: Console) -> str:
    """What a service that listens says to people: where it is, for others too where they can reach it."""
    lines = [f"softkv listens on {here(host, port)} (Ctrl-C stops it)"]
    if is_loopback(host):
        return lines[0]
    others = elsewhere(host, port)
    if in_a_container():
        lines.append(f"In a container: others open the address of its machine, at the port published for {port}")
    elif not others:
        lines.append("This machine has no address in a network: join one, such as the room's Wi-Fi, and start again")
    else:
        lines.append(f"Others in this network open {' or '.join(others)}")
        drawn = code(others[0])
        if _can_show(terminal, len(drawn[0]) - len(BLACK_ON_WHITE + PLAIN)):
            lines += drawn
    return "\n".join(lines)


def code(url: str) -> Sequence[str]:
    """An address as a QR code for a terminal, a line after the other, two modules above each other in a letter."""
    import segno

    rows = [[bool(module) for module in row] for row in segno.make(url, error="l", micro=False).matrix_iter()]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    lines = (zip(above, below, strict=True) for above, below in zip(rows[::2], rows[1::2], strict=True))
    return [BLACK_ON_WHITE + "".join(HALVES[pair] for pair in line) + PLAIN for line in lines]


def _can_show(terminal: Console, width: int) -> bool:
    return terminal.color_system is not None and not terminal.options.ascii_only and terminal.width >= width


def _url(host: str, port: int) -> str:
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
