"""Texts that a provider refuses, in every call of a service: each is named where it stands, and the others are written.

A provider that refuses every text is a mistake of the operator's, not of the caller's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from softkv_service.storage.records import FeedbackRecord
from tests.running import RunningService
from tests.service.encoding.remote.provider import Call, Reply, StubProvider

EMPTY = {"error": {"message": "input cannot be an empty string", "type": "invalid_request_error"}}
REFUSED = "The provider of encoder 'picky' refused the text ''"


def refuse_empty_texts(call: Call) -> Reply | None:
    return Reply(400, EMPTY) if "" in call.body["input"] else None


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProvider]:
    with StubProvider().running() as provider:
        yield provider


@pytest.fixture(scope="module")
def running(stub: StubProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    tables = [
        f'[encoders.{name}]\nurl = "{stub.url}"\nmodel = "{name}"\nbatch_texts = 16\ntimeout_seconds = 60\n'
        for name in ("picky", "patient")
    ]
    (folder / "encoders.toml").write_text('default = "picky"\n' + "".join(tables))
    with RunningService(data_dir=folder / "data", encoders=folder / "encoders.toml") as service:
        service.wait_until_ready()
        yield service


@pytest.fixture
def client(running: RunningService, stub: StubProvider) -> Iterator[httpx.Client]:
    stub.behaviour = None
    with running.client() as client:
        client.put("/v1/collections/texts", json={"value_from": "value"}).raise_for_status()
        stub.behaviour = refuse_empty_texts
        yield client
        client.delete("/v1/collections/texts")


def pointers(answer: httpx.Response) -> list[str]:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_content"), answer.text
    for flaw in problem["errors"]:
        assert flaw["detail"] == f"{REFUSED}: 400, 'input cannot be an empty string'."
    return [flaw["pointer"] for flaw in problem["errors"]]


def post_lines(client: httpx.Client, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = "".join(json.dumps(document) + "\n" for document in documents)
    answer = client.post(
        "/v1/collections/texts/documents", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_upload_names_each_refused_line_and_writes_the_others(client: httpx.Client) -> None:
    documents = [{"id": f"r{i}", "key": "" if i in (7, 41, 1200) else f"text {i}"} for i in range(1500)]
    documents[3]["value"] = ""
    *batches, end = post_lines(client, documents)
    assert end == {"done": True, "upserted": 1496, "refused": 4}
    refused = [line for batch in batches for line in batch["refused"]]
    assert [line["line"] for line in refused] == [4, 8, 42, 1201]
    assert [line["errors"][0]["pointer"] for line in refused] == ["/value", "/key", "/key", "/key"]
    assert all(line["detail"].startswith(f"{REFUSED}: 400, ") for line in refused)
    assert client.get("/v1/collections/texts").json()["documents"] == 1496


def test_each_text_of_a_body_has_its_pointer_and_nothing_is_written(client: httpx.Client) -> None:
    documents = [
        {"id": "a", "key": "good"},
        {"id": "b", "key": ""},
        {"id": "c", "key": "good", "value": ""},
        {"id": "d", "key": "", "value": "good"},
    ]
    answer = client.post("/v1/collections/texts/documents", json={"documents": documents})
    assert pointers(answer) == ["/documents/1/key", "/documents/2/value", "/documents/3/key"]
    assert client.get("/v1/collections/texts").json()["documents"] == 0
    assert pointers(client.put("/v1/collections/texts/documents/a", json={"key": ""})) == ["/key"]


def test_a_refused_patch_names_its_field_and_changes_nothing(client: httpx.Client) -> None:
    client.put("/v1/collections/texts/documents/a", json={"key": "cats", "value": "purr"}).raise_for_status()
    assert pointers(client.patch("/v1/collections/texts/documents/a", json={"key": ""})) == ["/key"]
    document = client.get("/v1/collections/texts/documents/a").json()
    assert (document["key"], document["value"]) == ("cats", "purr")


def test_a_value_that_is_refused_later_is_counted(client: httpx.Client) -> None:
    client.put("/v1/collections/texts/documents/a", json={"key": "cats", "value": ""}).raise_for_status()
    expected = {"encoded": 0, "waiting": 0, "failed": 1}
    deadline = time.monotonic() + 60
    while (values := client.get("/v1/collections/texts").json()["values"]) != expected:
        assert time.monotonic() < deadline, values
        time.sleep(0.05)


def test_a_refused_question_has_its_pointer(client: httpx.Client, stub: StubProvider) -> None:
    client.put("/v1/collections/texts/documents/a", json={"key": "cats"}).raise_for_status()
    stub.behaviour = lambda call: Reply(400, EMPTY) if "too long" in call.body["input"] else None

    def pointers_of(path: str, body: dict[str, Any]) -> list[str]:
        answer = client.post(path, json=body)
        assert answer.status_code in (400, 422), answer.text
        problem = answer.json()
        if "error" in problem:  # OpenAI's form
            return [problem["error"]["param"]]
        return [flaw["pointer"] for flaw in problem["errors"]]

    attend = "/v1/collections/texts/attend"
    assert pointers_of(attend, {"query": "too long"}) == ["/query"]
    assert pointers_of(attend, {"queries": ["a", "too long", "b", "too long"]}) == ["/queries/1", "/queries/3"]
    assert pointers_of("/v1/encode", {"texts": ["a", "too long"]}) == ["/texts/1"]
    assert pointers_of("/v1/embeddings", {"model": "picky", "input": ["a", "too long"]}) == ["input.1"]
    rows = [{"id": "a", "key": "cats"}]
    assert pointers_of("/v1/compare", {"query": "too long", "rows": rows}) == ["/query"]
    assert pointers_of("/v1/compare", {"query": "cats", "rows": [*rows, {"id": "b", "key": "too long"}]}) == [
        "/rows/1/key"
    ]


def test_a_stream_of_vectors_ends_at_a_refused_text_and_names_it(client: httpx.Client) -> None:
    texts = [f"text {i}" for i in range(100)] + [""]
    answer = client.post("/v1/encode", json={"texts": texts}, headers={"Accept": "application/x-ndjson"})
    end = json.loads(answer.text.splitlines()[-1])
    assert (end["done"], end["encoded"]) == (False, 64)
    assert [flaw["pointer"] for flaw in end["problem"]["errors"]] == ["/texts/100"]


def test_a_move_names_the_documents_that_the_other_provider_refuses(client: httpx.Client, stub: StubProvider) -> None:
    stub.behaviour = None
    documents = [{"id": f"r{i}", "key": "" if i in (2, 299) else f"text {i}"} for i in range(300)]
    client.post("/v1/collections/texts/documents", json={"documents": documents}).raise_for_status()
    stub.behaviour = lambda call: refuse_empty_texts(call) if call.body["model"] == "patient" else None
    client.post("/v1/collections/texts/re-encode", json={"encoder": "patient"}).raise_for_status()
    while (job := client.get("/v1/collections/texts").json()["re_encode"])["state"] in ("running", "paused"):
        time.sleep(0.05)
    assert job["state"] == "failed"
    assert job["reason"] == (
        "2 documents cannot be encoded: 'r2', 'r299'. The first: The provider of encoder 'patient' refused "
        "the text '': 400, 'input cannot be an empty string'. Change or delete them, and begin again."
    )


def test_a_calibration_names_the_feedback_whose_text_the_provider_refuses_now(
    client: httpx.Client, running: RunningService
) -> None:
    documents = [{"id": f"r{i}", "key": f"text {i}"} for i in range(40)]
    client.post("/v1/collections/texts/documents", json={"documents": documents}).raise_for_status()
    labels = {f"question {i}": f"r{i}" if i < 30 else None for i in range(60)} | {"": None}
    records = [
        FeedbackRecord(json.dumps(query), identity, True, i) for i, (query, identity) in enumerate(labels.items())
    ]
    store = running.app.state.parts.catalogue.store
    with store.writing() as writer:
        writer.write_feedback(writer.collection("texts").id, records, max_records=1000, max_bytes=10**6)
    answer = client.post("/v1/collections/texts/calibrate", json={"from": "feedback"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_content"), answer.text
    assert answer.json()["errors"] == [
        {
            "pointer": "/from",
            "detail": f"the feedback on '': {REFUSED}: 400, 'input cannot be an empty string'. Delete its records to "
            "leave the question out.",
        }
    ]


def test_a_provider_that_refuses_every_text_is_a_503_about_the_settings(
    client: httpx.Client, stub: StubProvider
) -> None:
    client.put("/v1/collections/texts/documents/a", json={"key": "cats purr"}).raise_for_status()
    stub.behaviour = lambda call: Reply(400, {"error": {"message": "model not found"}})
    stub.calls.clear()
    documents = [{"id": f"{i}", "key": f"another text {i}"} for i in range(16)]
    answers = [
        client.post("/v1/collections/texts/attend", json={"query": "another question"}),
        client.put("/v1/collections/texts/documents/b", json={"key": "another text"}),
        client.post("/v1/collections/texts/documents", json={"documents": documents}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "encoder_unavailable"), answer.text
        assert answer.json()["detail"] == (
            "The provider of encoder 'picky' refuses every text, also 'hello': 400, 'model not found'. Check the "
            "settings `model`, `dimensions` and the key of this encoder."
        )
    assert len(stub.calls) == 6  # each text or batch once, and the harmless text
    *_, end = post_lines(client, documents)
    assert (end["done"], end["problem"]["code"]) == (False, "encoder_unavailable")
