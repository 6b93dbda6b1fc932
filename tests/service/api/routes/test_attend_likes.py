"""Likes, unlikes and diversity over HTTP: every call that takes them."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.service.api.calls import TWO

ANGLES = {"a": 0.0, "b": 0.1, "c": 0.8, "d": 1.6}


@pytest.fixture
def shelf(client, collection):
    path = collection(encoder=None, similarity="cosine", temperature=0.5, null=0.3)
    documents: list[dict[str, Any]] = [
        {"id": name, "key_vector": [math.cos(angle), math.sin(angle)]} for name, angle in ANGLES.items()
    ]
    documents.append({"id": "keyless", "key": "words"})
    documents.append({"id": "gone", "key_vector": [1, 1], "expires": "2020-01-01T00:00:00Z"})
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    return path


def attend(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(f"{path}/attend", json={"include": []} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def flaw(client: httpx.Client, path: str, **body: Any) -> tuple[str, str]:
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    first = answer.json()["errors"][0]
    return first["pointer"], first["detail"]


def test_a_sum_of_unit_vectors_is_the_query(client, shelf):
    parts = [{"id": "a", "weight": 2}, {"vector": [0, 9], "weight": -1}, {"vector": {"base64": TWO}}]
    answer = attend(client, shelf, query=parts)
    vector = np.array([2.0, -1.0]) + np.array([1, 2]) / math.sqrt(5)
    keys = np.array([[math.cos(angle), math.sin(angle)] for angle in ANGLES.values()])
    masses = np.exp(np.append(keys @ vector / np.linalg.norm(vector), 0.3) / 0.5)
    weights = dict(zip(ANGLES, masses / masses.sum(), strict=False))
    assert {match["id"]: match["weight"] for match in answer["matches"]} == pytest.approx(weights, abs=1e-7)
    assert "unknown_tokens" not in answer


def test_sweeps_and_streams_take_sums(client, shelf):
    query = [{"id": "a"}, {"id": "d", "weight": -0.5}]
    expected = attend(client, shelf, query=query)
    swept = client.post(f"{shelf}/sweep", json={"query": query, "temperatures": [0.5], "include": []}).json()
    assert [match["id"] for match in swept["matches"]] == [match["id"] for match in expected["matches"]]
    weights = [match["weight"] for match in expected["matches"]]
    assert swept["temperatures"][0]["weights"] == pytest.approx(weights, abs=1e-9)
    with client.stream("POST", f"{shelf}/attend", json={"query": query, "stream": True}) as streamed:
        assert streamed.status_code == 200
        assert "event: answer" in "".join(streamed.iter_text())
    unknown = {"query": [{"id": "x"}], "stream": True}
    assert flaw(client, f"{shelf}/attend", **unknown)[0] == "/query/0/id"


def test_texts_of_a_sum_are_encoded_and_compared(client, collection):
    documents = [{"id": text, "key": text} for text in ("cats that purr", "dogs that bark", "a steam engine")]
    path = collection(documents)
    query = [{"text": "pets"}, {"text": "dogs", "weight": -0.7}, {"text": "xqzvw", "weight": 0.01}]
    answer = attend(client, path, query=query, full_text=0.5, include=["explanation"])
    assert answer["matches"][0]["id"] == "cats that purr"
    assert answer["full_text"]["documents"] == 0
    assert answer["unknown_tokens"] == 0
    answer = attend(client, path, query=[{"id": "dogs that bark"}], full_text={"weight": 0.5, "query": "cats engine"})
    assert answer["full_text"]["documents"] == 2
    compared = client.post(f"{path}/compare", json={"query": [{"text": "cats"}, {"id": "dogs that bark"}]}).json()
    assert [row["id"] for row in compared["full_text"]["rows"]] == ["cats that purr"]
    assert {match["id"] for match in compared["top_k"]["matches"][:2]} == {"cats that purr", "dogs that bark"}
    rows = {"query": [{"text": "cat"}, {"id": "2"}], "rows": [{"key": "cat"}, {"key": "dog"}, {"key": "steam"}]}
    compared = client.post("/v1/compare", json=rows).json()
    assert [match["id"] for match in compared["attention"]["matches"]][2] == "3"
    assert flaw(client, f"{path}/compare", query=[{"id": "dogs that bark"}])[0] == "/query"
    assert flaw(client, f"{path}/compare", query=[{"text": "cats"}, {"id": "x"}])[0] == "/query/1/id"
    assert flaw(client, "/v1/compare", query=[{"text": "cats"}, {"id": "x"}], rows=[])[0] == "/query/1/id"
    assert flaw(client, f"{path}/attend", query=[{"id": "dogs that bark"}], full_text=1)[0] == "/full_text"
    assert flaw(client, f"{path}/attend", query=[{"text": "cats", "weight": -1}], full_text=1)[0] == "/full_text"


def test_a_default_of_full_text_applies_to_the_words_of_a_sum(client, collection):
    path = collection([{"id": "a", "key": "cats"}], defaults={"full_text": 0.5})
    assert attend(client, path, query=[{"text": "cats"}])["applied"] == {"full_text": 0.5}
    assert "applied" not in attend(client, path, query=[{"id": "a"}])


def test_near_copies_share_a_place(client, shelf):
    plain = {match["id"]: match["weight"] for match in attend(client, shelf, query=[1, 0])["matches"]}
    answer = attend(client, shelf, query=[1, 0], diversity=0.01, top_k=2, include=["explanation"])
    first, second = answer["matches"]
    assert (first["id"], first["stands_for"]) == ("a", [{"id": "b", "weight": plain["b"]}])
    assert first["weight"] == pytest.approx(plain["a"] + plain["b"], abs=1e-12)
    assert math.exp(first["explanation"]["log_weight"]) == pytest.approx(plain["a"], abs=1e-9)
    assert second["id"] == "c"
    assert "stands_for" not in second
    total = first["weight"] + second["weight"] + answer["rest_weight"] + answer["evidence"]["null_weight"]
    assert total == pytest.approx(1, abs=1e-12)


def test_groups_ignore_diversity(client, shelf):
    grouped = {"group_by": {"field": "metadata.x"}, "query": [1, 0]}
    assert attend(client, shelf, **grouped, diversity=1)["group_by"] == attend(client, shelf, **grouped)["group_by"]


def test_diversity_limits_queries_by_the_documents_that_it_looks_at(client, shelf):
    options = {"diversity": 0.1, "top_k": 100, "include": []}
    assert len(attend(client, shelf, queries=[[1, 0]] * 10, **options)["results"]) == 10
    pointer, detail = flaw(client, f"{shelf}/attend", queries=[[1, 0]] * 11, **options)
    assert pointer == "/queries"
    assert "up to 1000 documents each" in detail
    assert "in parts of 10" in detail


def test_a_calibration_is_of_plain_questions(stocked):
    path = "/v1/collections/vectors"
    queries = [[1, 0], [{"vector": [1, 0]}]]
    plain, summed = attend(stocked, path, queries=queries)["results"]
    assert "confidence" in plain["matches"][0]
    assert "confidence" not in summed["matches"][0]
    assert "does not hold here, because the query is a weighted sum" in summed["reason"]
    for name in ("min_confidence", "conformal"):
        pointer, detail = flaw(stocked, f"{path}/attend", queries=queries, **{name: 0.8})
        assert pointer == f"/{name}"
        assert "a query is a weighted sum" in detail
