"""Stateless attention over HTTP, against the core and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attention import attend
from attention.heads import Heads
from tests.thorough import crossed

RNG = np.random.default_rng(11)
QUERY, KEY, VALUE = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5)), RNG.normal(size=(2, 7, 4))
ASKED = {"query": QUERY.tolist(), "key": KEY.tolist(), "value": VALUE.tolist()}


def post(client, **body):
    answer = client.post("/v1/attend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def as_json(array):
    """Convert infinities to null, as on the wire."""
    return [as_json(a) for a in array] if array.ndim else (None if not np.isfinite(array) else float(array))


@crossed(
    {
        "normaliser": ["softmax", "sparsemax", "entmax15", "one_hot"],
        "similarity": ["cosine", "dot", "scaled_dot", "gaussian"],
        "null": [None, 0.2],
    }
)
def test_attend_over_http_matches_the_core(client, normaliser, similarity, null):
    mask = RNG.random((2, 3, 7)) < 0.7
    options = {"similarity": similarity, "normaliser": normaliser, "null": null, "temperature": 0.7}
    got = post(client, **ASKED, mask=mask.tolist(), **options)
    want = attend(QUERY, KEY, VALUE, mask=mask, **options)
    np.testing.assert_allclose(got["output"], want.output, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got["weights"], want.weights, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got["null_weight"], want.null_weight, rtol=1e-12, atol=1e-14)
    assert got["logits"] == as_json(want.logits)
    assert (got["log_partition"] is None) == (normaliser != "softmax")


def test_the_defaults_are_scaled_dot_at_one(client):
    np.testing.assert_allclose(post(client, **ASKED)["output"], attend(QUERY, KEY, VALUE).output, rtol=1e-12)


def test_intermediates_follow_the_formula(client):
    steps = post(client, **ASKED, temperature=0.5, intermediates=True)
    way = {name: np.array(array) for name, array in steps["intermediates"].items()}
    np.testing.assert_allclose(way["similarities"], QUERY @ KEY.swapaxes(1, 2) / np.sqrt(5), rtol=1e-12)
    np.testing.assert_allclose(way["logits"], way["similarities"] / 0.5, rtol=1e-12)
    np.testing.assert_allclose(way["weights"].sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(steps["output"], way["weights"] @ way["value"], rtol=1e-12)


def test_similarities_with_parameters(client):
    W = RNG.normal(size=(5, 5))
    bilinear = post(client, **ASKED, similarity="bilinear", parameters={"W": W.tolist()}, intermediates=True)
    similarities = bilinear["intermediates"]["similarities"]
    np.testing.assert_allclose(similarities, QUERY @ W @ KEY.swapaxes(1, 2), rtol=1e-10)
    W_q, W_k, v = RNG.normal(size=(6, 5)), RNG.normal(size=(6, 5)), RNG.normal(size=6)
    parameters = {"W_q": W_q.tolist(), "W_k": W_k.tolist(), "v": v.tolist()}
    additive = post(client, **ASKED, similarity="additive", parameters=parameters, intermediates=True)
    hidden = np.tanh((QUERY @ W_q.T)[:, :, None] + (KEY @ W_k.T)[:, None])
    np.testing.assert_allclose(additive["intermediates"]["similarities"], hidden @ v, rtol=1e-10)


def test_projections_and_heads(client):
    x = RNG.normal(size=(4, 6))
    matrices = {name: RNG.normal(size=(6, 6)) for name in ("W_Q", "W_K", "W_V", "W_O")}
    sent = {name: matrix.tolist() for name, matrix in matrices.items()}
    body = {"query": x.tolist(), "key": x.tolist(), "value": x.tolist(), "intermediates": True}
    got = post(client, **body, projections={**sent, "n_heads": 2})
    want = Heads(**matrices, n_heads=2).steps(x, x, x)
    np.testing.assert_allclose(got["output"], want.output, rtol=1e-10)
    np.testing.assert_allclose(got["intermediates"]["query"], want.query, rtol=1e-10)
    np.testing.assert_allclose(
        np.array(got["intermediates"]["concatenated"]) @ matrices["W_O"], got["output"], rtol=1e-10
    )


def test_hopfield_steps_clean_up_a_noisy_pattern_and_the_energy_falls(client):
    patterns = np.sign(RNG.normal(size=(5, 32)))
    noisy = patterns[2] * np.where(np.arange(32) < 6, -1, 1)
    body = {"query": [noisy.tolist()], "key": patterns.tolist(), "value": patterns.tolist()}
    got = post(client, **body, similarity="dot", temperature=2, hopfield_steps=3, intermediates=True)
    np.testing.assert_allclose(got["output"][0], patterns[2], atol=1e-3)
    energies = np.array(got["intermediates"]["energies"])[:, 0]
    assert len(energies) == 4
    assert (np.diff(energies) <= 1e-9).all()


def test_masked_rows_come_back_as_zeros_and_nulls(client):
    got = post(client, query=[[1, 0]], key=[[1, 0]], value=[[5]], mask=[[False]])
    assert (got["output"], got["weights"], got["logits"], got["log_partition"]) == ([[0]], [[0]], [[None]], [None])


def test_matrices_are_returned_on_request(client):
    whole = post(client, **ASKED)
    for include in ([], ["weights"], ["logits"], ["logits", "weights"]):
        got = post(client, **ASKED, include=include)
        assert got == {name: array for name, array in whole.items() if name not in {"weights", "logits"} - set(include)}


def test_base64_answers_carry_their_shape(client):
    assert post(client, **ASKED, vector_format="base64")["output"]["shape"] == [2, 3, 4]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"query": [1, 2]}, 422, "/query"),
        ({"query": [[1, 2], [3]]}, 422, "/query"),
        ({"query": [[True]]}, 422, "/query"),
        ({"query": []}, 422, "/query"),
        ({"key": [[[1.0]] * 7] * 2}, 422, ""),
        ({"value": [[[1.0]] * 6] * 2}, 422, ""),
        ({"mask": [[1]]}, 422, "/mask"),
        ({"mask": [[True] * 6]}, 422, ""),
        ({"normaliser": "x"}, 422, "/normaliser"),
        ({"include": ["output"]}, 422, "/include/0"),
        ({"hopfield_steps": 101}, 422, "/hopfield_steps"),
        ({"temperature": 1e-40}, 422, "/temperature"),
        ({"query": [[[0.0]] * 1] * 3}, 422, ""),
        ({"query": [[0.0]] * 3000, "key": [[0.0]] * 3000, "value": [[0.0]] * 3000}, 413, None),
    ],
)
def test_mismatched_arrays_are_refused_with_a_pointer(client, change, status, pointer):
    answer = client.post("/v1/attend", json={**ASKED, **change})
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
