"""The lookup with a bias is `attend` with one, over the keys of a collection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softkv_attention import attend
from softkv_attention.lookup import Bias, Limits, Memory, Question, answers, sweep
from tests.parity.memories import piecemeal
from tests.thorough import crossed, thorough

RNG = np.random.default_rng(24)
N, M, D, D_V = 103, 4, 11, 5
KEYS, VALUES = RNG.normal(size=(N, D)).astype(np.float32), RNG.normal(size=(N, D_V)).astype(np.float32)
KEYS[40:44] = KEYS[3]
QUERIES = np.concatenate([RNG.normal(size=(M - 1, D)), KEYS[3:4]])
TEMPERATURES = [0, 1e-30, 1e-6, 0.05, 1, 1e6, 1e30, np.inf]
SCANNED = Limits(exact_max_components=0, rows_scanned_per_exact_row=np.inf)

SPARSE = np.where(RNG.random(N) < 0.1, RNG.exponential(2.0, N), 0.0)
DENSE = RNG.normal(size=N) * 3
FORBIDDING = np.where(RNG.random(N) < 0.3, -np.inf, SPARSE)
BIASES = {"sparse": SPARSE, "dense": DENSE, "forbidding": FORBIDDING, "nothing": np.zeros(N), "far": DENSE - 1e4}


@pytest.fixture(params=["cosine", thorough("dot"), thorough("scaled_dot"), "gaussian"])
def view(request):
    return piecemeal(request.param, KEYS, VALUES).view


@pytest.fixture(params=["exact", "quantised"])
def limits(request):
    """The limits with which a path is tried first; the quantised path leaves to the other what it cannot decide."""
    return SCANNED if request.param == "quantised" else Limits()


def wanted(similarity, bias, mask=None, **question):
    key, value = KEYS.astype(np.float64), VALUES.astype(np.float64)
    return attend(QUERIES, key, value, similarity=similarity, bias=bias, mask=mask, **question)


def bias_of(view, bias):
    """Return the bias of the documents that have one, in any order, and of some unknown documents."""
    rows = RNG.permutation(np.flatnonzero(bias))
    return Bias.of(view, np.append(rows, [5000, 1003]), np.append(bias[rows], [9.0, 9.0]))


@crossed({"normaliser": ["softmax", "sparsemax", "entmax15", "one_hot"], "kind": BIASES, "null": [None, 0.3]})
def test_weights_output_and_evidence(view, limits, kind, normaliser, null):
    for temperature in TEMPERATURES:
        held(replace(view, limits=limits), kind, normaliser, temperature, null)


def held(view, kind, normaliser, temperature, null):
    """Compare answers to all queries with the definition."""
    allowed = RNG.random(N) < 0.8
    options = {"temperature": temperature, "null": null, "normaliser": normaliser}
    question = Question(
        QUERIES[0], mask=view.mask(np.flatnonzero(allowed)), bias=bias_of(view, BIASES[kind]), top_k=N, **options
    )
    results = answers(view, [replace(question, query=query) for query in QUERIES])
    want = wanted(view.similarity, BIASES[kind], allowed, **options)
    similarities = wanted(view.similarity, None, temperature=1.0).logits
    passes = allowed & (BIASES[kind] > -np.inf)
    for row, answer in enumerate(results):
        # At T = 0, ties within rounding cannot be distinguished: the certificate says so.
        atol = 1e-9 + 2 * min(answer.certificate.total_variation, 1.0)
        if answer.certificate.total_variation > 0.1:
            assert temperature in (0, 1e-30, 1e-6) or normaliser == "one_hot" or kind == "far"
            continue
        weights = np.zeros(N)
        weights[answer.numbers] = answer.weights
        assert set(answer.numbers) == set(np.flatnonzero(passes))
        np.testing.assert_allclose(weights, want.weights[row], atol=atol)
        np.testing.assert_allclose(answer.output, want.output[row], atol=1e-9 + answer.certificate.output_error)
        assert answer.null_weight == pytest.approx(float(want.null_weight[row]), abs=atol)
        assert (np.diff(answer.weights) <= 1e-12).all()
        np.testing.assert_allclose(answer.similarities, similarities[row, answer.numbers], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(answer.logits, want.logits[row, answer.numbers], rtol=1e-9, atol=1e-9)
        assert (answer.documents, answer.keys, answer.temperature) == (passes.sum(), passes.sum(), temperature)
        if normaliser == "softmax":
            assert answer.log_partition == pytest.approx(float(want.log_partition[row]), rel=1e-6, abs=1e-6)
            if temperature not in (1e-30, 1e-6):  # where logits are so large that they have no digits for it
                parts = answer.logits - answer.log_partition + answer.log_weight_of_other_parts
                np.testing.assert_allclose(np.exp(parts), answer.weights, atol=atol + 1e-6)


def test_ties_at_zero_share_by_their_bias(view, limits):
    view = replace(view, limits=limits)
    if view.similarity in ("dot", "scaled_dot"):
        pytest.skip("the longest key has the largest product")
    query = KEYS[3].astype(np.float64)
    bias = Bias.of(view, [40, 41, 42, 50], [1.0, 2.0, -np.inf, 99.0])
    (answer,) = answers(view, [Question(query, 0, bias=bias, top_k=2)])
    shares = np.exp([2.0, 1.0, 0.0, 0.0])
    assert answer.numbers.tolist() == [41, 40]
    np.testing.assert_allclose(answer.weights, shares[:2] / shares.sum())
    assert answer.log_partition == pytest.approx(np.log(shares.sum()))
    assert answer.effective_documents == pytest.approx(
        np.exp(-(shares / shares.sum() * np.log(shares / shares.sum())).sum())
    )
    assert answer.certificate.total_variation < 1e-12


@pytest.mark.parametrize("kind", ["sparse", "dense", "forbidding"])
def test_a_sweep_is_attend_at_each_temperature(view, limits, kind):
    view = replace(view, limits=limits)
    question = Question(QUERIES[0], 1.0, null=0.3, bias=bias_of(view, BIASES[kind]), top_k=N)
    swept = sweep(view, question, TEMPERATURES)
    for position, temperature in enumerate(TEMPERATURES):
        want = wanted(view.similarity, BIASES[kind], temperature=temperature, null=0.3)
        np.testing.assert_allclose(swept.weights[position], want.weights[0, swept.numbers], atol=1e-9)
        assert swept.evidence[position].log_partition == pytest.approx(float(want.log_partition[0]), rel=1e-9, abs=1e-9)
        assert swept.evidence[position].temperature == temperature
        assert swept.certificates[position].method == "exact"


def test_a_bias_that_cannot_be_is_refused():
    view = Memory.of(KEYS, VALUES).view
    other = Memory.of(KEYS, VALUES).view
    with pytest.raises(ValueError, match="one addend for each document"):
        Bias.of(view, [1, 2], [1.0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        Bias.of(view, [1, 2], [1.0, np.nan])
    with pytest.raises(ValueError, match="NaN or infinity"):
        Bias.of(view, [1], [1.0], elsewhere=np.inf)
    with pytest.raises(ValueError, match="document 2 has two addends"):
        Bias.of(view, [2, 1, 2], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="belongs to another view"):
        answers(view, [Question(QUERIES[0], 1.0, bias=Bias.of(other, [1], [1.0]))])
