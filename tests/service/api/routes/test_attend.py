"""The soft lookup over HTTP, against a float64 computation on the stored vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.oracle import similarities
from tests.thorough import crossed

RNG = np.random.default_rng(7)
D, D_V, N = 5, 3, 23
KEYS = RNG.normal(size=(N, D)).astype(np.float32)
VALUES = RNG.normal(size=(N, D_V)).astype(np.float32)
QUERY = RNG.normal(size=D).astype(np.float32)


def fill(client, path, keys=KEYS, values=VALUES):
    documents = [
        {
            "id": f"d{i:02}",
            "key_vector": k.tolist(),
            "value_vector": v.tolist(),
            "metadata": {"i": i},
            "value": i,
        }
        for i, (k, v) in enumerate(zip(keys, values, strict=True))
    ]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    return path


@crossed(
    {
        "similarity": ["cosine", "dot", "scaled_dot", "gaussian"],
        "temperature": [1e-30, 1e-3, 0.05, 1, 1e6],
        "null": [False, -0.3, 0.9],
    }
)
def test_an_answer_is_the_softmax_over_every_document(client, collection, similarity, temperature, null):
    path = fill(client, collection(encoder=None, similarity=similarity))
    body = {
        "query": QUERY.tolist(),
        "temperature": temperature,
        "null": null,
        "top_k": 7,
        "include": ["output", "value"],
    }
    answer = client.post(f"{path}/attend", json=body).json()

    s = similarities(similarity, QUERY, KEYS)
    everything = s if null is False else np.append(s, null)
    logits = (everything - everything.max()) / temperature
    weights = np.exp(logits) / np.exp(logits).sum()
    documents = weights[:N]
    order = np.argsort(-s)[:7]
    assert [match["id"] for match in answer["matches"]] == [f"d{i:02}" for i in order]
    assert [match["value"] for match in answer["matches"]] == order.tolist()
    np.testing.assert_allclose([m["similarity"] for m in answer["matches"]], s[order], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose([m["weight"] for m in answer["matches"]], documents[order], atol=1e-6)
    np.testing.assert_allclose(answer["output"], documents @ VALUES, atol=1e-6)
    evidence = answer["evidence"]
    assert evidence["null_weight"] == pytest.approx(0 if null is False else weights[-1], abs=1e-6)
    assert sum(m["weight"] for m in answer["matches"]) + answer["rest_weight"] + evidence[
        "null_weight"
    ] == pytest.approx(1, abs=1e-9)
    stands = "none" if null is not False and weights[-1] >= 0.5 else "one" if documents.max() > 0.5 else "several"
    assert (evidence["verdict"], evidence["verdict_certain"]) == (stands, True)
    share = documents[documents > 0] / documents.sum() if documents.sum() > 0 else np.ones(1)
    entropy = -(share * np.log(share)).sum()
    if documents.sum() > 1e-300:
        assert evidence["effective_documents"] == pytest.approx(math.exp(entropy), rel=1e-6)
    log_partition = everything.max() / temperature + math.log(np.exp(logits).sum())
    assert evidence["log_partition"] == pytest.approx(log_partition, rel=1e-9)
    assert answer["documents"] == N
    assert answer["temperature"] == temperature


def test_temperature_zero_is_the_argmax_and_ties_share(client, collection):
    keys = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32)
    path = fill(client, collection(encoder=None), keys, np.eye(4, D_V, dtype=np.float32))
    answer = client.post(f"{path}/attend", json={"query": [2, 0.1], "temperature": 0, "include": ["output"]}).json()
    assert [(m["id"], m["weight"]) for m in answer["matches"]] == [
        ("d00", pytest.approx(1 / 3)),
        ("d01", pytest.approx(1 / 3)),
        ("d03", pytest.approx(1 / 3)),
        ("d02", 0),
    ]
    np.testing.assert_allclose(answer["output"], [1 / 3, 1 / 3, 0], atol=1e-12)
    assert answer["matches"][3]["logit"] is None


@pytest.mark.parametrize("target", [1.5, 4, 8, 11])
def test_auto_temperature_reaches_its_effective_documents(client, collection, target):
    path = fill(client, collection(encoder=None))
    body = {"query": QUERY.tolist(), "temperature": "auto", "effective_documents": target}
    answer = client.post(f"{path}/attend", json=body).json()
    assert answer["evidence"]["effective_documents"] == pytest.approx(target, rel=0.01)
    again = client.post(f"{path}/attend", json={"query": QUERY.tolist(), "temperature": answer["temperature"]}).json()
    assert again["matches"] == answer["matches"]


def test_an_empty_collection_answers_that_it_knows_nothing(client, collection):
    answer = client.post(f"{collection()}/attend", json={"query": "anything"}).json()
    assert answer["matches"] == []
    assert answer["evidence"]["verdict"] == "none"
    assert answer["evidence"]["null_weight"] == 1


def test_text_is_found_by_meaning_and_nonsense_is_not_answered(client, collection):
    books = {
        "db": "storing data in tables, relations and SQL",
        "cats": "the behaviour of house cats",
        "bread": "baking bread at home",
    }
    path = collection([{"id": i, "key": key} for i, key in books.items()])
    answer = client.post(f"{path}/attend", json={"query": "why does my pet purr?"}).json()
    assert answer["matches"][0]["id"] == "cats"
    assert answer["evidence"]["verdict"] == "one"
    nothing = client.post(f"{path}/attend", json={"query": "quarterly tax filing in Peru"}).json()
    assert nothing["evidence"]["verdict"] == "none"
    assert nothing["evidence"]["null_weight"] > 0.5


def test_coverage_is_returned_on_request(client, collection):
    path = fill(client, collection(encoder=None))
    plain, with_coverage = (
        client.post(f"{path}/attend", json={"queries": [QUERY.tolist()] * 2, **more}).json()["results"]
        for more in ({}, {"allow_missing": True, "filter": {"field": "metadata.i", "operator": "<", "value": 6}})
    )
    assert all("coverage" not in answer for answer in plain)
    whole = {"documents": plain[0]["documents"], "total": plain[0]["documents"], "max_missing_weight": 0.0}
    assert [answer["coverage"] for answer in with_coverage] == [whole] * 2
    assert with_coverage[0]["documents"] < whole["documents"]
    refused = client.post(f"{path}/attend", json={"query": QUERY.tolist(), "allow_missing": "yes"})
    assert refused.json()["errors"][0]["pointer"] == "/allow_missing"
