"""The exact path over rows that others hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.lookup import Auto, Limits, Memory, Question, Rows, answers, sweep

RANDOM = np.random.default_rng(9)
KEYS = RANDOM.standard_normal((400, 6)).astype(np.float32)
VALUES = RANDOM.standard_normal((400, 3)).astype(np.float32)
OWNERS = np.arange(400) // 3 * 3


def views(similarity, owners):
    segments = []
    whose = owners % 4
    for part in range(4):
        memory, rows = Memory(similarity), np.flatnonzero(whose == part)
        segments.append(memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows], owners[rows])))
    return segments


@pytest.mark.parametrize("owners", [np.arange(400), OWNERS], ids=["rows", "documents"])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_a_remote_view_answers_like_a_local_one(similarity, owners):
    memory = Memory(similarity)
    whole = memory.publish(add=Rows(np.arange(400), KEYS, VALUES, owners))
    elsewhere = afar(views(similarity, owners), sampled=False)
    for temperature in (0.0, 0.1, 3.0, Auto(6.0)):
        questions = [Question(query, temperature, null=0.1) for query in RANDOM.standard_normal((3, 6))]
        for actual, expected in zip(answers(elsewhere, questions), answers(whole, questions), strict=True):
            assert actual.certificate.method == expected.certificate.method == "exact"
            np.testing.assert_array_equal(actual.numbers, expected.numbers)
            np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-12)
            np.testing.assert_allclose(actual.output, expected.output, rtol=1e-9, atol=1e-12)


def test_a_sweep_and_a_condition_that_nothing_passes():
    elsewhere, whole = afar(views("cosine", np.arange(400)), sampled=False), Memory.of(KEYS, VALUES).view
    question = Question(KEYS[0], 1.0, top_k=5, output=False)
    actual, expected = (sweep(view, question, [0.0, 0.1, 1.0]) for view in (elsewhere, whole))
    np.testing.assert_array_equal(actual.numbers, expected.numbers)
    np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-12)
    (nothing,) = answers(elsewhere, [Question(KEYS[0], 0.1, mask=elsewhere.where(json.dumps([5000])))])
    assert (nothing.documents, len(nothing.numbers), nothing.output.tolist()) == (0, 0, [0.0, 0.0, 0.0])


def test_rows_that_tie_stand_in_the_order_of_their_numbers():
    keys = np.ones((40, 3), dtype=np.float32)
    parts = []
    for part in (1, 0):
        rows = np.arange(part, 40, 2)
        parts.append(Memory("cosine").publish(add=Rows(rows, keys[rows])))
    (tied,) = answers(afar(parts, sampled=False), [Question(keys[0], 0.1, top_k=40)])
    np.testing.assert_array_equal(tied.numbers, np.arange(40))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_no_number_of_an_exact_question_follows_from_a_row_that_does_not_pass(similarity):
    """Far rows lie between those that pass, and some belong to documents with several keys."""
    passing = np.flatnonzero(np.arange(400) % 4 == 1)
    alone = RANDOM.standard_normal((2, 6))
    results = []
    for length in (1.0, 1e30):
        keys, values, owners = KEYS.copy(), VALUES.copy(), np.arange(400)
        hidden = np.setdiff1d(np.arange(400), passing)
        keys[hidden] *= np.float32(min(length, 1e17))
        values[hidden] *= np.float32(length)
        if length > 1:
            owners[owners % 4 == 3] -= 1
        parts = []
        for rows in (np.arange(0, 200), np.arange(200, 400)):
            limits = Limits(exact_max_components=-1)
            memory = Memory(similarity, limits=limits)
            parts.append(memory.publish(add=Rows(rows, keys[rows], values[rows], owners[rows])))
        view = afar(parts, sampled=False)
        mask = view.mask(passing)
        results.append(
            answers(view, [Question(query, 0.3, null=0.1, mask=mask, exact=True, max_error=0.1) for query in alone])
        )
    for near, far in zip(*results, strict=True):
        assert near.certificate == far.certificate
        assert near.certificate.method == "exact"
        for name in ("numbers", "weights", "similarities", "output"):
            np.testing.assert_array_equal(getattr(near, name), getattr(far, name))
