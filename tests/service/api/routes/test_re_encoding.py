"""The job that moves a collection to another encoder, over HTTP: start it, watch it, cancel it, kill the service."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.storage import ReEncoding
from softkv_service.storage.interface import DiskUsage
from tests.checkpoints import write_static
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED
from tests.waiting import until

WIDTHS = {"old": 32, "new": 48}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for name, width in WIDTHS.items():
        (folder / name).mkdir()
        write_static(folder / name, width)
    return {name: folder / name for name in WIDTHS}


def encoders_file(folder: Path, models: dict[str, Path]) -> Path:
    tables = "".join(f"[encoders.{name}]\nmodel = {json.dumps(str(path))}\n" for name, path in models.items())
    (folder / "encoders.toml").write_text(f'default = "old"\n{tables}')
    return folder / "encoders.toml"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    with RunningService(data_dir=folder / "data", encoders=encoders_file(folder, models)) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def client(running: RunningService) -> Iterator[httpx.Client]:
    with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
        yield client


@pytest.fixture
def path(client: httpx.Client) -> Iterator[str]:
    client.put("/v1/collections/docs", json={"encoder": "old"})
    fill(client, range(200))
    yield "/v1/collections/docs"
    client.delete("/v1/collections/docs")


def text(i: int) -> str:
    return f"document {i} of {i * i} stones and {i % 7} rivers"


def fill(client: httpx.Client, numbers: Any) -> None:
    documents = [{"id": f"{i:04}", "key": text(i)} for i in numbers]
    assert client.post("/v1/collections/docs/documents", json={"documents": documents}).status_code == 200


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (job := client.get(path).json()["re_encode"])["state"] in ("running", "paused"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return dict(job)


def test_a_collection_moves_and_stays_the_same_to_its_callers(client: httpx.Client, path: str) -> None:
    assert client.get(path).json()["re_encode"] is None
    missing = client.delete(f"{path}/re-encode")
    assert (missing.status_code, missing.json()["code"]) == (404, "re_encoding_not_found")
    client.put("/v1/aliases/current", json={"collection": "docs"})
    started = client.post("/v1/collections/current/re-encode", json={"encoder": "new"})
    assert started.status_code == 202, started.text
    body = started.json()
    assert (body["collection"], body["from"], body["to"], body["documents"]) == ("docs", "old", "new", 200)
    client.patch(path, json={"defaults": {"top_k": 3}})
    job = ended(client, path)
    assert (job["state"], job["reason"], job["done"], job["documents"]) == ("done", None, 200, 200)
    described = client.get(path).json()
    assert described["re_encode"] == {name: value for name, value in job.items() if name != "collection"}
    assert described["defaults"] == {"top_k": 3}
    assert (described["name"], described["encoder"], described["dimension"], described["documents"]) == (
        "docs",
        "new",
        48,
        200,
    )
    listed = client.get("/v1/collections").json()["collections"]
    assert [(each["name"], each["re_encode"]) for each in listed] == [("docs", None)]
    assert client.put("/v1/collections/docs", json={"encoder": "new"}).status_code == 200
    over = client.delete(f"{path}/re-encode")
    assert (over.status_code, over.json()["code"]) == (409, "re_encoding_over")


def test_a_refused_re_encoding_gives_advice(client: httpx.Client, path: str) -> None:
    unknown = client.post(f"{path}/re-encode", json={"encoder": "other"})
    assert unknown.status_code == 422
    assert "old, new" in unknown.json()["detail"]
    assert client.post(f"{path}/re-encode", json={"encoder": "old"}).status_code == 422
    client.put(f"{path}/documents/own", json={"key_vector": [1.0] * 32, "value": "text"})
    own = client.post(f"{path}/re-encode", json={"encoder": "new"})
    assert (own.status_code, own.json()["errors"][0]["pointer"]) == (422, "/vectors")
    assert "1 document carries vectors" in own.json()["detail"]
    kept = client.post(f"{path}/re-encode", json={"encoder": "new", "vectors": "keep"})
    assert "width 32" in kept.json()["detail"]
    assert client.delete("/v1/collections/none/re-encode").json()["code"] == "collection_not_found"


def test_a_projection_does_not_survive(client: httpx.Client, path: str) -> None:
    sent = {"down": np.eye(32)[:2].tolist(), "up": np.eye(32)[2:4].tolist(), "encoder": "old"}
    assert client.put(f"{path}/projection", json=sent).status_code == 200
    assert client.post(f"{path}/re-encode", json={"encoder": "new"}).json()["drops"] == ["projection"]
    assert ended(client, path)["state"] == "done"
    assert client.get(path).json()["projection"] is None
    late = client.put(f"{path}/projection", json=sent)
    assert (late.status_code, late.json()["code"]) == (409, "collection_conflict")


def test_a_job_that_runs_is_one_and_can_be_cancelled(client: httpx.Client, path: str, running: RunningService) -> None:
    catalogue = running.app.state.parts.catalogue
    record = catalogue.collection("docs").record
    job = ReEncoding(record.id, None, "running", None, "old", "new", None, None, (), time.time())
    catalogue.begin_re_encoding(job, record.settings, "docs")  # no process works on it, until one is woken
    again = client.post(f"{path}/re-encode", json={"encoder": "new"})
    assert (again.status_code, again.json()["code"]) == (409, "re_encoding_active")
    cancelled = client.delete(f"{path}/re-encode").json()
    assert (cancelled["state"], cancelled["documents"], cancelled["to"]) == ("cancelled", 200, "new")
    assert client.get(path).json()["encoder"] == "old"


def test_a_service_starts_with_a_damaged_move_and_names_it(tmp_path: Path) -> None:
    settings = {"data_dir": tmp_path / "data", "encoder": "none"}
    with RunningService(**settings) as running, running.client() as client:
        running.wait_until_ready()
        client.put("/v1/collections/c", json={"dimension": 2})
        store = running.app.state.parts.catalogue.store
        job = ReEncoding(1, None, "done", None, None, "new", None, None, (), 0.0, 1.0)
        with store.reading() as reader:
            number = reader.collection("c").id
        with store.writing() as writer:
            writer.begin_re_encoding(replace(job, collection=number), reader_settings(store))
            writer.save_re_encoding(replace(job, collection=number))
        path = store.path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE re_encodings SET job = '{'")
    with RunningService(**settings) as running, running.client() as client:
        until(lambda: client.get("/readyz").json()["status"] == "failed")
        assert client.get("/readyz").json()["failed"] == [
            "collection c: the record of the move is damaged on disk: start the move again, or cancel it"
        ]
        answer = client.get("/v1/collections/c").json()["re_encode"]
        assert (answer["state"], answer["to"]) == ("failed", "")
        assert client.post("/v1/collections/c/attend", json={"query": [1, 2]}).status_code == 200
        assert client.delete("/v1/collections/c/re-encode").json()["state"] == "cancelled"
        running.wait_until_ready()


def reader_settings(store: Any) -> Any:
    """Return the settings of the collection `c`."""
    with store.reading() as reader:
        return reader.collection("c").settings


def test_a_disk_without_space_for_a_second_copy_is_a_507(
    client: httpx.Client, path: str, running: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.app.state.parts.catalogue.store, "disk", lambda: DiskUsage(10**9, 10_000))
    full = client.post(f"{path}/re-encode", json={"encoder": "new"})
    assert (full.status_code, full.json()["code"]) == (507, "disk_full")
    assert client.get(path).json()["re_encode"] is None


def test_late_may_be_switched_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "encoders.toml"
    tables = (f'[encoders.{name}]\nmodel = "all-MiniLM-L6-v2"\nprecision = "{name}"\n' for name in ("int16", "float32"))
    file.write_text("".join(('default = "int16"\n', *tables)))
    path = "/v1/collections/docs"
    with RunningService(data_dir=tmp_path / "data", encoders=file) as running, running.client() as client:
        running.wait_until_ready()
        for before in (False, True):
            client.delete(path)
            client.put(path, json={"encoder": "int16", "late": before}).raise_for_status()
            fill(client, range(500))
            client.post(f"{path}/re-encode", json={"encoder": "float32"}).raise_for_status()
            client.patch(path, json={"late": not before}).raise_for_status()
            assert client.get(path).json()["re_encode"]["state"] == "running"
            assert ended(client, path)["state"] == "done"
            moved = client.get(path).json()
            assert (moved["encoder"], moved["late"]) == ("float32", not before)
            assert moved["words"] is None or sum(moved["words"].values()) == 500
