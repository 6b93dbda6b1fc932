"""top_p, the normalisers, max_error and the defaults of `attend` over HTTP."""

from __future__ import annotations

import numpy as np
import pytest

from attention import attend
from tests.service.api.routes.test_attend import KEYS, QUERY, VALUES, D, N, fill
from tests.thorough import crossed


@pytest.fixture(scope="module")
def path(client):
    path = "/v1/collections/options"
    client.put(path, json={"encoder": None, "similarity": "dot"})
    yield fill(client, path)
    client.delete(path)


@crossed(
    {
        "normaliser": ["softmax", "sparsemax", "entmax15", "one_hot"],
        "null": [False, 0.5],
        "temperature": [0, 0.3, 2],
    }
)
def test_every_normaliser_is_the_cores(client, path, normaliser, null, temperature):
    options = {"normaliser": normaliser, "temperature": temperature}
    body = {"query": QUERY.tolist(), "null": null, "top_k": N, "include": ["output"], **options}
    answer = client.post(f"{path}/attend", json=body).json()
    query, key, value = (array.astype(np.float64) for array in (QUERY[None], KEYS, VALUES))
    want = attend(query, key, value, similarity="dot", null=None if null is False else null, **options)
    got = {match["id"]: match["weight"] for match in answer["matches"]}
    np.testing.assert_allclose([got[f"d{i:02}"] for i in range(N)], want.weights[0], atol=1e-9)
    np.testing.assert_allclose(answer["output"], want.output[0], atol=1e-9)
    assert answer["evidence"]["null_weight"] == pytest.approx(float(want.null_weight[0]), abs=1e-9)


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 1])
def test_top_p_is_the_smallest_set_that_holds_the_share(client, path, top_p):
    body = {"query": QUERY.tolist(), "temperature": 1, "null": 0.5, "top_p": top_p}
    answer = client.post(f"{path}/attend", json=body).json()
    documents = 1 - answer["evidence"]["null_weight"]
    weights = [match["weight"] for match in answer["matches"]]
    assert answer["complete"] is True
    assert sum(weights) >= top_p * documents - 1e-9
    assert sum(weights[:-1]) < top_p * documents
    assert sum(weights) + answer["rest_weight"] + answer["evidence"]["null_weight"] == pytest.approx(1)


def test_top_k_stays_the_cap_of_top_p(client, path):
    body = {"query": QUERY.tolist(), "temperature": 10, "top_p": 0.99, "top_k": 3}
    answer = client.post(f"{path}/attend", json=body).json()
    assert len(answer["matches"]) == 3
    assert answer["complete"] is False


def test_max_error_bounds_the_certificate(client, path):
    body = {"query": QUERY.tolist(), "temperature": 1, "max_error": 1e-6, "include": ["output"]}
    certificate = client.post(f"{path}/attend", json=body).json()["certificate"]
    assert 0 < certificate["total_variation"] <= 1e-6
    assert certificate["output_error"] <= 1e-6 * np.linalg.norm(VALUES, axis=1).max()


@pytest.mark.parametrize("include", [[], ["explanation"], ["output"], ["key_vector"]])
def test_include_changes_neither_the_matches_nor_their_numbers(client, path, include):
    tied = client.post(f"{path}/attend", json={"query": [0.0] * D, "top_k": 5}).json()["matches"]
    assert len(tied) == 5
    body = {"query": [0.0] * D, "top_k": 5, "include": include}
    matches = client.post(f"{path}/attend", json=body).json()["matches"]
    numbers = ("id", "similarity", "logit", "weight")
    assert [{name: match[name] for name in numbers} for match in matches] == [
        {name: match[name] for name in numbers} for match in tied
    ]
    assert {*matches[0]} - {*numbers} == {*include} - {"output"}
