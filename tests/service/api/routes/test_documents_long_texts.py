"""A document of several keys weighs what they weigh together, and a match says which of them spoke."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

RNG = np.random.default_rng(3)
D = 5
SIZES = [1, 4, 2, 1, 9, 3]
KEYS = [RNG.normal(size=(count, D)).astype(np.float32) for count in SIZES]
QUERY = RNG.normal(size=D).tolist()


def write(client: httpx.Client, path: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    answer = client.post(f"{path}/documents", json={"documents": documents})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(client: httpx.Client, path: str, call: str = "attend", **options: Any) -> dict[str, Any]:
    answer = client.post(f"{path}/{call}", json={"query": QUERY, "top_k": 100} | options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def together() -> list[dict[str, Any]]:
    """Documents of several keys, and of one."""
    return [
        {
            "id": f"d{i}",
            "value": i,
            "metadata": {"i": i},
            **({"key_vector": keys[0].tolist()} if len(keys) == 1 else {"key_vectors": keys.tolist()}),
        }
        for i, keys in enumerate(KEYS)
    ]


def close(evidence: dict[str, Any], relative: float = 1e-12) -> dict[str, Any]:
    """Return a comparison that ignores rounding of its numbers."""
    return {
        name: pytest.approx(value, rel=relative, abs=1e-15) if isinstance(value, float) else value
        for name, value in evidence.items()
    }


@pytest.fixture
def shelf(client: httpx.Client, collection: Callable[..., str]) -> str:
    path = collection(encoder=None)
    write(client, path, together())
    return path


def test_the_explanation_adds_up(client: httpx.Client, shelf: str) -> None:
    for temperature in (0, 0.05, 1):
        answer = ask(client, shelf, temperature=temperature, null=0.1, include=["explanation"])
        for match in answer["matches"]:
            why = match["explanation"]
            assert ("log_weight_of_other_parts" in why) == ("part" in match)
            if why["logit"] is None:
                assert (match["weight"], why["log_weight"]) == (0, None)
                continue
            total = why["logit"] + why.get("log_weight_of_other_parts", 0.0) - why["log_partition"]
            assert why["log_weight"] == pytest.approx(total, abs=1e-12)
            assert match["weight"] == pytest.approx(math.exp(total), rel=1e-9)


def test_many_small_parts_outweigh_one_that_is_nearer(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection(encoder=None)
    crowd = [[0.8, 0.6]] * 50
    write(client, path, [{"id": "near", "key_vector": [1, 0]}, {"id": "crowd", "key_vectors": crowd}])
    options = {"query": [1, 0], "null": False, "temperature": 0.1, "top_k": 1}
    assert [match["id"] for match in ask(client, path, **options)["matches"]] == ["crowd"]
    assert [match["id"] for match in ask(client, path, **options | {"temperature": 0})["matches"]] == ["near"]
    swept = ask(client, path, "sweep", query=[1, 0], temperatures=[0, 0.1], null=False, top_k=1)
    assert [match["id"] for match in swept["matches"]] == ["near"]
    assert swept["temperatures"][1]["rest_weight"] > 0.5


def test_a_sweep_agrees_with_attend_at_each_temperature(client: httpx.Client, shelf: str) -> None:
    temperatures = [0, 0.01, 0.2, 1, 1e30]
    swept = ask(client, shelf, "sweep", temperatures=temperatures, null=0.2)
    assert (swept["documents"], swept["keys"]) == (len(SIZES), sum(SIZES))
    for position, temperature in enumerate(temperatures):
        answer = ask(client, shelf, temperature=temperature, null=0.2)
        weights = {match["id"]: match["weight"] for match in answer["matches"]}
        row = swept["temperatures"][position]
        assert row["evidence"] == close(answer["evidence"], 1e-9)
        for match, weight in zip(swept["matches"], row["weights"], strict=True):
            assert weight == pytest.approx(weights[match["id"]], abs=1e-12)
    parts = {match["id"]: match.get("part") for match in swept["matches"]}
    assert parts == {match["id"]: match.get("part") for match in ask(client, shelf)["matches"]}


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
