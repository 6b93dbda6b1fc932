"""Likes, unlikes and diversity over HTTP: every call that takes them."""

from __future__ import annotations

from typing import Any

import httpx


def attend(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(f"{path}/attend", json={"include": []} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def flaw(client: httpx.Client, path: str, **body: Any) -> tuple[str, str]:
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    first = answer.json()["errors"][0]
    return first["pointer"], first["detail"]


def test_texts_of_a_sum_are_encoded_and_compared(client, collection):
    documents = [{"id": text, "key": text} for text in ("cats that purr", "dogs that bark", "a steam engine")]
    path = collection(documents)
    query = [{"text": "pets"}, {"text": "dogs", "weight": -0.7}, {"text": "xqzvw", "weight": 0.01}]
    answer = attend(client, path, query=query, full_text=0.5, include=["explanation"])
    assert (answer["matches"][0]["id"], answer["full_text"]["documents"]) == ("cats that purr", 0)
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


def test_near_copies_share_a_place(client, collection):
    keys = {"a": [1, 0], "b": [1, 0.1], "c": [0.7, 0.7]}
    path = collection([{"id": name, "key_vector": key} for name, key in keys.items()], encoder=None)
    asked = {"query": [1, 0], "temperature": 0.5, "null": 0.3, "top_k": 3}
    plain = {match["id"]: match["weight"] for match in attend(client, path, **asked)["matches"]}
    first, second = attend(client, path, **asked, diversity=0.01)["matches"]
    assert (first["id"], first["stands_for"]) == ("a", [{"id": "b", "weight": plain["b"]}])
    assert abs(first["weight"] - plain["a"] - plain["b"]) < 1e-12
    assert (second["id"], "stands_for" in second) == ("c", False)


def test_a_calibration_is_of_plain_questions(stocked):
    path = "/v1/collections/vectors"
    queries = [[1, 0], [{"vector": [1, 0]}]]
    plain, summed = attend(stocked, path, queries=queries)["results"]
    assert "confidence" in plain["matches"][0]
    assert "confidence" not in summed["matches"][0]
    assert "does not hold here, because the query is a weighted sum" in summed["reason"]
    pointer, detail = flaw(stocked, f"{path}/attend", queries=queries, min_confidence=0.8)
    assert pointer == "/min_confidence"
    assert "a query is a weighted sum" in detail
