"""Rows of others as a part: how often they are asked, and about what."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.lookup import Limits, Memory, Question, Rows, answers

RANDOM = np.random.default_rng(7)
SCANNED = Limits(exact_max_components=0)
CENTRES = RANDOM.standard_normal((30, 24))
KEYS = (CENTRES[RANDOM.integers(0, 30, 20_000)] + 0.8 * RANDOM.standard_normal((20_000, 24))).astype(np.float32)
VALUES = (RANDOM.standard_normal((20_000, 6)) + 3).astype(np.float32)  # so that no blend is short


@pytest.fixture
def elsewhere():
    views = []
    for rows in np.array_split(np.arange(len(KEYS)), 4):
        memory = Memory("cosine", limits=SCANNED)
        views.append(memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows])))
    return afar(views, sampled=True)


def calls(elsewhere, questions):
    """Return how often each call reached a holder, and the answers."""
    for holder in elsewhere.hosts.holders:
        holder.calls.clear()
    results = answers(elsewhere, questions)
    holders = elsewhere.hosts.holders
    return {call: n / len(holders) for call, n in Counter(c for h in holders for c in h.calls).items()}, results


def query():
    return KEYS[RANDOM.integers(len(KEYS))] + 0.4 * RANDOM.standard_normal(24)


@pytest.mark.parametrize("output", [False, True])
def test_most_answers_take_one_message_to_each_holder(elsewhere, output):
    whole, rounds = Memory.of(KEYS, VALUES, limits=SCANNED).view, []
    for temperature in (0.02, 0.05, 0.1, 0.3, 1.0) * 4:
        questions = [Question(query(), temperature, null=0.4, output=output) for _ in range(4)]
        made, actual = calls(elsewhere, questions)
        rounds.append(sum(made.values()))
        for result, expected in zip(actual, answers(whole, questions), strict=True):
            np.testing.assert_array_equal(result.numbers, expected.numbers)
            np.testing.assert_array_equal(result.similarities, expected.similarities)
            if output:
                together = result.certificate.output_error + expected.certificate.output_error
                assert np.linalg.norm(result.output - expected.output) <= together
    assert np.mean(rounds) < 1.2
    assert max(rounds) <= 2


def test_values_are_requested_if_rows_are_weighed_differently(elsewhere):
    question = Question(query(), 0.3, normaliser="sparsemax")
    made, (actual,) = calls(elsewhere, [question])
    assert made["values"] > 0
    (expected,) = answers(Memory.of(KEYS, VALUES, limits=SCANNED).view, [question])
    together = actual.certificate.output_error + expected.certificate.output_error
    assert np.linalg.norm(actual.output - expected.output) <= together


def test_the_number_of_head_rows_does_not_grow_with_the_holders():
    listed = []
    for parts in (1, 8):
        views = []
        for rows in np.array_split(np.arange(len(KEYS)), parts):
            memory = Memory("cosine", limits=SCANNED)
            views.append(memory.publish(add=Rows(rows, KEYS[rows])))
        view = afar(views, sampled=True)
        sample = view.sample.thresholds(np.array([CENTRES[0]]), view.n, 1024)
        listed.append(sample)
    assert abs(float(listed[0][0] - listed[1][0])) < 0.1


def test_a_holder_that_lists_nothing_has_no_values_to_add():
    views, keys = [], KEYS[:6_000].copy()
    keys[3_000:, 0] = -40.0  # far from what is asked
    for rows in np.array_split(np.arange(len(keys)), 2):
        memory = Memory("cosine", limits=SCANNED)
        views.append(memory.publish(add=Rows(rows, keys[rows], VALUES[rows])))
    questions = [Question(np.eye(24)[0] * 9 + CENTRES[3], 0.05)]
    (actual,), (expected,) = (
        answers(afar(views, sampled=True), questions),
        answers(Memory.of(keys, VALUES[:6_000], limits=SCANNED).view, questions),
    )
    np.testing.assert_array_equal(actual.numbers, expected.numbers)
    together = actual.certificate.output_error + expected.certificate.output_error
    assert np.linalg.norm(actual.output - expected.output) <= together
