"""Stateless attention over HTTP, against the core."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention import attend
from softkv_attention.heads import Heads

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


@pytest.mark.parametrize(
    "options", [{}, {"similarity": "cosine", "normaliser": "entmax15", "null": 0.2, "temperature": 0.7}], ids=str
)
def test_attend_over_http_matches_the_core(client, options):
    mask = RNG.random((2, 3, 7)) < 0.7
    sent = ASKED | {"mask": mask.tolist()} | options
    got, want = post(client, **sent), attend(QUERY, KEY, VALUE, mask=mask, **options)
    np.testing.assert_allclose(got["output"], want.output, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got["weights"], want.weights, rtol=1e-12, atol=1e-14)
    assert got["logits"] == as_json(want.logits)
    assert (got["log_partition"] is None) == ("normaliser" in options)
    for include in ([], ["weights"]):
        some = post(client, **sent, include=include)
        assert some == {name: array for name, array in got.items() if name not in {"weights", "logits"} - {*include}}


def test_projections_and_heads(client):
    x = RNG.normal(size=(4, 6))
    matrices = {name: RNG.normal(size=(6, 6)) for name in ("W_Q", "W_K", "W_V", "W_O")}
    sent = {name: matrix.tolist() for name, matrix in matrices.items()}
    body = {"query": x.tolist(), "key": x.tolist(), "value": x.tolist(), "intermediates": True}
    got = post(client, **body, projections={**sent, "n_heads": 2})
    want = Heads(**matrices, n_heads=2).steps(x, x, x)
    np.testing.assert_allclose(got["output"], want.output, rtol=1e-10)
    np.testing.assert_allclose(got["intermediates"]["query"], want.query, rtol=1e-10)


def test_base64_answers_carry_their_shape(client):
    assert post(client, **ASKED, vector_format="base64")["output"]["shape"] == [2, 3, 4]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"query": [[1, 2], [3]]}, 422, "/query"),
        ({"query": [[True]]}, 422, "/query"),
        ({"query": []}, 422, "/query"),
        ({"value": [[[1.0]] * 6] * 2}, 422, ""),
        ({"mask": [[1]]}, 422, "/mask"),
        ({"mask": [[True] * 6]}, 422, ""),
        ({"include": ["output"]}, 422, "/include/0"),
        ({"query": [[0.0]] * 3000, "key": [[0.0]] * 3000, "value": [[0.0]] * 3000}, 413, None),
    ],
)
def test_mismatched_arrays_are_refused_with_a_pointer(client, change, status, pointer):
    answer = client.post("/v1/attend", json={**ASKED, **change})
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
