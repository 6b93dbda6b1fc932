"""A reranker's weight is fitted with a calibration, with a null key and confidences for questions that have it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.encoding import Reranker, write_pair
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

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


def confidence(curve: dict[str, float], logits: np.ndarray, null: float, score: float) -> float:
    """Return the confidence of the best document in float64, from all logits, that of the null key and its score."""
    partition = np.logaddexp.reduce(logits)
    share = float(np.exp(logits.max() - partition))
    x, z = math.log(share / (1 - share)), float(partition - null)
    slope = curve["slope_above"] if x > 0 else curve["slope"]
    lead = curve["lead_slope_above"] if z > 0 else curve["lead_slope"]
    return min(curve["most"], sigmoid(slope * x + lead * z + curve["score_slope"] * score + curve["offset"]))


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
        first, score = answer["matches"][0]["confidence"], addends.get(answer["matches"][0]["id"], 0.0)
        assert first == pytest.approx(confidence(fitted["reranked"]["confidence"], logits, null, score), abs=1e-5)
        none = answer["evidence"]["null_weight"] >= fitted["reranked"]["none_from"]
        assert (answer["evidence"]["verdict"] == "none") == none
        assert "addends of the reranker" in answer["reason"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rerank": {"depth": DEPTH, "weight": 0.9}}, f"'pairs' with depth {DEPTH} and weight 0.9, not 'pairs'"),
        ({"rerank": {"depth": DEPTH + 1}}, f"depth {DEPTH + 1} and weight 1.0, not"),
        ({"rerank": {"depth": DEPTH, "model": "second"}}, "the reranker is 'second'"),
        ({"rerank": {"depth": DEPTH}, "full_text": 0.1}, "a full_text is added beside a reranker"),
    ],
    ids=["weight", "depth", "model", "words"],
)
def test_a_question_with_another_reranker_has_no_confidence_and_the_reason_why(
    client: httpx.Client, fitted: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    answer = attend(client, QUESTIONS[0], **options)
    assert "confidence" not in answer["matches"][0]
    assert told in answer["reason"]
    refused = client.post(f"{PATH}/attend", json={"query": QUESTIONS[0], "min_confidence": 0.5} | options)
    assert refused.status_code == 422
    (flaw,) = refused.json()["errors"]
    assert flaw["pointer"] == "/min_confidence"
    assert told in flaw["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"rerank": {"model": "none"}}, "/rerank/model", "rerankers of this service are pairs, second"),
        ({"rerank": {"depth": 1000}}, "/rerank/depth", "120 questions of depth 1000 came"),
        ({"rerank": {"weight": 1}}, "/rerank/weight", ""),
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


def test_a_vector_among_the_questions_of_a_reranker_is_refused(
    client: httpx.Client, questions: list[dict[str, Any]]
) -> None:
    vector = {"query": [0.1] * 384, "id": None}
    answer = client.post(f"{PATH}/calibrate", json={"questions": [*questions, vector], "rerank": {}})
    assert answer.status_code == 422, answer.text
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == f"/questions/{len(questions)}/query"
    assert "a reranker reads texts, got a vector" in flaw["detail"]
