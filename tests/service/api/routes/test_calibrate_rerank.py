"""A reranker's weight is fitted with a calibration, with a null key and confidences for questions that have it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.encoding import Reranker, write_pair
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED
from tests.waiting import until

PATH = "/v1/collections/pets"
ANIMALS = ("cat", "dog", "hen", "horse", "goldfish", "parrot")
TOPICS = ("food", "sleep", "a name", "a walk", "the law")
TOWNS = (
    *("Rome", "Oslo", "Cairo", "Lima", "Delhi", "Paris", "Kyoto", "Quito", "Accra", "Hanoi", "Tunis", "Sofia", "Perth"),
    *("Dakar", "Minsk", "Tampa", "Leeds", "Porto", "Lagos", "Seoul"),
)
KEYS = [f"{topic} for a {animal}" for animal in ANIMALS for topic in TOPICS]
QUESTIONS = [f"who helps me and my {animal} in {town}?" for animal in ANIMALS for town in TOWNS]
DEPTH, TRUE_WEIGHT = 12, 2.0


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("service")
    file = folder / "encoders.toml"
    tables = "".join(f'[rerankers.{name}]\nmodel = "{model}"\n' for name in ("pairs", "second"))
    file.write_text(f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n{tables}')
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
            client.timeout = httpx.Timeout(300)
            client.put(PATH, json={})
            documents = [{"id": str(i), "key": key} for i, key in enumerate(KEYS)]
            client.post(f"{PATH}/documents", json={"documents": documents}).raise_for_status()
            yield client


def attend(client: httpx.Client, query: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{PATH}/attend", json={"query": query, "top_k": len(KEYS), "include": ["key"]} | body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def read_head(reranker: Reranker, query: str, base: dict[str, Any]) -> dict[str, float]:
    head = base["matches"][:DEPTH]
    values = reranker.encode([write_pair(query, match["key"]) for match in head], "query").vectors[:, 0]
    return dict(zip([match["id"] for match in head], values.astype(float).tolist(), strict=True))


@pytest.fixture(scope="module")
def questions(client: httpx.Client, reranker: Reranker) -> list[dict[str, Any]]:
    """Return questions whose answer is the best document if the reranker has its true weight."""
    labels, partitions = [], []
    for query in QUESTIONS:
        base = attend(client, query)
        addends = read_head(reranker, query, base)
        logits = {m["id"]: m["logit"] + TRUE_WEIGHT * addends.get(m["id"], 0.0) for m in base["matches"]}
        labels.append(max(logits, key=lambda i: logits[i]))
        partitions.append(np.logaddexp.reduce([*logits.values()]))
    absent = np.array(partitions) < np.median(partitions)
    pairs = zip(QUESTIONS, labels, absent.tolist(), strict=True)
    return [{"query": query, "id": None if gone else label} for query, label, gone in pairs]


@pytest.fixture(scope="module")
def fitted(client: httpx.Client, questions: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"questions": questions, "rerank": {"model": "pairs", "depth": DEPTH}, "apply": True}
    answer = client.post(f"{PATH}/calibrate", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def test_the_weight_that_made_the_labels_is_found_and_stored(client: httpx.Client, fitted: dict[str, Any]) -> None:
    assert fitted["applied"], fitted["reason"]
    assert fitted["rerank"]["model"] == "pairs"
    assert fitted["rerank"]["depth"] == DEPTH
    assert 1 <= fitted["rerank"]["weight"] <= 3
    for metric in ("mrr", "recall"):
        assert fitted["after_reranked"][metric]["value"] > fitted["after"][metric]["value"]
    for metric in ("label_loss", "log_loss"):
        assert fitted["after_reranked"][metric]["value"] < fitted["after"][metric]["value"]
    assert client.get(PATH).json()["calibration"]["rerank"] == fitted["rerank"]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def confidence(curve: dict[str, float], logits: np.ndarray, null: float) -> float:
    """Return the confidence of the best document in float64, from all logits and that of the null key."""
    partition = np.logaddexp.reduce(logits)
    share = float(np.exp(logits.max() - partition))
    x, z = math.log(share / (1 - share)), float(partition - null)
    slope = curve["slope_above"] if x > 0 else curve["slope"]
    lead = curve["lead_slope_above"] if z > 0 else curve["lead_slope"]
    return sigmoid(slope * x + lead * z + curve["offset"])


def test_null_key_and_confidence_are_those_fitted_with_reranked_weights(
    client: httpx.Client, reranker: Reranker, fitted: dict[str, Any]
) -> None:
    for query in QUESTIONS[::23]:
        base = attend(client, query)
        addends = read_head(reranker, query, base)
        answer = attend(client, query, rerank={"model": "pairs", "depth": DEPTH})
        weight, temperature = fitted["rerank"]["weight"], fitted["temperature"]
        logits = np.array([m["logit"] + weight * addends.get(m["id"], 0.0) for m in base["matches"]])
        null = fitted["reranked"]["level"] / temperature + math.log(len(KEYS))
        total = np.logaddexp(np.logaddexp.reduce(logits), null)
        expected = {m["id"]: float(np.exp(x - total)) for m, x in zip(base["matches"], logits, strict=True)}
        actual = {match["id"]: match["weight"] for match in answer["matches"]}
        assert actual == pytest.approx(expected, abs=1e-6)
        assert answer["evidence"]["null_weight"] == pytest.approx(float(np.exp(null - total)), abs=1e-6)
        first = answer["matches"][0]["confidence"]
        assert first == pytest.approx(confidence(fitted["reranked"]["confidence"], logits, null), abs=1e-6)
        none = answer["evidence"]["null_weight"] >= fitted["reranked"]["none_from"]
        assert (answer["evidence"]["verdict"] == "none") == none
        assert "addends of the reranker" in answer["reason"]


def test_questions_without_it_keep_the_calibration_without_it(client: httpx.Client, fitted: dict[str, Any]) -> None:
    answer = attend(client, QUESTIONS[1])
    logits = np.array([match["logit"] for match in answer["matches"]])
    null = fitted["level"] / fitted["temperature"] + math.log(len(KEYS))
    expected = confidence(fitted["confidence"], logits, null)
    assert answer["matches"][0]["confidence"] == pytest.approx(expected, abs=1e-6)


def test_a_set_of_matches_and_a_minimum_hold_beside_the_reranker(client: httpx.Client, fitted: dict[str, Any]) -> None:
    rerank = {"model": "pairs", "depth": DEPTH}
    answer = attend(client, QUESTIONS[0], rerank=rerank, conformal=0.9, min_confidence=0.1)
    threshold = next(level["weight"] for level in fitted["reranked"]["conformal"] if level["conformal"] == 0.9)
    everything = attend(client, QUESTIONS[0], rerank=rerank)
    documents = 1 - everything["evidence"]["null_weight"]
    inside = [m["id"] for m in everything["matches"] if m["weight"] / documents >= threshold]
    assert [match["id"] for match in answer["matches"]] == inside


@pytest.mark.parametrize(
    ("rerank", "told"),
    [
        ({"depth": DEPTH, "weight": 0.9}, "weight 0.9, not 'pairs'"),
        ({"depth": DEPTH + 1}, f"depth {DEPTH + 1} and weight 1.0, not"),
        ({"depth": DEPTH, "model": "second"}, "the reranker is 'second'"),
    ],
)
def test_another_reranker_has_weight_one_and_no_confidence(
    client: httpx.Client, fitted: dict[str, Any], rerank: dict[str, Any], told: str
) -> None:
    answer = attend(client, QUESTIONS[0], rerank=rerank, include=["explanation"])
    assert "confidence" not in answer["matches"][0]
    assert told in answer["reason"]
    line = answer["matches"][0]["explanation"]["addends"][-1]
    assert line["addend"] == pytest.approx(rerank.get("weight", 1.0) * line["logit"])
    refused = client.post(f"{PATH}/attend", json={"query": QUESTIONS[0], "rerank": rerank, "min_confidence": 0.5})
    assert refused.status_code == 422
    assert told in refused.json()["errors"][0]["detail"]


def test_words_beside_the_reranker_have_no_confidence(client: httpx.Client, fitted: dict[str, Any]) -> None:
    answer = attend(client, QUESTIONS[0], rerank={"depth": DEPTH}, full_text=0.1)
    assert "confidence" not in answer["matches"][0]
    assert "full_text is added beside a reranker" in answer["reason"]


@pytest.mark.thorough
def test_a_reranker_is_added_to_a_calibration_that_lacks_it(
    client: httpx.Client, questions: list[dict[str, Any]], fitted: dict[str, Any]
) -> None:
    client.patch(PATH, json={"calibration": None}).raise_for_status()
    body: dict[str, Any] = {"questions": questions, "apply": True}
    assert client.post(f"{PATH}/calibrate", json=body).json()["applied"]
    assert client.get(PATH).json()["calibration"]["rerank"] is None
    assert not client.post(f"{PATH}/calibrate", json=body).json()["applied"]
    body["rerank"] = {"depth": DEPTH}
    again = client.post(f"{PATH}/calibrate", json=body).json()
    assert again["applied"], again["reason"]
    assert client.get(PATH).json()["calibration"]["rerank"]["weight"] == again["rerank"]["weight"]
    assert not client.post(f"{PATH}/calibrate", json=body).json()["applied"], "the same labels gain nothing more"


@pytest.mark.thorough
def test_a_reranker_that_says_nothing_of_the_labels_gets_no_weight(
    client: httpx.Client, questions: list[dict[str, Any]]
) -> None:
    nearest = [
        {"query": q["query"], "id": attend(client, q["query"])["matches"][0]["id"] if i % 3 else None}
        for i, q in enumerate(questions)
    ]
    body = {"questions": nearest, "rerank": {"depth": DEPTH}}
    answer = client.post(f"{PATH}/calibrate", json=body).json()
    assert answer["rerank"]["weight"] == 0
    assert answer["reranked"] is None
    assert answer["after_reranked"] is None


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"rerank": {"model": "none"}}, "/rerank/model", "rerankers of this service are pairs, second"),
        ({"rerank": {"depth": 1000}}, "/rerank/depth", "120 questions of depth 1000 came"),
        ({"rerank": {"weight": 1}}, "/rerank/weight", ""),
        ({"rerank": {}, "from": "self", "questions": None}, "/rerank", "questions of people"),
    ],
)
def test_refusals(
    client: httpx.Client, questions: list[dict[str, Any]], changes: dict[str, Any], pointer: str, told: str
) -> None:
    body = {key: value for key, value in ({"questions": questions} | changes).items() if value is not None}
    answer = client.post(f"{PATH}/calibrate", json=body)
    assert answer.status_code == 422, answer.text
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == pointer
    assert told in flaw["detail"]


def test_a_vector_among_the_questions_is_refused(client: httpx.Client, questions: list[dict[str, Any]]) -> None:
    body = {"questions": [{"query": [0.1] * 384, "id": None}, *questions], "rerank": {}}
    (flaw,) = client.post(f"{PATH}/calibrate", json=body).json()["errors"]
    assert flaw["pointer"] == "/questions/0/query"
    assert "a reranker reads texts" in flaw["detail"]


@pytest.mark.thorough
def test_a_refit_to_feedback_keeps_the_reranker(
    client: httpx.Client, questions: list[dict[str, Any]], reranker: Reranker
) -> None:
    client.patch(PATH, json={"calibration": None}).raise_for_status()
    rerank = {"model": "pairs", "depth": DEPTH}
    body = {"questions": questions, "rerank": rerank, "apply": True}
    assert client.post(f"{PATH}/calibrate", json=body).json()["applied"]
    judgements = [question | {"right": True} for question in questions]
    vector = {"query": [0.1] * 384, "id": None, "right": True}
    client.post(f"{PATH}/feedback", json={"feedback": [vector, *judgements]}).raise_for_status()
    until(lambda: client.get(PATH).json()["calibration"]["refit"]["tried"] is not None)
    calibration = client.get(PATH).json()["calibration"]
    assert calibration["rerank"]["weight"] > 0
    assert calibration["refit"]["gained"] is not None, calibration["refit"]["reason"]
    from_feedback = client.post(f"{PATH}/calibrate", json={"from": "feedback", "rerank": rerank}).json()
    assert from_feedback["labels"] == {"present": 60, "absent": 60}
    assert from_feedback["rerank"] == calibration["rerank"]
