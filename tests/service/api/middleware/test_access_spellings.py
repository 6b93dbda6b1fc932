"""In any spelling, a read-only caller writes nothing: 20,000 requests with a read-only key, and as many without one."""

from __future__ import annotations

import asyncio
import http.client
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.running import RunningService
from tests.service.api.spellings import Spelling, send, spellings
from tests.thorough import thorough

NUMBER = 20_000
READER = {"api_keys": ("w",), "read_keys": ("r",)}
# the service's settings, and the ways in which a read-only caller identifies itself
CALLERS = {
    "reading-key": (READER, [[("x-api-key", "r")], [("authorization", "Bearer r")], [("authorization", "bearer  r ")]]),
    "no-key": ({"allow_anonymous": "read"}, [[], [("x-api-key", "w")], [("authorization", "Bearer w")]]),
}
Key = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a collection and two documents."""
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        client.put("/v1/collections/c", json={"dimension": 2})
        for identifier in ("a", "b/c"):
            client.put(f"/v1/collections/c/documents/{identifier}", json={"key_vector": [1, 2], "value": "kept"})
    return tmp_path


@contextmanager
def unchanged(data: Path) -> Iterator[None]:
    """Check that nothing is committed during the block, and that the whole database stays the same."""
    with closing(sqlite3.connect(f"file:{data / 'softkv.sqlite3'}?mode=ro", uri=True)) as store:
        committed, before = store.execute("PRAGMA data_version").fetchone(), contents(store)
        assert any("kept" in str(row) for row in before)
        yield
        assert contents(store) == before
        assert store.execute("PRAGMA data_version").fetchone() == committed


def contents(store: sqlite3.Connection) -> list[Any]:
    tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [(table, store.execute(f'SELECT * FROM "{table}"').fetchall()) for table in tables]


async def call(app: FastAPI, spelling: Spelling, key: Key) -> int:
    """Return the status of a request that the application receives as from the server."""
    (status,) = [
        message["status"] for message in await send(app, spelling, key) if message["type"] == "http.response.start"
    ]
    return status


def send_all(data: Path, settings: dict[str, Any], keys: list[Key], sent: Iterable[Spelling]) -> Counter[int]:
    """Send every spelling once, with each form of the key in turn; count the statuses; nothing may change."""

    async def run() -> Counter[int]:
        app = create_app(Settings(data_dir=data, encoder="none", **settings))
        async with app.router.lifespan_context(app):
            while await call(app, Spelling("GET", "/readyz", (), b""), []) != 200:
                await asyncio.sleep(0.01)
            with unchanged(data):
                return Counter([await call(app, target, keys[i % len(keys)]) for i, target in enumerate(sent)])

    return asyncio.run(run())


@pytest.mark.thorough
@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_without_write_permission_writes_nothing(data, caller):
    settings, keys = CALLERS[caller]
    statuses = send_all(data, settings, keys, spellings(NUMBER))
    assert max(statuses) < 500
    # They do arrive: at calls that write, at others that read, and at the door.
    assert statuses[403] > NUMBER / 10
    assert min(statuses[status] for status in (200, 400, 404, 405)) > NUMBER / 100


def test_with_a_key_that_writes_the_same_requests_do(data):
    with pytest.raises(AssertionError):
        send_all(data, READER, [[("x-api-key", "w")]], spellings(300))


@pytest.mark.parametrize(("caller", "number"), [("reading-key", 400), *(thorough(name, 1500) for name in CALLERS)])
def test_nor_do_they_over_a_connection(data, caller, number):
    settings, keys = CALLERS[caller]
    statuses: Counter[int] = Counter()
    with RunningService(data_dir=data, encoder="none", **settings) as running:
        running.wait_until_ready()
        with unchanged(data):
            for i, spelling in enumerate(spellings(number, seed=7)):
                with suppress(http.client.InvalidURL):  # a client's own refusal
                    statuses[over_a_connection(running, spelling, keys[i % len(keys)])] += 1
    assert max(statuses) < 500
    assert statuses[403] > number / 10


def over_a_connection(running: RunningService, spelling: Spelling, key: Key) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest(spelling.method, spelling.target, skip_host=True, skip_accept_encoding=True)
    for name, content in (("host", "localhost"), *key, *spelling.headers):
        connection.putheader(name, content)
    connection.endheaders()
    chunked = ("transfer-encoding", "chunked") in spelling.headers
    with suppress(ConnectionError):  # refused and closed already
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(spelling.body), spelling.body) if chunked else spelling.body)
    with closing(connection):
        return connection.getresponse().status
