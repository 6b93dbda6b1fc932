"""GET /v1/backup: its callers, its contents, and a backup whose caller hangs up."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from pathlib import Path

import httpx
import pytest

from softkv_service.storage import SQLiteStore, restore
from tests.running import RunningService


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory):
    """A service of its own, with some documents."""
    data_dir = tmp_path_factory.mktemp("backup")
    with RunningService(data_dir=data_dir, encoder="none", api_keys="writer", read_keys="reader") as running:
        with running.client(headers={"X-API-Key": "writer"}) as client:
            client.put("/v1/collections/vectors", json={"dimension": 2}).raise_for_status()
            documents = [{"id": str(i), "key_vector": [i, 1], "value": "x" * 80_000} for i in range(400)]
            client.post("/v1/collections/vectors/documents", json={"documents": documents}).raise_for_status()
        yield running


def test_a_backup_is_a_head_line_and_the_database(own_service, tmp_path):
    with own_service.client(headers={"X-API-Key": "writer"}) as client:
        answer = client.get("/v1/backup")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.softkv.backup"
    assert int(answer.headers["content-length"]) == len(answer.content)
    line, database = answer.content.split(b"\n", 1)
    head = json.loads(line)
    assert head["length"] == len(database)
    assert head["sha256"] == hashlib.sha256(database).hexdigest()
    restore(io.BytesIO(answer.content), tmp_path / "elsewhere")
    with SQLiteStore.open(tmp_path / "elsewhere") as store, store.reading() as reader:
        assert [(collection.name, collection.documents) for collection in reader.collections()] == [("vectors", 400)]


def test_a_backup_needs_write_permission(own_service):
    with own_service.client() as client:
        assert client.get("/v1/backup").status_code == 401
        assert client.get("/v1/backup", headers={"X-API-Key": "reader"}).status_code == 403


def test_one_at_a_time_and_one_that_is_given_up_leaves_nothing(own_service):
    def copies() -> list[Path]:
        return list(own_service.settings.data_dir.glob("softkv.copy-*"))

    with own_service.client(headers={"X-API-Key": "writer"}) as client:
        with client.stream("GET", "/v1/backup") as first:
            assert first.status_code == 200
            assert len(copies()) == 1
            refused = client.get("/v1/backup")
            assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
            assert "Retry-After" in refused.headers
            # Others go on.
            assert client.post("/v1/collections/vectors/attend", json={"query": [1, 1]}).status_code == 200
        until = time.monotonic() + 60
        while copies() and time.monotonic() < until:
            time.sleep(0.05)
        assert copies() == []
        assert client.get("/v1/backup").status_code == 200


def test_writes_go_on_while_it_is_read(own_service):
    done = []

    def write() -> None:
        with own_service.client(headers={"X-API-Key": "writer"}) as client:
            done.append(client.put("/v1/collections/vectors/documents/0", json={"key_vector": [0, 1]}).status_code)

    with own_service.client(headers={"X-API-Key": "writer"}) as client, client.stream("GET", "/v1/backup") as answer:
        writing = threading.Thread(target=write)
        writing.start()
        writing.join(60)
        assert done == [200]
        assert len(answer.read()) == int(answer.headers["content-length"])
    assert isinstance(answer, httpx.Response)
