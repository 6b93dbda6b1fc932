"""A collection that is changed while its name changes hands is answered as it is stored."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from random import Random
from types import TracebackType
from typing import Any

import pytest

from tests.running import RunningService

ROUNDS = 2000
CHANGERS = 4
SPINS = 50_000
"""The most turns of an empty loop before a request is sent: about a millisecond."""
PATH = "/v1/collections/contested"
FIELDS = {"encoder": None, "dimension": 2, "temperature": 2.5, "null": 0.25}


def request(method: str, fields: Mapping[str, Any] | None = None) -> bytes:
    body = b"" if fields is None else json.dumps(fields).encode()
    typed = "" if fields is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {PATH} HTTP/1.1\r\nHost: localhost\r\n{typed}\r\n".encode() + body


class Connection:
    """A connection on which several requests are sent at once; leaving the block closes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._file.close()
        self._socket.close()

    def statuses(self, requests: Sequence[bytes]) -> list[int]:
        """Send the requests in one piece and return the status of each."""
        self._socket.sendall(b"".join(requests))
        return [self._status() for _ in requests]

    def _status(self) -> int:
        status, length = int(self._file.readline().split()[1]), 0
        while line := self._file.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self._file.read(length)
        return status


@pytest.mark.thorough
def test_a_collection_changed_while_another_takes_its_name_equals_the_stored_one(service: RunningService) -> None:
    """Four PATCH beside DELETE and PUT in one piece: of a thousand such rounds thirty once told what was not stored."""
    random, together, seen = Random(0), threading.Barrier(CHANGERS + 1), Counter[int]()
    database = (service.settings.data_dir / "softkv.sqlite3").resolve().as_uri()
    replace = [request("DELETE"), request("PUT", FIELDS)]
    changes = [[request("PATCH", {"temperature": 10 + number, "null": 0.75})] for number in range(CHANGERS)]

    def called(connection: Connection, requests: Sequence[bytes], spins: int) -> list[int]:
        together.wait()
        for _ in range(spins):
            pass
        return connection.statuses(requests)

    with (
        ExitStack() as stack,
        ThreadPoolExecutor(CHANGERS + 1) as pool,
        closing(sqlite3.connect(f"{database}?mode=ro", uri=True)) as disk,
        service.client() as client,
    ):
        connections = [stack.enter_context(Connection(service.port)) for _ in range(CHANGERS + 1)]
        assert client.put(PATH, json=FIELDS).status_code == 201
        for _ in range(ROUNDS):
            calls = [
                pool.submit(called, connection, requests, random.randrange(SPINS))
                for connection, requests in zip(connections, [replace, *changes], strict=True)
            ]
            replaced, *changed = (call.result() for call in calls)
            assert replaced == [204, 201]
            seen.update(status for statuses in changed for status in statuses)
            answer = client.get(PATH).json()
            temperature, null = disk.execute(
                "SELECT temperature, null_key FROM collections WHERE name = 'contested'"
            ).fetchone()
            assert (answer["temperature"], answer["null"]) == (temperature, json.loads(null))
        client.delete(PATH)
    assert set(seen) == {200, 404}
