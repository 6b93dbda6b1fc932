"""Defaults of a collection, which its questions have unless they send their own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.service.api.routes.test_calibrate import N, labelled, vectors

EVEN = {"field": "metadata.even", "operator": "==", "value": True}
SMALL = {"field": "metadata.i", "operator": "<", "value": 4}
BIAS = {"field": "metadata.i", "factor": 1}
QUERY = [1.0, 0.0]


def numbered(client: httpx.Client, path: str, defaults: Any = None) -> str:
    """Write eight documents, with vectors if no encoder makes them, and set the defaults."""
    encoded = client.get(path).json()["encoder"] is not None
    documents = [
        {
            "id": f"d{i}",
            "key": f"note {'cat' if i == 5 else 'dog'}",
            **({} if encoded else {"key_vector": [1 + i / 8, 0.0]}),
            "value": i,
            "metadata": {"i": i, "even": i % 2 == 0},
        }
        for i in range(8)
    ]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    if defaults is not None:
        assert client.patch(path, json={"defaults": defaults}).json()["defaults"] == defaults
    return path


@pytest.fixture
def ask(client: httpx.Client, collection: Any) -> Any:
    path = numbered(client, collection(encoder=None, similarity="dot", temperature=1))

    def attend(defaults: Any, **body: Any) -> Any:
        assert client.patch(path, json={"defaults": defaults}).status_code == 200
        answer = client.post(f"{path}/attend", json={"query": QUERY, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return attend


def ids(answer: Any) -> list[str]:
    return sorted(match["id"] for match in answer["matches"])


def without_time(answer: Any) -> Any:
    return {name: field for name, field in answer.items() if name not in ("took_ms", "applied")}


@pytest.mark.parametrize(
    "defaults",
    [
        {"filter": EVEN},
        {"bias": BIAS},
        {"bias": [BIAS, {"filter": EVEN, "addend": 2}]},
        {"top_k": 3},
        {"include": ["metadata", "explanation", "output"]},
        {"filter": SMALL, "bias": BIAS, "top_k": 2, "include": []},
    ],
)
def test_a_default_is_as_if_the_question_had_sent_it(ask, defaults):
    sent = ask(None, **defaults)
    assert "applied" not in sent
    by_default = ask(defaults)
    assert by_default["applied"] == defaults
    assert without_time(by_default) == without_time(sent)
    none = ask(defaults, **dict.fromkeys(defaults))
    assert without_time(none) == without_time(ask(None))
    assert "applied" not in none


def test_an_option_of_the_question_wins_and_filters_are_joined(ask):
    defaults = {"filter": EVEN, "top_k": 1, "include": ["value"], "bias": BIAS}
    answer = ask(defaults, filter=SMALL, top_k=5, include=["metadata"], bias={**BIAS, "factor": -1})
    assert answer["applied"] == {"filter": EVEN}
    assert ids(answer) == ["d0", "d2"]
    assert "value" not in answer["matches"][0]
    assert answer["matches"][0]["id"] == "d0"


@pytest.mark.parametrize(
    ("own", "applied"),
    [
        ({"temperature": "auto", "effective_documents": 2}, {"filter": EVEN, "top_k": 2}),
        ({"normaliser": "sparsemax"}, {"filter": EVEN, "top_k": 2}),
        ({"top_p": 1}, {"filter": EVEN, "bias": BIAS}),
        ({}, {"filter": EVEN, "bias": BIAS, "top_k": 2}),
    ],
)
def test_a_default_that_the_question_rules_out_has_no_effect(ask, own, applied):
    answer = ask({"filter": EVEN, "bias": BIAS, "full_text": 2, "top_k": 2}, **own)
    assert answer["applied"] == applied
    assert without_time(answer) == without_time(ask(None, **{**applied, **own}))


def test_words_count_for_texts_and_not_for_vectors(client, collection):
    path = numbered(client, collection(), {"full_text": 3, "top_k": 2})
    by_text = client.post(f"{path}/attend", json={"query": "cat"}).json()
    assert (by_text["applied"], by_text["full_text"]["documents"]) == ({"full_text": 3, "top_k": 2}, 1)
    vector = client.post("/v1/encode", json={"texts": ["cat"]}).json()["embeddings"][0]
    mixed = client.post(f"{path}/attend", json={"queries": ["cat", vector]}).json()
    assert mixed["applied"] == {"top_k": 2}
    assert all("full_text" not in result for result in mixed["results"])


def test_several_queries_and_a_sweep_have_them(client, collection):
    defaults = {"filter": EVEN, "top_k": 2, "bias": BIAS, "include": ["value", "output"]}
    path = numbered(client, collection(encoder=None, similarity="dot", temperature=1), defaults)
    several = client.post(f"{path}/attend", json={"queries": [QUERY, QUERY]}).json()
    assert several["applied"] == defaults
    assert [ids(result) for result in several["results"]] == [["d4", "d6"]] * 2
    body = {"query": QUERY, "temperatures": [0.5, 1]}
    swept = client.post(f"{path}/sweep", json=body).json()
    assert swept["applied"] == defaults
    assert ids(swept) == ["d4", "d6"]
    assert swept["matches"][0].keys() == {"id", "similarity", "value"}
    bare = client.post(f"{path}/sweep", json=body | dict.fromkeys(defaults)).json()
    assert len(bare["matches"]) == 8
    assert "applied" not in bare


def test_a_comparison_has_the_filter_and_the_number_of_matches(client, collection):
    path = numbered(client, collection(), {"filter": EVEN, "top_k": 2, "bias": BIAS})
    compared = client.post(f"{path}/compare", json={"query": "note dog"}).json()
    assert compared["applied"] == {"filter": EVEN, "top_k": 2}
    assert [len(compared["full_text"]["rows"]), len(compared["attention"]["matches"])] == [2, 2]
    assert compared["attention"]["documents"] == 4
    bare = client.post(f"{path}/compare", json={"query": "note dog", "filter": None, "top_k": None}).json()
    assert (bare["attention"]["documents"], len(bare["attention"]["matches"])) == (8, 8)


def test_they_are_set_confirmed_changed_and_removed(client, collection):
    defaults = {"filter": EVEN, "top_k": 5}
    path = collection(encoder=None, defaults=defaults)
    assert client.get(path).json()["defaults"] == defaults
    assert client.put(path, json={"defaults": {"top_k": 5, "filter": {**EVEN}}}).status_code == 200
    assert client.put(path, json={}).status_code == 200
    assert client.put(path, json={"defaults": {"top_k": 6}}).json()["code"] == "collection_conflict"
    assert client.put(path, json={"defaults": {}}).json()["code"] == "collection_conflict"
    assert client.patch(path, json={"temperature": 2}).json()["defaults"] == defaults
    assert client.patch(path, json={"defaults": {"include": ["key"]}}).json()["defaults"] == {"include": ["key"]}
    assert client.patch(path, json={"defaults": {}}).json()["defaults"] is None
    client.patch(path, json={"defaults": defaults})
    assert client.patch(path, json={"defaults": None}).json()["defaults"] is None


def test_a_filter_too_large_beside_the_default_names_the_default(client, collection):
    many = {"field": "metadata.i", "operator": "in", "value": list(range(3000))}
    path = numbered(client, collection(encoder=None, similarity="dot"), {"filter": many})
    refused = client.post(f"{path}/attend", json={"query": QUERY, "filter": many})
    assert refused.status_code == 422
    (flaw,) = refused.json()["errors"]
    assert flaw["pointer"] == "/filter"
    assert "default filter" in flaw["detail"]
    wrong = client.post(f"{path}/attend", json={"query": QUERY, "filter": {**EVEN, "field": "i"}})
    assert wrong.json()["errors"][0]["pointer"] == "/filter/field"


def test_a_default_does_not_carry_the_confidence_of_another_question(client, collection):
    documents = [
        {"id": f"{i}", "key_vector": key.tolist(), "metadata": {"i": i}} for i, key in enumerate(vectors(N, 0))
    ]
    path = collection(documents, encoder=None, null=0.3)
    assert client.post(f"{path}/calibrate", json={"questions": labelled(240), "apply": True}).json()["applied"]
    query = {"query": documents[0]["key_vector"]}
    assert "confidence" in client.post(f"{path}/attend", json=query).json()["matches"][0]
    for defaults in ({"filter": SMALL}, {"bias": BIAS}):
        (name,) = defaults
        client.patch(path, json={"defaults": defaults})
        assert "confidence" not in client.post(f"{path}/attend", json=query).json()["matches"][0]
        assert "confidence" in client.post(f"{path}/attend", json=query | {name: None}).json()["matches"][0]
        refused = client.post(f"{path}/attend", json=query | {"min_confidence": 0.5}).json()
        assert f'the collection\'s default {name} (without it: "{name}": null)' in refused["detail"]
    # The weight of a calibration lasts no longer than the calibration.
    client.patch(path, json={"defaults": {"full_text": "auto", "top_k": 1}, "calibration": None})
    assert client.post(f"{path}/attend", json=query).json()["applied"] == {"top_k": 1}
