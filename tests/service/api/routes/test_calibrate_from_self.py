"""A collection is calibrated by questions that are made of its own keys, before there are labels."""

from __future__ import annotations

import pytest

from service.datasets import DEMOS
from tests.thorough import thorough

KEYS = [document["key"] for document in DEMOS["python"].documents()][:160]

THINGS = [
    "passport", "birth certificate", "dog licence", "parking permit", "building permit", "driving licence",
    "library card", "recycling bin", "kindergarten place", "housing allowance", "market stall", "swimming pool pass",
    "gym hall booking", "grave site", "change of address",
]  # fmt: skip
ENTRIES = (
    "How much does the {} cost?",
    "How long do I wait for the {}?",
    "Which documents do I need for the {}?",
    "Can I apply for the {} online?",
    "Do I need an appointment about the {}?",
    "What if I lost the papers of the {}?",
    "How do I renew the {}?",
    "May somebody else collect the {} for me?",
    "Why was my request about the {} refused?",
    "Whom do I call about the {}?",
)
ASKED = {
    0: "what do I pay for a {}",
    1: "{}: when will it be ready",
    2: "papers I must bring for a {}",
    3: "{} over the internet",
    7: "can my wife pick up the {}",
    8: "they said no to my {}",
}


@pytest.fixture
def path(client, collection):
    documents = [{"id": f"{i}", "key": key} for i, key in enumerate(KEYS)]
    return collection(documents, temperature=0.2)


def test_a_calibration_without_labels_adds_confidences_and_a_verdict(client, path):
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
    asked = {"query": KEYS[3], "top_k": 2}
    answer = client.post(f"{path}/attend", json=asked).json()
    assert answer["matches"][0]["id"] == "3"
    assert answer["matches"][0]["confidence"] > answer["matches"][1]["confidence"]
    strange = client.post(f"{path}/attend", json={"query": "how do I season a roast chicken?", "top_k": 1}).json()
    assert strange["evidence"]["null_weight"] >= kept["calibration"]["none_from"] == 0.5
    assert strange["evidence"]["verdict"] == "none"
    refused = client.post(f"{path}/attend", json={**asked, "conformal": 0.5})
    assert refused.status_code == 422
    assert "the calibration has 0" in refused.json()["detail"]


def test_labels_start_from_it_and_stay(client, path):
    assert client.post(f"{path}/calibrate", json={"from": "self", "apply": True}).json()["applied"]
    questions = [{"query": key.partition(": ")[2][8:] or key, "id": f"{i}"} for i, key in enumerate(KEYS[:40])]
    questions += [{"query": f"a recipe with {i} eggs and {i + 1} onions", "id": None} for i in range(30)]
    labelled = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
    assert labelled["applied"], labelled["reason"]
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


def test_words_that_most_keys_share_ask_for_none_of_them(client, collection):
    path = collection()
    documents = [{"id": f"{i}", "key": f"the opening hours of the town office number {i}"} for i in range(80)]
    client.post(f"{path}/documents", json={"documents": documents}).raise_for_status()
    response = client.post(f"{path}/calibrate", json={"from": "self"})
    assert response.status_code == 422
    assert "of them have their document clearly as the best match: wanted at least 50" in response.json()["detail"]


@pytest.mark.parametrize("similarity", ["gaussian", thorough("dot"), thorough("scaled_dot")])
def test_questions_are_as_clear_by_any_similarity(client, collection, similarity):
    counts = list[int]()
    for settings in ({"similarity": "cosine"}, {"similarity": similarity}):
        path = collection(**settings)
        documents = [{"id": f"{i}", "key": key} for i, key in enumerate(KEYS)]
        client.post(f"{path}/documents", json={"documents": documents}).raise_for_status()
        labels = client.post(f"{path}/calibrate", json={"from": "self"}).json()["labels"]
        counts.append(labels["present"] + labels["absent"])
    assert counts[0] == pytest.approx(counts[1], abs=10)


def test_an_faq_of_templates_keeps_its_right_answers(client, collection):
    faq = collection()
    documents = [
        {"id": f"{thing}/{i}", "key": entry.format(thing)} for thing in THINGS for i, entry in enumerate(ENTRIES)
    ]
    client.post(f"{faq}/documents", json={"documents": documents}).raise_for_status()
    questions = [(question.format(thing), f"{thing}/{i}") for thing in THINGS for i, question in ASKED.items()]

    def right():
        halves = ([query for query, _ in questions[start : start + 45]] for start in (0, 45))
        batches = (client.post(f"{faq}/attend", json={"queries": half, "top_k": 1}).json() for half in halves)
        answers = [answer for batch in batches for answer in batch["results"]]
        return sum(
            answer["evidence"]["verdict"] == "one" and answer["matches"][0]["id"] == identity
            for answer, (_, identity) in zip(answers, questions, strict=True)
        )

    before, temperature = right(), client.get(faq).json()["temperature"]
    assert before >= 60
    client.post(f"{faq}/calibrate", json={"from": "self", "apply": True}).raise_for_status()
    assert right() >= before
    assert client.get(faq).json()["temperature"] <= temperature
