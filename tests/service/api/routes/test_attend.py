"""The soft lookup over HTTP, against a float64 computation on the stored vectors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracle import similarities, weights

RNG = np.random.default_rng(7)
D, D_V, N = 5, 3, 23
KEYS = RNG.normal(size=(N, D)).astype(np.float32)
VALUES = RNG.normal(size=(N, D_V)).astype(np.float32)
QUERY = RNG.normal(size=D).astype(np.float32)


def test_an_answer_is_the_softmax_over_every_document(client, collection):
    documents = [
        {"id": f"d{i:02}", "key_vector": k.tolist(), "value_vector": v.tolist(), "value": i}
        for i, (k, v) in enumerate(zip(KEYS, VALUES, strict=True))
    ]
    path = collection(documents, encoder=None, similarity="cosine")
    body = {"query": QUERY.tolist(), "temperature": 0.3, "null": 0.2, "top_k": 7, "include": ["output", "value"]}
    answer = client.post(f"{path}/attend", json=body).json()
    levels = similarities("cosine", QUERY, KEYS)
    expected, null_weight = np.split(weights(np.append(levels, 0.2), 0.3)[0], [N])
    order = np.argsort(-levels)[:7]
    assert [match["id"] for match in answer["matches"]] == [f"d{i:02}" for i in order]
    assert [match["value"] for match in answer["matches"]] == order.tolist()
    np.testing.assert_allclose([match["similarity"] for match in answer["matches"]], levels[order], rtol=1e-12)
    np.testing.assert_allclose([match["weight"] for match in answer["matches"]], expected[order], atol=1e-6)
    np.testing.assert_allclose(answer["output"], expected @ VALUES, atol=1e-6)
    assert answer["evidence"]["null_weight"] == pytest.approx(null_weight[0], abs=1e-6)
    assert answer["rest_weight"] == pytest.approx(expected.sum() - expected[order].sum(), abs=1e-6)
    assert (answer["documents"], answer["temperature"]) == (N, 0.3)


def test_text_is_found_by_meaning_and_nonsense_is_not_answered(client, collection):
    books = {
        "db": "storing data in tables, relations and SQL",
        "cats": "the behaviour of house cats",
        "bread": "baking bread at home",
    }
    path = collection([{"id": i, "key": key} for i, key in books.items()])
    answer = client.post(f"{path}/attend", json={"query": "why does my pet purr?"}).json()
    assert (answer["matches"][0]["id"], answer["evidence"]["verdict"]) == ("cats", "one")
    nothing = client.post(f"{path}/attend", json={"query": "quarterly tax filing in Peru"}).json()
    assert nothing["evidence"]["verdict"] == "none"
    assert nothing["evidence"]["null_weight"] > 0.5


def test_coverage_is_returned_on_request(client, collection):
    path = collection([{"id": f"{i}", "key_vector": [1, i], "metadata": {"i": i}} for i in range(9)], encoder=None)
    few = {"field": "metadata.i", "operator": "<", "value": 6}
    body = {"queries": [[1, 1], [1, 2]], "filter": few}
    for answer in client.post(f"{path}/attend", json=body | {"allow_missing": True}).json()["results"]:
        assert answer["coverage"] == {"documents": 9, "total": 9, "max_missing_weight": 0.0}
        assert answer["documents"] == 6
    assert all("coverage" not in answer for answer in client.post(f"{path}/attend", json=body).json()["results"])
