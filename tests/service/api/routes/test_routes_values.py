"""Values that wait, at every door of the API: each call answers, says pending, or encodes a few of them itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv import Client, Unavailable
from softkv_service.retrieval.documents.backfill import MissingValues
from softkv_service.storage import restore
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED
from tests.service.commands.conftest import command_runner
from tests.waiting import until

COLLECTION = "/v1/collections/faq"
MANY = 300
OUTPUT = {"query": "which number has the third thing?", "include": ["output"], "null": False}


def document(i: int) -> dict[str, Any]:
    return {
        "id": f"{i:03}",
        "key": f"which number has thing {i}?",
        "value": f"It is {i}, they say.",
        "metadata": {"n": i},
    }


DOCUMENTS = [document(i) for i in range(MANY)]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The worker rests until the patch is undone."""

    monkeypatch.setattr(MissingValues, "find", lambda self, reader: {})
    return monkeypatch


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(data_dir=tmp_path / "data") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(held: object, running: RunningService) -> Iterator[httpx.Client]:
    """A client of a service with documents whose values wait."""
    with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
        assert client.put(COLLECTION, json={}).status_code == 201
        written = client.post(f"{COLLECTION}/documents", json={"documents": DOCUMENTS})
        assert (written.status_code, written.json()["upserted"]) == (200, MANY)
        yield client


def values(client: httpx.Client, collection: str = COLLECTION) -> dict[str, int]:
    counts: dict[str, int] = client.get(collection).json()["values"]
    return counts


def waiting(n: int) -> dict[str, int]:
    return {"encoded": MANY - n, "waiting": n, "failed": 0}


def pending(answer: httpx.Response, documents: int) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "values_pending"
    assert f"the values of {documents} documents" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0


def complete(client: httpx.Client, held: pytest.MonkeyPatch, collection: str = COLLECTION) -> None:
    held.undo()
    client.put(f"{collection}/documents/wake", json={"key": "a last one", "value": "it wakes the worker"})
    client.delete(f"{collection}/documents/wake")
    until(lambda: values(client, collection)["waiting"] == 0)


def test_only_answers_that_need_values_wait(client: httpx.Client, held: pytest.MonkeyPatch) -> None:
    assert values(client) == waiting(MANY)
    asked = client.post(f"{COLLECTION}/attend", json={"query": "which number has thing 3?"}).json()
    assert asked["matches"][0]["id"] == "003"
    assert asked["matches"][0]["value"] == "It is 3, they say."
    swept = {"query": "a thing", "temperatures": [0.1, 1.0]}
    assert client.post(f"{COLLECTION}/sweep", json=swept).status_code == 200
    pending(client.post(f"{COLLECTION}/attend", json=OUTPUT), MANY)
    pending(client.post(f"{COLLECTION}/compare", json={"query": "a thing"}), MANY)
    pending(client.post(f"{COLLECTION}/documents/query", json={"include": ["value_vector"], "limit": 1000}), MANY)
    assert client.post(f"{COLLECTION}/documents/query", json={"include": ["key_vector"]}).status_code == 200
    assert values(client) == waiting(MANY)
    few = {"filter": {"field": "metadata.n", "operator": "<", "value": 5}}
    assert client.post(f"{COLLECTION}/attend", json=OUTPUT | few).status_code == 200
    assert values(client) == waiting(MANY - 5)
    matches = {"query": "which number has thing 9?", "include": ["value_vector"], "top_k": 3}
    assert "value_vector" in client.post(f"{COLLECTION}/attend", json=matches).json()["matches"][0]
    one = client.get(f"{COLLECTION}/documents/200", params={"include": "value_vector"}).json()
    assert np.linalg.norm(one["value_vector"]) == pytest.approx(1, abs=1e-3)
    complete(client, held)
    assert client.post(f"{COLLECTION}/attend", json=OUTPUT).status_code == 200
    assert values(client) == waiting(0)


