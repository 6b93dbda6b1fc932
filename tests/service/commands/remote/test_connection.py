"""The way to the service: what is said of a failure, and what is waited for."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

import softkv
from service.commands.errors import Refused, Unreachable
from service.commands.remote.connection import connected
from tests.running import RunningService


def until_busy(client: softkv.Client) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        client.collection("two").create(exist_ok=True)


def test_a_service_that_is_full_is_asked_again(tmp_path: Path) -> None:
    """A request whose body has not ended fills the one place of a write; it ends while the client waits."""
    with RunningService(data_dir=tmp_path, encoder="none", max_queue=1) as full:
        slow = socket.create_connection(("127.0.0.1", full.port))
        slow.sendall(
            b"PUT /v1/collections/one HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
        )
        with slow, connected(full.url) as client:
            with pytest.raises(softkv.Busy):
                until_busy(client.with_options(retries=0))
            ends = threading.Timer(0.2, slow.sendall, [b"}"])
            ends.start()
            client.collection("two").create(exist_ok=True)
            ends.join()


def test_a_service_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with (
        pytest.raises(Unreachable, match=r"no service answers at http://127\.0\.0\.1:9"),
        connected("http://127.0.0.1:9"),
    ):
        pytest.fail("it was taken for a service")


def test_what_the_client_raises_ends_the_command(service: RunningService) -> None:
    with pytest.raises(Refused, match="there is no collection 'atlantis'"), connected(service.url) as client:
        client.collection("atlantis").info()
    with pytest.raises(ZeroDivisionError), connected(service.url):
        1 / 0  # noqa: B018
