"""Bytes that a disk has changed: never served, named on access and by /readyz, and repaired by a new write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np

from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import CollectionSettings, DocumentRecord
from tests.running import RunningService
from tests.waiting import until

PATH = "/v1/collections/shelf"
N = 300


def fill(data: Path) -> Path:
    with SQLiteStore.open(data) as store, store.writing() as writer:
        number = writer.create_collection("shelf", CollectionSettings("dot", 0.5)).id
        documents = [
            DocumentRecord(f"d{i:03}", f"unmistakable {i:03}", f"precious {i:03}", np.array([[i, 7.125]], np.float32))
            for i in range(N)
        ]
        writer.upsert(number, documents)
        return store.path


def flip(path: Path, content: bytes, offset: int = 0) -> None:
    file = path.read_bytes()
    assert file.count(content) == 1
    position = file.index(content) + offset
    path.write_bytes(file[:position] + bytes([file[position] ^ 1]) + file[position + 1 :])


def refused(answer: httpx.Response, code: str, *names: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == code
    for name in names:
        assert name in answer.json()["detail"]


def test_a_damaged_value_is_refused_and_the_rest_is_answered(tmp_path: Path) -> None:
    flip(fill(tmp_path), b'"precious 005"', 3)
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        until(lambda: client.get("/readyz").json()["status"] == "failed")  # which finds it without being asked for it
        (failed,) = client.get("/readyz").json()["failed"]
        assert "collection shelf: document 'd005', row 6 is damaged" in failed
        refused(client.get(f"{PATH}/documents/d005"), "document_damaged", "d005")
        refused(client.post(f"{PATH}/documents/query", json={}), "document_damaged", "d005")
        assert client.get(f"{PATH}/documents/d006").json()["value"] == "precious 006"
        best = {"query": [1, 0], "top_k": 3, "include": ["value"]}
        assert [m["value"] for m in client.post(f"{PATH}/attend", json=best).json()["matches"]] == [
            "precious 299",
            "precious 298",
            "precious 297",
        ]
        worst = {"query": [-1, 0], "top_k": N, "include": ["value"]}
        refused(client.post(f"{PATH}/attend", json=worst), "document_damaged", "d005")
        # Its weight is known, so the answer may have its id.
        assert len(client.post(f"{PATH}/attend", json={**worst, "include": []}).json()["matches"]) == N
        refused(client.patch(f"{PATH}/documents/d005", json={"metadata": {"a": 1}}), "document_damaged", "d005")
        assert client.put(f"{PATH}/documents/d005", json={"key_vector": [5, 7.125], "value": "new"}).status_code == 200
        assert client.post(f"{PATH}/attend", json=worst).json()["documents"] == N
        until(lambda: client.get("/readyz").status_code == 200)


def test_a_damaged_key_vector_stops_the_collection_until_the_document_is_gone(tmp_path: Path) -> None:
    flip(fill(tmp_path), np.array([5, 7.125], "<f4").tobytes(), 1)
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        until(lambda: client.get("/readyz").json()["status"] == "failed")
        assert "row 6" in client.get("/readyz").json()["failed"][0]
        body = {"query": [1, 0], "top_k": 1}
        refused(client.post(f"{PATH}/attend", json=body), "collection_damaged", "row 6", "'shelf'")
        refused(client.post(f"{PATH}/sweep", json={"query": [1, 0], "temperatures": [1]}), "collection_damaged")
        refused(client.get(f"{PATH}/documents/d005"), "document_damaged", "d005")
        assert client.get(f"{PATH}/documents/d006").status_code == 200
        assert client.put("/v1/collections/other", json={"encoder": None}).status_code == 201
        assert client.delete(f"{PATH}/documents/d005").status_code == 204
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.post(f"{PATH}/attend", json=body).json()["documents"] == N - 1


def test_damaged_settings_are_not_served(tmp_path: Path) -> None:
    path = fill(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"shelfdot", b"shelfdnt"))
    arguments = ["serve", "--port", "0", "--data-dir", str(tmp_path), "--encoder", "none"]
    command = [sys.executable, "-m", "softkv_service", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1
    assert ended.stderr.startswith("softkv: collection 'shelf' is damaged on disk")
    with SQLiteStore.open(tmp_path) as store:
        assert any("settings are not what was written" in finding for finding in store.check())
