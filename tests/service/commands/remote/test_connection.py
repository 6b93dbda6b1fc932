"""The way to the service: what is no address, and what to do while it is full."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from service.commands.errors import Misused
from service.commands.remote.connection import Connection
from tests.running import RunningService


def test_a_connection_refuses_what_is_no_address() -> None:
    for url in ("localhost:8000", "", "http://", "http://[::1"):
        with pytest.raises(Misused):
            Connection(url)


def test_a_connection_comes_again_when_the_service_is_full(tmp_path: Path) -> None:
    """A request whose body has not ended fills the one place of a write; it ends while the connection waits."""
    with RunningService(data_dir=tmp_path, encoder="none", max_queue=1) as full:
        slow = socket.create_connection(("127.0.0.1", full.port))
        slow.sendall(
            b"PUT /v1/collections/one HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
        )
        waits = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            slow.sendall(b"}")
            slow.recv(1024)

        with Connection(full.url, sleep=sleep) as connection, slow:
            until = time.monotonic() + 10
            while not waits and time.monotonic() < until:
                connection.call("PUT", "/v1/collections/two", {})
            answer = connection.call("GET", "/v1/collections")
        assert [collection["name"] for collection in answer["collections"]] == ["one", "two"]
        assert waits == [1.0]
