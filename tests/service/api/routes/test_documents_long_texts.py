"""A document of several keys weighs what they weigh together, and a match says which of them spoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np


def write(client: httpx.Client, path: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    answer = client.post(f"{path}/documents", json={"documents": documents})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(client: httpx.Client, path: str, call: str = "attend", **options: Any) -> dict[str, Any]:
    answer = client.post(f"{path}/{call}", json={"top_k": 100} | options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_document_of_several_keys_is_read_replaced_patched_and_deleted_as_one(
    client: httpx.Client, collection: Callable[..., str]
) -> None:
    path = collection(encoder=None)
    keys = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    parts = [{"start": 0, "end": 3}, {"start": 4, "end": 7}, {"start": 8, "end": 11}]
    document = {"id": "a", "key": "one two six", "value": 1, "key_vectors": keys, "parts": parts, "metadata": {"n": 1}}
    write(client, path, [document, {"id": "b", "key_vector": [1, 1]}])

    def counts() -> list[int]:
        record = client.get(path).json()
        return [record[field] for field in ("documents", "keyless", "keys")]

    assert counts() == [2, 0, 4]
    include = {"include": ["key", "value", "metadata", "key_vector"]}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), document)
    answer = ask(client, path, query=[0, 1], temperature=0)
    assert answer["matches"][0]["part"] == {"index": 1, "start": 4, "end": 7}

    assert client.patch(f"{path}/documents/a", json={"metadata": {"n": 2}, "value": 5}).status_code == 200
    changed = document | {"metadata": {"n": 2}, "value": 5}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), changed)
    update = {"ids": ["a"], "patch": {"metadata": {"n": 3}}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), changed | {"metadata": {"n": 3}})
    assert counts() == [2, 0, 4]
    assert client.patch(f"{path}/documents/a", json={"key_vectors": keys[:2]}).status_code == 200
    assert counts() == [2, 0, 3]
    assert client.put(f"{path}/documents/a", json={"key_vector": [1, 2]}).status_code == 200
    assert counts() == [2, 0, 2]
    write(client, path, [document])
    assert client.post(f"{path}/documents/delete", json={"ids": ["a"]}).json() == {"deleted": 1}
    assert counts() == [1, 0, 1]
    assert [match["id"] for match in ask(client, path, query=[0, 1])["matches"]] == ["b"]
