"""An answer leaves in one write; nothing is held back, reordered or lost for that."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from softkv_service.server.httptools_protocol import CoalescingTransport
from tests.running import RunningService


class Sink:
    """A transport that keeps what is written at a time."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.written.append(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def joined(*turns: list[bytes | None]) -> Sink:
    """Return a sink with the writes of each turn of the loop; None closes the transport."""

    async def run() -> Sink:
        sink: Any = Sink()
        transport = CoalescingTransport(sink, asyncio.get_running_loop())
        for turn in turns:
            for data in turn:
                if data is None:
                    transport.close()
                else:
                    transport.write(data)
            await asyncio.sleep(0)
        return sink

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("turns", "written"),
    [
        ([[b"head", b"body", b""]], [b"headbody"]),
        ([[b"head"], [b"body"]], [b"head", b"body"]),
        ([[b"head", b"one", b"two", b"three"]], [b"headone", b"twothree"]),
        ([[b"head", b"one", b"two"], [b"three"]], [b"headone", b"two", b"three"]),
        ([[b""], [b"", b"a", b"", b"b"]], [b"ab"]),
        ([[b"head", None]], [b"head"]),
        ([[b"head", b"body", None]], [b"headbody"]),
    ],
)
def test_two_writes_are_one_and_a_single_one_goes_with_the_turn(turns, written):
    assert joined(*turns).written == written


def test_the_transport_closes_its_inner_one_and_forwards_everything_else():
    sink = joined([b"a", None])
    assert sink.closed
    assert CoalescingTransport(sink, asyncio.new_event_loop()).get_extra_info("peer") == "the peer"


async def test_bytes_that_wait_on_a_lost_connection_are_dropped():
    sink: Any = Sink()
    CoalescingTransport(sink, asyncio.get_running_loop()).write(b"a")
    sink.closed = True
    await asyncio.sleep(0)
    assert sink.written == []


@pytest.fixture(scope="module")
def running(service_of) -> RunningService:
    return service_of()


def test_an_answer_comes_in_one_piece(running):
    request = b"GET /v1/collections HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        for _ in range(20):
            connection.sendall(request)
            answer = connection.recv(1 << 16)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert body.startswith(b'{"collections":['), answer
            assert b"\r\ncontent-length: %d\r\n" % len(body) in head
