"""A collection is calibrated by questions that are made of its own keys, before there are labels."""

from __future__ import annotations

import pytest

from service.datasets import DEMOS


@pytest.fixture(scope="module")
def keys():
    return [document["key"] for document in DEMOS["python"].documents()][:120]


@pytest.fixture
def path(client, collection, keys):
    documents = [{"id": f"{i}", "key": key} for i, key in enumerate(keys)]
    return collection(documents, temperature=0.2)


def test_a_calibration_without_labels_adds_confidences_and_a_verdict(client, path, keys):
    body = client.post(f"{path}/calibrate", json={"from": "self"}).json()
    assert (body["applied"], body["reason"], body["from"]) == (False, None, "self")
    assert client.get(path).json()["calibration"] is None
    applied = client.post(f"{path}/calibrate", json={"from": "self", "apply": True}).json()
    untimed = {"applied": None, "at": None, "took_ms": None}
    assert applied | untimed == body | untimed, "the same questions are made every time"
    assert applied["after"]["log_loss"]["value"] < applied["before"]["log_loss"]["value"]
    assert (applied["conformal"], applied["errors"]) == ([], [])
    kept = client.get(path).json()
    assert kept["calibration"]["from"] == "self"
    assert kept["temperature"] == applied["temperature"] < 0.2
    assert kept["null"] == "auto"
    question = {"query": keys[3], "top_k": 2}
    answer = client.post(f"{path}/attend", json=question).json()
    assert answer["matches"][0]["id"] == "3"
    assert answer["matches"][0]["confidence"] > answer["matches"][1]["confidence"]
    strange = client.post(f"{path}/attend", json={"query": "how do I season a roast chicken?", "top_k": 1}).json()
    assert strange["evidence"]["null_weight"] >= kept["calibration"]["none_from"] == 0.5
    assert strange["evidence"]["verdict"] == "none"
    refused = client.post(f"{path}/attend", json={**question, "conformal": 0.5})
    assert refused.status_code == 422
    assert "the calibration has 0" in refused.json()["detail"]


def test_labels_start_from_it_and_stay(client, path, keys):
    assert client.post(f"{path}/calibrate", json={"from": "self", "apply": True}).json()["applied"]
    questions = [{"query": key.partition(": ")[2][8:] or key, "id": f"{i}"} for i, key in enumerate(keys[:40])]
    questions += [{"query": f"a recipe with {i} eggs and {i + 1} onions", "id": None} for i in range(30)]
    labelled = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
    assert labelled["applied"], labelled["reason"]
    assert labelled["after"]["off_topic_none"]["value"] > 0.9
    slopes = labelled["confidence"]
    assert slopes["slope"] != slopes["slope_above"], "with fewer than 100 labels and nothing before, they are the same"
    again = client.post(f"{path}/calibrate", json={"from": "self", "apply": True}).json()
    assert not again["applied"]
    assert "made of labels" in again["reason"]


def test_a_collection_without_possible_questions_is_refused(client, collection):
    path = collection([{"id": f"{i}", "key": f"word{i}"} for i in range(60)])
    response = client.post(f"{path}/calibrate", json={"from": "self"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/from")
    assert "0 questions can be made" in response.json()["detail"]
    vectors = collection([{"id": "a", "key_vector": [1, 0]}], encoder=None)
    response = client.post(f"{vectors}/calibrate", json={"from": "self"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/from")
