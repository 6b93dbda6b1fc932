"""The lookup over a collection is `attend` over its keys."""

from __future__ import annotations

import numpy as np
import pytest

from attention import attend
from attention.lookup import Question, answers
from tests.parity.memories import piecemeal
from tests.thorough import crossed

RNG = np.random.default_rng(5)
N, M, D, D_V = 103, 7, 11, 13
KEYS, VALUES = RNG.normal(size=(N, D)).astype(np.float32), RNG.normal(size=(N, D_V)).astype(np.float32)
QUERIES = RNG.normal(size=(M, D))


@pytest.fixture(params=["cosine", "dot", "scaled_dot", "gaussian"])
def view(request):
    return piecemeal(request.param, KEYS, VALUES).view


@crossed(
    {
        "normaliser": ["softmax", "sparsemax", "entmax15", "one_hot"],
        "temperature": [0, 1e-30, 0.05, 1, 1e6, np.inf],
        "null": [None, 0.3],
    }
)
def test_weights_output_and_evidence(view, normaliser, temperature, null):
    allowed = RNG.random(N) < 0.8
    mask = view.mask(np.flatnonzero(allowed))
    options = {"temperature": temperature, "null": null, "normaliser": normaliser}
    results = answers(view, [Question(query, mask=mask, top_k=N, **options) for query in QUERIES])
    key, value = KEYS.astype(np.float64), VALUES.astype(np.float64)
    want = attend(QUERIES, key, value, similarity=view.similarity, mask=allowed, **options)
    for row, answer in enumerate(results):
        weights = np.zeros(N)
        weights[answer.numbers] = answer.weights
        np.testing.assert_allclose(weights, want.weights[row], atol=1e-9)
        np.testing.assert_allclose(answer.output, want.output[row], atol=1e-9)
        assert answer.null_weight == pytest.approx(float(want.null_weight[row]), abs=1e-9)
        if normaliser == "softmax":
            assert answer.log_partition == pytest.approx(float(want.log_partition[row]), rel=1e-12, abs=1e-9)
