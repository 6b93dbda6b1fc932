"""The start of a service: a background thread opens its store and reads its keys."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import orjson
import pytest
from fastapi.routing import APIRoute

from softkv_attention.lookup import Memory
from softkv_service.app import create_app
from softkv_service.lifespan import return_free_memory
from softkv_service.settings import Settings
from softkv_service.startup import open_in_background
from softkv_service.storage import SQLiteStore, shared
from softkv_service.storage.errors import StorageError, StorageFailed, StoreClosed, StoreUnavailable
from tests.captured_logs import capture_logs
from tests.running import RunningService
from tests.waiting import until

PATIENCE = 60
N, WIDTH = 6_000, 384
KEYS = np.random.default_rng(3).standard_normal((N, WIDTH)).astype(np.float32)
ASKED = {"query": KEYS[17].tolist(), "top_k": 3, "include": ["output"]}
NEEDED_LATER = {
    "softkv_workshop.recurrent",
    "softkv_attention.transformer",
    "httpx2",
    "mcp",
    "numpy.f2py",
    "opentelemetry.sdk",
    "psycopg",
    "ray",
    "sentence_transformers",
    "tokenizers",
    "torch",
}
STARTED = """
import asyncio, sys
from pathlib import Path
from softkv_service.app import create_app
from softkv_service.schemas.wire import JSONObject
from softkv_service.settings import Settings

def below(kind):
    for model in kind.__subclasses__():
        yield model
        yield from below(model)

app = create_app(Settings(encoder="none", data_dir=Path(sys.argv[1])))
print(*(model.__name__ for model in below(JSONObject) if model.__pydantic_complete__))

async def start():
    async with app.router.lifespan_context(app):
        await app.state.parts.warmed.wait()

