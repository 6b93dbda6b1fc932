"""What a calibration does to its collection, and what happens to either meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.retrieval.collections import Catalogue
from service.retrieval.errors import SnapshotGone
from service.retrieval.queries import calibrate
from tests.service.api.routes.labels.test_calibrate import D, N, labelled, vectors


@pytest.fixture
def path(client: httpx.Client, collection: Any) -> str:
    made: str = collection(encoder=None, null=0.3)
    documents = [{"id": f"{i}", "key_vector": key.tolist()} for i, key in enumerate(vectors(N, 0))]
    assert client.post(f"{made}/documents", json={"documents": documents}).status_code == 200
    return made


def calibrated(client: httpx.Client, path: str, **more: Any) -> httpx.Response:
    return client.post(f"{path}/calibrate", json={"questions": labelled(240), "apply": True} | more)


def pointed(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["pointer"]


def test_what_was_set_meanwhile_comes_back(client, path):
    assert calibrated(client, path).json()["applied"]
    client.patch(path, json={"temperature": 0.4, "null": 0.9})
    assert calibrated(client, path).json()["applied"]
    taken = client.patch(path, json={"calibration": None}).json()
    assert (taken["temperature"], taken["null"]) == (0.4, 0.9)


def test_a_collection_that_changed_meanwhile_keeps_its_settings(client, path, monkeypatch):
    real = Catalogue.change

    def changed_first(catalogue: Catalogue, name: str, changes: Any, **more: Any) -> Any:
        if "calibration" in changes:
            real(catalogue, name, {"temperature": 0.7})
        return real(catalogue, name, changes, **more)

    monkeypatch.setattr(Catalogue, "change", changed_first)
    refused = calibrated(client, path)
    assert (refused.status_code, refused.json()["code"]) == (409, "collection_conflict")
    now = client.get(path).json()
    assert (now["temperature"], now["null"], now["calibration"]) == (0.7, 0.3, None)


def test_a_version_that_goes_while_it_is_asked_is_asked_once_more(client, path, monkeypatch):
    real, gone = calibrate._rows, [True]

    def going(question: Any, rows: Any, documents: Any, place: int) -> Any:
        if place == 70 and gone:
            gone.clear()
            raise SnapshotGone("gone")
        return real(question, rows, documents, place)

    expected = calibrated(client, path, apply=False).json()
    monkeypatch.setattr(calibrate, "_rows", going)
    assert calibrated(client, path, apply=False).json() | {"took_ms": 0} == expected | {"took_ms": 0}
    assert not gone


def test_said_twice_a_label_counts_once(client, path):
    once, twice = (calibrated(client, path, apply=False, questions=labelled(90) * n).json() for n in (1, 2))
    assert twice | {"took_ms": 0} == once | {"took_ms": 0}


def test_none_is_made_calibrated(client):
    for headers in ({}, {"Idempotency-Key": "a"}):
        refused = client.put("/v1/collections/new", json={"encoder": None, "null": "calibrated"}, headers=headers)
        assert pointed(refused) == (422, "/null")
        assert client.get("/v1/collections/new").status_code == 404
    assert client.get("/v1/collections").status_code == 200


def test_of_equal_documents_the_first_by_id_is_the_one_that_is_sure(client, path):
    copy = vectors(N, 0)[1].tolist()
    for name in ("zzz", "0000"):
        client.put(f"{path}/documents/{name}", json={"key_vector": copy})
    assert calibrated(client, path).json()["applied"]
    three = client.post(f"{path}/attend", json={"query": copy, "top_k": 3}).json()["matches"]
    assert [match["id"] for match in three] == ["0000", "1", "zzz"]
    assert three[1]["confidence"] == three[2]["confidence"] != three[0]["confidence"]
    asked = {"query": copy, "top_k": 1, "answer_if": three[0]["confidence"]}
    one = client.post(f"{path}/attend", json=asked).json()
    assert one["evidence"]["answered"]
    assert one["matches"][0]["confidence"] == three[0]["confidence"]


def test_beside_a_null_key_that_has_all_the_weight_nothing_is_said(client, path):
    assert calibrated(client, path).json()["applied"]
    asked = {"query": labelled(2)[1]["query"], "null": 9.0}
    assert "confidence" not in client.post(f"{path}/attend", json=asked).json()["matches"][0]
    for wanted in ({"answer_if": 0.5}, {"conformal": 0.9}):
        refused = client.post(f"{path}/attend", json=asked | wanted)
        assert pointed(refused) == (422, f"/{next(iter(wanted))}")
    refused = client.post(f"{path}/attend", json={"query": asked["query"], "answer_if": 0.5, "top_k": 0})
    assert pointed(refused) == (422, "/answer_if")


def test_an_empty_collection_is_asked_nothing(client, collection):
    questions = [*labelled(60), {"query": [1.0] * (D + 1), "id": None}]
    refused = client.post(f"{collection(encoder=None)}/calibrate", json={"questions": questions})
    assert pointed(refused) == (422, "/questions")
