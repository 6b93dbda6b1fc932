"""A keyless document is stored, listed, filtered and counted, and has no weight: it is as good as masked, or absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np


def put(client: httpx.Client, path: str, documents: list[dict[str, Any]]) -> None:
    answer = client.post(f"{path}/documents", json={"documents": documents})
    assert answer.status_code == 200, answer.text


def test_a_keyless_document_is_like_any_other_but_for_its_weight(
    client: httpx.Client, collection: Callable[..., str]
) -> None:
    path = collection()
    put(client, path, [{"id": "keyed", "key": "a cat", "metadata": {"n": 1}}])
    answer = client.put(f"{path}/documents/none", json={"value": {"any": "thing"}, "metadata": {"n": 2}})
    assert (answer.status_code, answer.json()) == (201, {"upserted": 1, "truncated": []})
    shown = client.get(path).json()
    assert [shown[field] for field in ("documents", "keyless", "keys")] == [1, 1, 1]

    result = client.get(f"{path}/documents/none", params={"include": ["key", "value", "key_vector", "value_vector"]})
    assert result.json() == {
        "id": "none",
        "key": None,
        "value": {"any": "thing"},
        "key_vector": None,
        "value_vector": None,
    }
    page = client.post(f"{path}/documents/query", json={"count": True}).json()
    assert ([document["id"] for document in page["documents"]], page["count"]) == (["keyed", "none"], 2)
    only = {"field": "metadata.n", "operator": "==", "value": 2}

    response = client.post(f"{path}/attend", json={"query": "thing", "filter": only, "null": False}).json()
    assert (response["matches"], response["documents"], response["rest_weight"]) == ([], 0, 0)
    assert response["evidence"]["verdict"] == "none"
    for call, body in (("attend", {"query": "a cat"}), ("sweep", {"query": "a cat", "temperatures": [0, 1, 1e30]})):
        result = client.post(f"{path}/{call}", json=body).json()
        assert ([match["id"] for match in result["matches"]], result["documents"]) == (["keyed"], 1)
    compared = client.post(f"{path}/compare", json={"query": "a cat"}).json()
    assert [match["id"] for match in compared["top_k"]["matches"]] == ["keyed"]
    assert compared["top_k"]["documents"] == 1


def test_a_document_gets_a_key_and_loses_it_again(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection()
    put(client, path, [{"id": "a", "value": "a value that is a text"}])

    def counts() -> list[int]:
        record = client.get(path).json()
        return [record[field] for field in ("documents", "keyless", "keys")]

    assert counts() == [0, 1, 0]
    assert client.patch(f"{path}/documents/a", json={"key": "cats"}).status_code == 200
    assert counts() == [1, 0, 1]
    body = client.post(f"{path}/attend", json={"query": "cats", "include": ["value_vector"]}).json()
    whole = client.post("/v1/encode", json={"texts": ["a value that is a text"], "purpose": "document"}).json()
    np.testing.assert_allclose(body["matches"][0]["value_vector"], whole["embeddings"][0], atol=1e-6)
    assert client.patch(f"{path}/documents/a", json={"key": None, "key_vector": None}).status_code == 200
    assert counts() == [0, 1, 0]
    assert client.post(f"{path}/attend", json={"query": "cats", "null": False}).json()["matches"] == []