asyncio.run(start())
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return the directory of a stopped service, with a collection that is large enough for scans by codes."""
    data_dir = tmp_path_factory.mktemp("data")
    with RunningService(data_dir=data_dir, encoder="none") as running, running.client() as client:
        client.put("/v1/collections/many", json={"encoder": None, "dimension": WIDTH}).raise_for_status()
        lines = [
            orjson.dumps({"id": f"{position:05}", "key_vector": key.tolist()}) for position, key in enumerate(KEYS)
        ]
        sent = client.post(
            "/v1/collections/many/documents",
            content=b"\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert orjson.loads(sent.text.splitlines()[-1]) == {"done": True, "upserted": N, "refused": 0}
    return data_dir


def test_a_start_imports_and_builds_no_more_than_the_first_answers_need(directory):
    ran = subprocess.run([sys.executable, "-c", STARTED, directory], check=True, capture_output=True, text=True)
    built, imported = ran.stdout.splitlines()
    assert built == ""
    assert "softkv_service.retrieval.queries.attend" in imported.split()
    assert not NEEDED_LATER & set(imported.split())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps free memory so")
def test_free_memory_below_used_memory_returns_to_the_system():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    arrays = [np.ones(8192) for _ in range(1000)]  # 64 KiB each, which the C library takes from its heap
    before, pinned = resident(), arrays[-1]
    del arrays
    return_free_memory()
    assert before - resident() > 32 << 20
    assert pinned.sum() == 8192


def test_every_route_is_built_once():
    routes = [route for route in create_app(Settings(encoder="none")).routes if isinstance(route, APIRoute)]
    again = [route for route in create_app(Settings(encoder="none")).routes if isinstance(route, APIRoute)]
    assert len(routes) > 50
    assert all(one is other for one, other in zip(routes, again, strict=True))


def test_keys_are_read_while_nothing_else_is_there_yet(directory):
    opening = open_in_background(Settings(data_dir=directory, encoder="none"))
    catalogue = opening.catalogue.result(PATIENCE)
    try:
        opening.keys.result(PATIENCE)
        assert catalogue.collection("many").size == N
    finally:
        catalogue.store.close()


def test_a_cancelled_start_frees_its_directory(directory):
    opening = open_in_background(Settings(data_dir=directory, encoder="none"))
    opening.cancel()
    with SQLiteStore.open(directory) as store:  # by itself: the directory is free
        assert store.troubles() == []


def test_a_caller_that_waits_for_the_keys_gets_the_error_of_the_store(tmp_path):
    (tmp_path / "softkv.sqlite3").write_bytes(b"no database" * 1000)
    opening = open_in_background(Settings(data_dir=tmp_path, encoder="none"))
    with pytest.raises(StorageError) as first:
        opening.catalogue.result(PATIENCE)
    with pytest.raises(StorageError) as second:
        opening.keys.result(PATIENCE)
    assert first.value is second.value


@pytest.fixture
def away() -> Iterator[Settings]:
    """Settings with the address of a database whose server does not run."""
    pytest.importorskip("softkv_postgres", reason="install softkv[postgres]")
    with socket.socket() as free:  # bound, but not listening
        free.bind(("127.0.0.1", 0))
        address = f"postgresql://softkv:a-secret@127.0.0.1:{free.getsockname()[1]}/softkv"
        yield Settings(store=address, encoder="none")


def test_a_database_needs_the_distribution_that_has_its_store(monkeypatch):
    monkeypatch.setattr(shared, "entry_points", lambda **group: [])
    opening = open_in_background(Settings(store="postgresql://somewhere/else", encoder="none"))
    with pytest.raises(StorageFailed, match=r"\(softkv-postgres is not installed\): install `softkv\[postgres\]`"):
        opening.catalogue.result(PATIENCE)


def test_a_start_waits_for_its_database_with_one_line_and_then_gives_advice(away):
    with capture_logs() as lines:
        opening = open_in_background(away, wait_seconds=0.4)
        with pytest.raises(StoreUnavailable) as raised:
            opening.catalogue.result(PATIENCE)
    assert {line["event"] for line in lines} == {"waiting for the database"}
    assert (lines[0]["log_level"], lines[0]["at_most_s"]) == ("warning", 0.4)
    assert "Connection refused" in lines[0]["reason"]
    message = str(raised.value)
    assert message.startswith("expected a database within 0.4 seconds, but PostgreSQL at postgresql://127.0.0.1:")
    assert "Connection refused" in message
    assert message.endswith("lets this machine in (pg_hba.conf), then start softkv again")
    assert "a-secret" not in f"{message} {lines}"


def test_a_start_that_waits_for_its_database_can_be_stopped(away):
    with capture_logs() as lines:
        opening = open_in_background(away, wait_seconds=3600)
        until(lambda: lines)
        opening.cancel()
    with pytest.raises(StoreClosed):
        opening.catalogue.result(0)


async def test_an_application_that_is_stopped_during_its_start_waits_no_longer(away):
    """As where `Client.local` is interrupted: no thread goes on behind it."""
    opening = open_in_background(away, wait_seconds=3600)
    app = create_app(away, opening)
    entering = asyncio.create_task(app.router.lifespan_context(app).__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    with pytest.raises(StoreClosed):
        opening.keys.result(PATIENCE)


def test_a_collection_answers_and_is_written_before_its_keys_have_codes(directory, monkeypatch):
    go_on, code = Event(), Memory.code

    def code_later(self):
        assert go_on.wait(PATIENCE)
        code(self)

    monkeypatch.setattr(Memory, "code", code_later)
    running = RunningService(data_dir=directory, encoder="none")
    with running, running.client() as client:
        try:
            many = "/v1/collections/many"
            while (before := client.post(f"{many}/attend", json=ASKED)).status_code == 503:
                pass
            before = before.raise_for_status().json()
            assert client.get("/readyz").status_code == 503
            new = {"key_vector": (-KEYS[17]).tolist(), "metadata": {"new": True}}
            client.put(f"{many}/documents/new", json=new).raise_for_status()
            filtered = {"filter": {"field": "metadata.new", "operator": "==", "value": True}}
            (only,) = client.post(f"{many}/attend", json=ASKED | filtered).raise_for_status().json()["matches"]
        finally:
            go_on.set()
        running.wait_until_ready()
        after = client.post(f"{many}/attend", json=ASKED).raise_for_status().json()
        client.delete(f"{many}/documents/new").raise_for_status()
    assert only["id"] == "new"
    assert before["certificate"]["method"] == "exact"
    assert after["certificate"]["method"] == "quantised"
    assert [match["id"] for match in after["matches"]] == [match["id"] for match in before["matches"]]
    off = sum(abs(a["weight"] - b["weight"]) for a, b in zip(after["matches"], before["matches"], strict=True))
    assert off <= 2 * (after["certificate"]["total_variation"] + before["certificate"]["total_variation"]) + 1e-3
