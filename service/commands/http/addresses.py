"""Where browsers find the service: on this machine, and on others of its network."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from service.networks import elsewhere, in_a_container, is_loopback, url

BLACK_ON_WHITE, PLAIN = "\x1b[30;107m", "\x1b[0m"  # a scanner wants it so, whatever the terminal's colours are
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def here(host: str, port: int) -> str:
    """The address for a browser on this machine, of a service that listens on `host`."""
    host = host.strip("[]")
    return url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)


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


def code(address: str) -> Sequence[str]:
    """An address as a QR code for a terminal, a line after the other, two modules above each other in a letter."""
    import segno

    rows = [[bool(module) for module in row] for row in segno.make(address, error="l", micro=False).matrix_iter()]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    lines = (zip(above, below, strict=True) for above, below in zip(rows[::2], rows[1::2], strict=True))
    return [BLACK_ON_WHITE + "".join(HALVES[pair] for pair in line) + PLAIN for line in lines]


def _can_show(terminal: Console, width: int) -> bool:
    return terminal.color_system is not None and not terminal.options.ascii_only and terminal.width >= width
