"""A service whose encoder is behind a URL: a stub in this process, and a second softkv."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

import softkv
from tests.running import RunningService
from tests.service.encoding.remote.conftest import KEY
from tests.service.encoding.remote.provider import DROPPED, TOO_MANY, WIDTH, Reply

VARIABLE = "KEY_OF_THE_PROVIDER"
Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a service with one encoder behind a URL; later ones have the same data."""
    monkeypatch.setenv(VARIABLE, KEY)

    @contextmanager
    def run(url: str, model: str = "nomic-embed-text", **fields: Any) -> Iterator[httpx.Client]:
        values = {"url": url, "model": model, "api_key_env": VARIABLE, "timeout_seconds": 60} | fields
        lines = [f"{name} = {value!r}".replace("'", '"') for name, value in values.items()]
        file = tmp_path / "encoders.toml"
        file.write_text("\n".join(['default = "remote"', "[encoders.remote]", *lines]))
        with (
            RunningService(encoders=file, data_dir=tmp_path / "data", log_level="debug") as service,
            service.client() as client,
        ):
            client.get("/readyz")
            yield client

    return run


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return str(answer.json()["detail"])


def write(client: httpx.Client, *keys: str) -> httpx.Response:
    documents = [{"id": f"{number}", "key": key} for number, key in enumerate(keys)]
    return client.post("/v1/collections/texts/documents", json={"documents": documents})


def test_documents_and_questions_are_encoded_by_the_provider(stub, start):
    with start(stub.url, query_prefix="search_query: ", document_prefix="search_document: ") as client:
        made = client.put("/v1/collections/texts", json={})
        assert made.json()["dimension"] == WIDTH
        stub.calls.clear()
        report = write(client, "a cat asleep in the sun", "relational databases").json()
        assert report == {"upserted": 2, "truncated": None}
        answer = client.post("/v1/collections/texts/attend", json={"query": "relational databases"}).json()
        assert answer["matches"][0]["id"] == "1"
        assert "unknown_tokens" not in answer
        assert set(stub.texts) == {
            "search_document: a cat asleep in the sun",
            "search_document: relational databases",
            "search_query: relational databases",
        }


def test_unknown_numbers_of_a_provider_are_null_and_calls_that_need_them_are_refused(stub, start):
    with start(stub.url) as client:
        encoded = client.post("/v1/encode", json={"texts": ["cats", "dogs"]}).json()
        assert (encoded["token_counts"], encoded["truncated"], encoded["unknown_tokens"]) == (None, None, None)
        line, end = client.post(
            "/v1/encode", json={"texts": ["cats"]}, headers={"Accept": "application/x-ndjson"}
        ).text.splitlines()
        assert '"token_count":null' in line.replace(" ", "")
        assert '"done":true' in end.replace(" ", "")
        refusal = client.post("/v1/encode", json={"texts": ["cats"], "tokens": True})
        assert "does not tell the tokens" in problem(refusal, 422, "invalid_content")
        assert refusal.json()["errors"][0]["pointer"] == "/tokens"
        assert "behind a URL" in problem(client.post("/v1/trace", json={"text": "cats"}), 422, "untraceable")
        client.put("/v1/collections/texts", json={})
        split = {"key": "a long text " * 50, "split": {"tokens": 20}}
        assert "split the text yourself" in problem(
            client.put("/v1/collections/texts/documents/a", json=split), 422, "invalid_content"
        )
        assert "nothing_to_read" in client.post("/v1/collections/texts/attend", json={"query": "  "}).text


def test_the_client_has_none_where_the_provider_does_not_tell(stub, start):
    with start(stub.url) as http, softkv.Client(str(http.base_url), retries=0) as client:
        encoded = client.encode(["cats", "dogs"])
        assert (encoded.token_counts, encoded.truncated, encoded.unknown_tokens) == (None, None, None)
        embedded = client.embed(["cats and dogs"], model="remote")
        assert (embedded.truncated, embedded.estimated, embedded.prompt_tokens) == (None, True, 5)
        http.put("/v1/collections/texts", json={})
        collection = client.collection("texts")
        assert collection.put("a", "a cat asleep in the sun").truncated is None
        report = collection.upsert([{"id": "b", "key": "dogs"}])
        assert (report.upserted, report.truncated) == (1, [])


def test_openais_client_gets_vectors_and_estimated_tokens(stub, start):
    with (
        start(stub.url) as client,
        openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as ours,
    ):
        answer = ours.embeddings.create(model="remote", input=["cats and dogs"])
        assert len(answer.data[0].embedding) == WIDTH
        assert answer.usage.prompt_tokens == 5
        assert answer.usage.estimated is True  # type: ignore[attr-defined]  # a field of softkv's own
        with pytest.raises(openai.BadRequestError, match="takes texts only"):
            ours.embeddings.create(model="remote", input=[101, 2023, 102])
        stub.behaviour = lambda call: Reply(503, {"error": "overloaded"}, {"Retry-After": "600"})
        with pytest.raises(openai.InternalServerError, match="503, 'overloaded'") as refusal:
            ours.embeddings.create(model="remote", input=["birds"])
        assert refusal.value.response.headers["Retry-After"] == "600"


