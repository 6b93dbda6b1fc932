"""The protocols of callers and servers: the ends of requests and answers, and refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"

Address = tuple[str, int]


class Wire(Protocol):
    """A protocol of one request and one answer at a time, over a connection that stays open.

    Attributes:
        hello: what is sent once, each when the one before is answered, before anything is asked.
    """

    hello: Sequence[bytes]

    def verdict(self, received: bytes) -> str | None:
        """Return None while the answer is incomplete, "" for a success, else the refusal."""

    def asked(self, received: bytes) -> bool:
        """Whether a request is whole, for a server that looks no further."""


@dataclass(frozen=True)
class Http:
    """HTTP/1.1 whose answers say their length; all but 200 is a refusal."""

    hello: Sequence[bytes] = ()

    def verdict(self, received: bytes) -> str | None:
        """See `Wire`."""
        head = received.find(END_OF_HEAD)
        if head < 0:
            return None
        length = LENGTH.search(received, 0, head + 1)
        if length is None:
            return "an answer without its length"
        if len(received) < head + len(END_OF_HEAD) + int(length[1]):
            return None
        return "" if received.startswith(b"HTTP/1.1 200") else received[:1000].decode(errors="replace")

    def asked(self, received: bytes) -> bool:
        """See `Wire`."""
        head = received.find(END_OF_HEAD)
        length = LENGTH.search(received, 0, head + 1) if head > 0 else None
        return length is not None and len(received) >= head + len(END_OF_HEAD) + int(length[1])


def address_of(url: str) -> Address:
    """Return the address of http://host:port."""
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def request_of(address: Address, path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}"
    )
    return head.encode() + END_OF_HEAD + body


def get_of(address: Address, path: str) -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}".encode() + END_OF_HEAD


def body_of(answer: bytes) -> bytes:
    """Return the body of an answer over HTTP."""
    return answer.partition(END_OF_HEAD)[2]
