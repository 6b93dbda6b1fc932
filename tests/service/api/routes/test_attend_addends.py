"""Words and biases over HTTP: texts of a real encoder, against a softmax written out here."""

from __future__ import annotations

import math

import pytest

from tests.service.storage.test_storage_ranks import bm25

TEXTS = [
    "a cat that purrs",
    "the dog barks at the cat",
    "stars and planets",
    "the planets circle the sun",
    "bread and butter",
    "the cat and the planets",
    "",
]
DOCUMENTS = [
    {"id": f"t{i}", "key": text, "metadata": {"year": 1960 + 10 * i, "shelf": "odd" if i % 2 else "even"}}
    for i, text in enumerate(TEXTS)
]
QUERY, WORDS = "the cat of planets", ["the", "cat", "of", "planets"]
BIAS = [{"field": "metadata.year", "half_life": 30}, {"field": "metadata.shelf", "weights": {"odd": 0.5}}]
EXPLAINED = {"top_k": 100, "include": ["explanation"]}


@pytest.fixture(scope="module")
def path(client):
    path = "/v1/collections/addends"
    client.put(path, json={})
    client.post(f"{path}/documents", json={"documents": [*DOCUMENTS, {"id": "gone", "key": "the cat cat cat"}]})
    client.post(f"{path}/documents/delete", json={"ids": ["gone"]})
    yield path
    client.delete(path)


def asked(client, path, **options):
    answer = client.post(f"{path}/attend", json={"query": QUERY, **EXPLAINED, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("document_filter", [None, {"field": "metadata.year", "operator": "<", "value": 2000}])
@pytest.mark.parametrize(("full_text", "bias"), [(0.5, None), (None, BIAS), (0.1, BIAS), (2, BIAS[0])])
def test_addends_enter_the_softmax(client, path, full_text, bias, document_filter):
    options = {"filter": document_filter} if document_filter else {}
    plain = asked(client, path, **options)
    added_terms = {name: term for name, term in {"full_text": full_text, "bias": bias}.items() if term is not None}
    result = asked(client, path, **options, **added_terms)
    ranks = bm25(dict(enumerate(TEXTS)), WORDS)
    terms = bias if isinstance(bias, list) else [bias]
    logits = {}
    for match in plain["matches"]:
        i = int(match["id"][1:])
        logits[match["id"]] = match["logit"] + (full_text or 0) * ranks.get(i, 0.0)
        logits[match["id"]] -= math.log(2) * (len(TEXTS) - 1 - i) * 10 / 30 if BIAS[0] in terms else 0
        logits[match["id"]] += 0.5 * (i % 2) if BIAS[1] in terms else 0
    null = result["evidence"]["null_similarity"] / result["temperature"]
    total = sum(math.exp(logit) for logit in [*logits.values(), null])
    weights = {identity: math.exp(logit) / total for identity, logit in logits.items()}
    assert {match["id"]: match["weight"] for match in result["matches"]} == pytest.approx(weights, abs=1e-6)
    assert result["evidence"]["null_weight"] == pytest.approx(math.exp(null) / total, abs=1e-6)
    assert result["evidence"]["log_partition"] == pytest.approx(math.log(total), abs=1e-9)
    for match in result["matches"]:
        explanation = match["explanation"]
        added = sum(line["addend"] for line in explanation["addends"])
        assert explanation["similarity"] / explanation["temperature"] + added == pytest.approx(
            explanation["logit"], abs=1e-9
        )
        assert explanation["logit"] - explanation["log_partition"] == pytest.approx(explanation["log_weight"], abs=1e-9)
    if full_text:
        holding = sum(i in ranks for i in (int(match["id"][1:]) for match in result["matches"]))
        assert result["full_text"] == {"weight": full_text, "ranking": "bm25", "documents": holding}


def test_addends_are_returned_only_if_requested(client, path):
    plain = asked(client, path)
    assert asked(client, path, full_text=0, bias=[]) | {"took_ms": 0} == plain | {"took_ms": 0}
    assert "full_text" not in plain
    assert "addends" not in plain["matches"][0]["explanation"]
    assert "full_text" not in asked(client, path, bias=BIAS)
