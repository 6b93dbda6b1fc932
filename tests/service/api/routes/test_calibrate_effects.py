"""The effect of a calibration on its collection, and changes of either during a fit."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.errors import SnapshotGone
from softkv_service.retrieval.labels import calibrate
from tests.service.api.routes.test_calibrate import N, labelled, vectors
from tests.thorough import thorough

UNTIMED = {"at": None, "took_ms": 0}
"""Replaces the fields of a calibration that differ between equal ones."""


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


def test_settings_changed_under_a_calibration_return_after_its_removal(client, path):
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


def test_a_snapshot_that_ends_during_a_calibration_is_taken_once_more(client, path, monkeypatch):
    real, gone, questions = calibrate._find_answer_rows, [True], np.float32([label["query"] for label in labelled(240)])

    def going(question: Any, rows: Any, documents: Any) -> Any:
        if question.query[0] == questions[70][0] and gone:
            gone.clear()
            raise SnapshotGone("gone")
        return real(question, rows, documents)

    expected = calibrated(client, path, apply=False).json()
    monkeypatch.setattr(calibrate, "_find_answer_rows", going)
    assert calibrated(client, path, apply=False).json() | UNTIMED == expected | UNTIMED
    assert not gone


def test_none_is_made_calibrated(client):
    for headers in ({}, {"Idempotency-Key": "a"}):
        refused = client.put("/v1/collections/new", json={"encoder": None, "null": "calibrated"}, headers=headers)
        assert pointed(refused) == (422, "/null")
        assert client.get("/v1/collections/new").status_code == 404
    assert client.get("/v1/collections").status_code == 200


def test_the_first_of_equal_documents_by_id_has_the_confidence(client, path):
    copy = vectors(N, 0)[1].tolist()
    for name in ("zzz", "0000"):
        client.put(f"{path}/documents/{name}", json={"key_vector": copy})
    assert calibrated(client, path).json()["applied"]
    three = client.post(f"{path}/attend", json={"query": copy, "top_k": 3}).json()["matches"]
    assert [match["id"] for match in three] == ["0000", "1", "zzz"]
    assert three[1]["confidence"] == three[2]["confidence"] != three[0]["confidence"]
    body = {"query": copy, "top_k": 1, "min_confidence": three[0]["confidence"]}
    one = client.post(f"{path}/attend", json=body).json()
    assert one["evidence"]["verdict"] == "one"
    assert one["matches"][0]["confidence"] == three[0]["confidence"]


@pytest.mark.parametrize("null", [9.0, thorough(2.0), thorough(1e6)])
def test_beside_a_null_key_that_has_all_the_weight_it_is_as_sure(client, path, null):
    assert calibrated(client, path).json()["applied"]
    queries = [labelled(2)[1]["query"], labelled(3)[2]["query"]]

    def told(**options: Any) -> list[Any]:
        results = client.post(f"{path}/attend", json={"queries": queries, "top_k": 5} | options).json()["results"]
        matches = [[(match["id"], match["confidence"]) for match in result["matches"]] for result in results]
        return [[result["evidence"]["verdict"] for result in results], *matches]

    (_, *alone), (beside, *rest) = told(min_confidence=0.5, null=False), told(min_confidence=0.5, null=null)
    assert beside == ["none", "none"]  # as the weights say
    for first, same in zip(alone, rest, strict=True):
        assert [match for match, _ in first] == [match for match, _ in same]
        assert [sure for _, sure in first] == pytest.approx([sure for _, sure in same], rel=1e-9)
    refused = client.post(f"{path}/attend", json={"query": queries[0], "min_confidence": 0.5, "top_k": 0})
    assert pointed(refused) == (422, "/min_confidence")


def test_answers_to_a_repeated_question_are_merged(client, path):
    questions = labelled(90)
    both = [*questions, {"query": questions[1]["query"], "id": "7"}]
    together = [question | ({"ids": [question["id"], "7"]} if i == 1 else {}) for i, question in enumerate(questions)]
    del together[1]["id"]
    twice, once = (calibrated(client, path, apply=False, questions=match).json() for match in (both, together))
    assert twice | UNTIMED == once | UNTIMED