def test_a_write_counts_truncated_values_and_repeats_its_answer(client: httpx.Client) -> None:
    long = {"key": "a short key", "value": "a long value " * 200}
    headers = {"Idempotency-Key": "one"}
    answers = [client.put(f"{COLLECTION}/documents/long", json=long, headers=headers) for _ in range(2)]
    assert [answer.json()["truncated"] for answer in answers] == [["long"], ["long"]]
    assert values(client)["waiting"] == MANY + 1
    lone = {"content": b'{"key": "a key", "value": "\\ud800"}', "headers": {"content-type": "application/json"}}
    assert client.put(f"{COLLECTION}/documents/bad", **lone).status_code == 422
    assert values(client)["waiting"] == MANY + 1


def test_a_change_of_metadata_goes_on_waiting_and_a_deleted_one_does_not(client: httpx.Client) -> None:
    assert client.patch(f"{COLLECTION}/documents/000", json={"metadata": {"n": 1000}}).status_code == 200
    client.post(f"{COLLECTION}/documents/update", json={"ids": ["001"], "patch": {"metadata": {"n": 1001}}})
    assert values(client)["waiting"] == MANY
    client.post(f"{COLLECTION}/documents/update", json={"ids": ["002"], "patch": {"value": "encoded at once"}})
    client.delete(f"{COLLECTION}/documents/003")
    client.patch(f"{COLLECTION}/documents/004", json={"value": {"no": "text"}})
    client.put(f"{COLLECTION}/documents/005", json=document(5) | {"id": None, "expires": "2020-01-01T00:00:00Z"})
    client.put(f"{COLLECTION}/documents/006", json={"key": "sent", "value": "b", "value_vector": [1.0] + [0.0] * 383})
    assert values(client)["waiting"] in (MANY - 5, MANY - 4)


def test_an_alias_answers_as_its_collection_and_a_calibration_does_not_wait(client: httpx.Client) -> None:
    client.put("/v1/aliases/questions", json={"collection": "faq"}).raise_for_status()
    pending(client.post("/v1/collections/questions/attend", json=OUTPUT), MANY)
    assert values(client, "/v1/collections/questions") == waiting(MANY)
    labelled = [{"query": f"tell me of thing {i}", "id": f"{i:03}" if i % 2 else None} for i in range(60)]
    calibrated = client.post(f"{COLLECTION}/calibrate", json={"questions": labelled})
    assert calibrated.status_code == 200, calibrated.text
    assert values(client) == waiting(MANY)


def test_a_backup_has_values_that_wait_and_its_service_encodes_them(
    client: httpx.Client, held: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restore(BytesIO(client.get("/v1/backup").content), tmp_path / "restored")
    complete(client, held)
    expected = client.post(f"{COLLECTION}/attend", json=OUTPUT).json()["output"]
    with RunningService(data_dir=tmp_path / "restored") as other:
        other.wait_until_ready()
        with other.client() as client_of_other:
            until(lambda: values(client_of_other)["waiting"] == 0)
            output = client_of_other.post(f"{COLLECTION}/attend", json=OUTPUT).json()["output"]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)


def test_an_export_encodes_the_rows_that_it_writes(
    client: httpx.Client, running: RunningService, tmp_path: Path
) -> None:
    file = tmp_path / "faq.ndjson"
    result = command_runner(running)("export", "faq", str(file))
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in file.read_text().splitlines()][1:]
    assert len(lines) == MANY
    assert all("value_vector" in line for line in lines)
    assert values(client) == waiting(0)


def test_the_client_names_the_refusal(client: httpx.Client, running: RunningService) -> None:
    with Client(running.url, retries=0) as caller, pytest.raises(Unavailable, match="300 documents") as caught:
        caller.collection("faq").attend("a thing", include=["output"])
    assert caught.value.code == "values_pending"
    with Client(running.url) as caller:
        counts = caller.collection("faq").info().values
    assert counts is not None
    assert counts.waiting == MANY


def test_a_service_in_a_program_goes_on_at_its_next_opening(tmp_path: Path, held: pytest.MonkeyPatch) -> None:
    with Client.local(tmp_path / "local") as local:
        collection = local.collection("faq")
        collection.create()
        collection.upsert(DOCUMENTS)
        counts = collection.info().values
        assert counts is not None
        assert counts.waiting == MANY
    held.undo()
    with Client.local(tmp_path / "local") as local:
        collection = local.collection("faq")
        until(lambda: (counts := collection.info().values) is not None and counts.waiting == 0)
        assert collection.attend("a thing", include=["output"]).output is not None
