"""The weight of every document from a scan, against the weights in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels import kernels
from softkv_attention.lookup import Auto, Bias, Limits, Memory, Question, Rows, answer, answers, weights_of

SCANNED = Limits(block_rows=4096, exact_max_components=-1)
WIDTH = 16

scans = pytest.mark.skipif(not kernels().SCANS, reason="these kernels read no codes")


def all_weights(view, question):
    """The weights that an answer to the question has of all documents."""
    return answer(view, replace(question, weigh_all=True)).all_weights


def test_all_weights_change_no_answer():
    random = np.random.default_rng(5)
    memory, keys = memory_of(random, 9000)
    for normaliser, temperature in (("softmax", 0.05), ("softmax", Auto(20)), ("softmax", 0.0), ("sparsemax", 0.5)):
        question = Question(keys[7].astype(np.float64), temperature, 0.3, normaliser=normaliser)
        plain, weighing = answers(memory.view, [question, replace(question, weigh_all=True)])
        np.testing.assert_array_equal(weighing.numbers, plain.numbers)
        np.testing.assert_array_equal(weighing.similarities, plain.similarities)
        np.testing.assert_allclose(weighing.weights, plain.weights, rtol=1e-3)
        np.testing.assert_array_equal(weighing.output is None, plain.output is None)
        listed = np.searchsorted(weighing.all_weights.numbers, weighing.numbers)
        np.testing.assert_allclose(weighing.all_weights.weights[listed], weighing.weights, rtol=1e-3)
        assert plain.all_weights is None


def memory_of(random, rows, *, ascending=False):
    """Random unit rows in blocks; with `ascending`, the similarity to the first axis grows from row to row."""
    keys = random.standard_normal((rows, WIDTH)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    if ascending:
        keys = keys[np.argsort(keys[:, 0])]
    memory = Memory("cosine", limits=SCANNED)
    memory.publish(add=Rows(np.arange(rows), keys))
    return memory, keys


def check(view, question):
    """Check the scanned weights against float64, and return them."""
    exact, scanned = weights_of(view, question), all_weights(view, question)
    np.testing.assert_array_equal(scanned.numbers, exact.numbers)
    variation = scanned.total_variation + exact.total_variation
    assert np.abs(scanned.weights - exact.weights).sum() / 2 <= variation
    (answer,) = answers(view, [question])
    everywhere = exact.numbers[:: 1 + len(exact.numbers) // 200]
    for documents in (everywhere, exact.numbers[np.argsort(exact.weights)[:200]]):  # the last ones have hardly a weight
        documents = np.sort(documents)
        best = documents[np.argsort(-exact.weights[np.searchsorted(exact.numbers, documents)])[:3]]
        for weights in (exact, scanned):
            assert set(best.tolist()) <= set(weights.find_candidates(documents, 3).tolist())
    error = 1e-12 + scanned.total_variation + answer.certificate.total_variation
    assert scanned.weights.sum() == pytest.approx(1 - answer.null_weight, abs=error)
    return scanned


@scans
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.003, 0.02, 0.1, 1.0, 30.0]),
    null=st.sampled_from([None, 0.2, 0.7]),
    masked=st.booleans(),
    removed=st.booleans(),
    biased=st.booleans(),
)
def test_scanned_weights_are_within_their_bound(seed, temperature, null, masked, removed, biased):
    random = np.random.default_rng(seed)
    memory, _ = memory_of(random, int(random.integers(600, 9000)))
    if removed:
        memory.publish(remove=random.choice(memory.view.n, 50, replace=False).astype(np.int64))
    view = memory.view
    mask = view.mask(random.choice(view.n, view.n // 2, replace=False)) if masked else None
    bias = Bias.of(view, np.arange(40), random.standard_normal(40)) if biased else None
    question = Question(random.standard_normal(WIDTH), temperature, null, mask, bias=bias, output=False)
    check(view, question)


@scans
def test_rows_that_leave_a_full_list_count():
    memory, _ = memory_of(np.random.default_rng(1), 60_000, ascending=True)
    axis = np.eye(WIDTH)[0]
    check(memory.view, Question(axis, 0.05, output=False))
    check(memory.view, Question(axis, 2.0, output=False))


@scans
def test_an_error_that_no_scan_proves_reads_every_row():
    memory, keys = memory_of(np.random.default_rng(3), 20_000)
    question = Question(keys[7].astype(np.float64), 0.05, output=False, max_error=1e-9)
    assert all_weights(memory.view, question).total_variation < 1e-9


def test_documents_of_several_keys_and_few_rows_are_weighed_in_float64():
    random = np.random.default_rng(4)
    keys = random.standard_normal((300, WIDTH)).astype(np.float32)
    memory = Memory("cosine", limits=SCANNED)
    memory.publish(add=Rows(np.arange(300), keys, owners=np.arange(300) // 3 * 3))
    question = Question(keys[0].astype(np.float64), 0.1, output=False)
    scanned, exact = all_weights(memory.view, question), weights_of(memory.view, question)
    np.testing.assert_array_equal(scanned.weights, exact.weights)
