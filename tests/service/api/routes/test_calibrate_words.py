"""Words weigh what labelled questions said, where `"auto"` is asked, and confidences are of that too."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

N = 120
SHELVES = ("red", "green", "blue", "white", "black", "grey")


def numbered(i: int) -> str:
    """Return a text that an encoder hardly distinguishes from its neighbours, and one word does."""
    return f"invoice qz{i * 7919 % 9973}x of the {SHELVES[i % 6]} folder"


@pytest.fixture
def path(client: httpx.Client, collection: Any) -> str:
    made: str = collection()
    documents = [{"id": f"{i}", "key": numbered(i), "metadata": {"i": i}} for i in range(N)]
    assert client.post(f"{made}/documents", json={"documents": documents}).status_code == 200
    return made


def calibrated(client: httpx.Client, path: str) -> dict[str, Any]:
    questions = [
        {"query": f"where is {numbered(i)[:16]}", "id": f"{i}"} if i < N else {"query": numbered(i), "id": None}
        for i in range(2 * N)
    ]
    body: dict[str, Any] = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
    assert body["applied"], body
    return body


def asked(client: httpx.Client, path: str, **options: Any) -> httpx.Response:
    return client.post(f"{path}/attend", json={"query": f"where is {numbered(5)[:16]}", "top_k": 3} | options)


def test_auto_has_a_null_key_and_a_curve_of_its_own_and_otherwise_there_is_no_confidence(client, path):
    result = calibrated(client, path)
    assert result["full_text"] > 0
    auto = asked(client, path, full_text="auto", include=["explanation"]).json()
    assert auto["full_text"]["weight"] == result["full_text"]
    same = asked(client, path, full_text=result["full_text"], include=["explanation"]).json()
    assert {**auto, "took_ms": 0} == {**same, "took_ms": 0}
    words = result["words"]
    assert auto["evidence"]["null_similarity"] == pytest.approx(
        words["level"] + result["temperature"] * math.log(N), rel=1e-9
    )
    plain = asked(client, path).json()
    assert plain["evidence"]["null_similarity"] == pytest.approx(
        result["level"] + result["temperature"] * math.log(N), rel=1e-9
    )
    curves = [words["confidence"], result["confidence"]]
    assert curves[0] != curves[1]
    assert all(0 < answer["matches"][0]["confidence"] < 1 for answer in (auto, plain))
    swept = client.post(f"{path}/sweep", json={"query": "where is it", "temperatures": [1], "full_text": "auto"}).json()
    assert swept["full_text"]["weight"] == result["full_text"]
    for otherwise in ({"full_text": 0.33}, {"bias": {"field": "metadata.i", "factor": 0.1}}, {"temperature": 1}):
        assert_no_confidence(client, path, otherwise)


def assert_no_confidence(client: httpx.Client, path: str, otherwise: dict[str, Any]) -> None:
    answer = asked(client, path, **otherwise).json()
    assert answer["matches"]
    assert not any("confidence" in match for match in answer["matches"])
    refused = asked(client, path, **otherwise, min_confidence=0.5)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/min_confidence")


def test_auto_without_a_calibration_is_refused(client, path):
    refused = asked(client, path, full_text="auto")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/full_text")
    assert "needs a calibration" in refused.json()["detail"]
    wrong = asked(client, path, full_text="much")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/full_text")
