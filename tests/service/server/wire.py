"""Bytes to a service and back, as no client would send them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from tests.running import RunningService

HOST = b"Host: localhost\r\n"
END = b"\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """One answer, with its headers' names in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


def sent(service: RunningService, *pieces: bytes) -> bytes:
    """Send pieces, each after the service had time to read the one before; return its answer until it disconnects."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            raw.sendall(piece)
            if piece is not pieces[-1]:
                _wait_until_read(service)
        return b"".join(iter(lambda: raw.recv(65536), b""))


def _wait_until_read(service: RunningService) -> None:
    """Ask for something on another connection: the loop reads this one's bytes no later."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as other:
        other.sendall(LAST)
        while other.recv(65536):
            pass


def answers(received: bytes, methods: str = "") -> list[Answer]:
    """The answers in these bytes; `methods` names those of the requests that were HEAD by an H."""
    return list(_answers(received, methods))


def _answers(received: bytes, methods: str) -> Iterator[Answer]:
    number = 0
    while received:
        head, end, received = received.partition(END)
        assert end, received
        line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
        assert len(headers) == len(lines), lines
        if int(status) == 100:
            yield Answer(100, headers, b"")
            continue
        page = headers.get("content-type", "").startswith("text/html")
        assert headers["cache-control"] == ("no-cache" if page else "no-store"), lines
        if methods[number : number + 1] == "H":
            content, number = b"", number + 1
        elif "content-length" in headers:
            length = int(headers["content-length"])
            content, received, number = received[:length], received[length:], number + 1
            assert len(content) == length
        elif headers.get("transfer-encoding") == "chunked":
            content, number = b"", number + 1
            while True:
                size, _, received = received.partition(b"\r\n")
                content, received = content + received[: int(size, 16)], received[int(size, 16) + 2 :]
                if not int(size, 16):
                    break
        else:
            content, received, number = received, b"", number + 1
        yield Answer(int(status), headers, content)