def test_a_providers_error_is_a_503_with_its_message_and_nothing_is_written(stub, start):
    with start(stub.url) as client:
        client.put("/v1/collections/texts", json={})
        write(client, "first")
        stub.behaviour = lambda call: Reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
        refused = write(client, "second", "third")
        assert "401, 'Incorrect API key provided: [key]'" in problem(refused, 503, "encoder_unavailable")
        stub.behaviour = lambda call: Reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "77"})
        refused = client.post("/v1/collections/texts/attend", json={"query": "something"})
        assert "429, 'slow down'" in problem(refused, 503, "encoder_unavailable")
        assert refused.headers["Retry-After"] == "77"
        assert client.get("/v1/collections/texts").json()["documents"] == 1


def test_through_a_connection_that_fails_all_is_written_once(stub, start):
    cut = Reply(200, b"{" * 200, cut=100)
    replies = itertools.cycle([DROPPED, None, TOO_MANY, cut, None])
    stub.behaviour = lambda call: next(replies)
    with start(stub.url, batch_texts=4, concurrency=3) as client:
        client.put("/v1/collections/texts", json={})
        assert write(client, *(f"document {number}" for number in range(60))).json()["upserted"] == 60
        for number in range(0, 60, 7):
            answer = client.post("/v1/collections/texts/attend", json={"query": f"document {number}"}).json()
            assert answer["matches"][0]["id"] == f"{number}"
        metrics = client.get("/metrics").text
    assert 'softkv_provider_repeats_total{encoder="remote"} 0.0' not in metrics
    assert 'softkv_provider_failures_total{encoder="remote",reason="unreachable"} 0.0' in metrics


def test_a_provider_that_is_away_at_the_start_is_found_later(stub, start):
    stub.behaviour = lambda call: DROPPED
    with start(stub.url, timeout_seconds=1) as client:
        refused = client.post("/v1/encode", json={"texts": ["cats"]})
        assert "is not usable now" in problem(refused, 503, "encoder_unavailable")
        stub.behaviour = None
        while (answer := client.post("/v1/encode", json={"texts": ["cats"]})).status_code == 503:
            time.sleep(0.1)
        assert answer.json()["dimension"] == WIDTH


def test_a_restart_asks_the_provider_for_nothing(stub, start, nowhere):
    with start(stub.url) as client:
        before = client.put("/v1/collections/texts", json={}).json()
        assert stub.calls
    stub.calls.clear()
    with start(nowhere, timeout_seconds=2) as client:
        assert client.get("/v1/collections/texts").json()["temperature"] == before["temperature"]
        assert "cannot be reached" in problem(
            client.post("/v1/encode", json={"texts": ["cats"]}), 503, "encoder_unavailable"
        )
    assert stub.calls == []


def test_the_key_is_in_no_answer_no_log_and_no_store(stub, start, tmp_path, capfd):
    answers = []
    with start(stub.url) as client:
        client.event_hooks["response"] = [
            lambda response: answers.append(response.read() + repr(response.headers).encode())
        ]
        client.put("/v1/collections/texts", json={})
        write(client, "first")
        for path in ("v1", "v1/encoders", "v1/models", "readyz", "metrics", "v1/collections/texts", "openapi.json"):
            client.get(f"/{path}")
        stub.behaviour = lambda call: Reply(401, f"<title>Key {KEY} is wrong</title>".encode())
        write(client, "second")
        stub.behaviour = lambda call: Reply(400, KEY.encode())
        write(client, "third")
        stub.behaviour = lambda call: Reply(302, b"", {"Location": f"http://elsewhere/?key={KEY}"})
        write(client, "fourth")
    assert stub.calls[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert len(answers) == 12
    assert KEY.encode() not in b"".join(answers)
    out, err = capfd.readouterr()
    assert KEY not in out + err
    stored = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert stored
    assert not any(KEY.encode() in content for content in stored)


def test_a_second_softkv_is_a_provider(service, client, start):
    service.wait_until_ready()
    texts = ["a relational database", "a cat asleep in the sun", "an old boat"]
    with start(f"{service.url}/v1", model="all-MiniLM-L6-v2") as ours:
        theirs = client.post("/v1/encode", json={"texts": texts}).json()["embeddings"]
        encoded = ours.post("/v1/encode", json={"texts": texts}).json()
        np.testing.assert_allclose(encoded["embeddings"], theirs, atol=2e-6)
        ours.put("/v1/collections/texts", json={})
        assert write(ours, *texts).json()["upserted"] == 3
        answer = ours.post("/v1/collections/texts/attend", json={"query": "SQL"}).json()
        assert answer["matches"][0]["key"] == texts[0]
        unknown = ours.get("/v1/encoders").json()["encoders"][0]
        assert (unknown["kind"], unknown["dimension"], unknown["state"]) == ("remote", 384, "ready")
