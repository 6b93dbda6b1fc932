"""Estimates of weights from one scan: each the same as if its question's rows were weighed and bounded alone."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Question, Rows, ScanWidth
from attention.lookup.estimate import bound_weights, estimate_weights, mix_without_tail
from attention.lookup.quantised import shard_of
from attention.lookup.softmax.mixture import mix_cases

WIDTH = ScanWidth(64, 128)


@pytest.fixture(scope="module")
def view(clusters):
    return Memory("dot").publish(add=Rows(np.arange(len(clusters[0])), clusters[0]))


def asked_of(queries):
    """Return questions: in some all rows have weight, in some the answer is almost certain, and others lie between."""
    temperatures = [3.0, 0, 40.0, 9.0, 1e-12, 6.0]
    normalisers = ["softmax", "softmax", "softmax", "one_hot", "softmax", "entmax15"]
    return [
        Question(query, temperature, 20.0, normaliser=normaliser, output=False)
        for query, temperature, normaliser in zip(queries, temperatures, normalisers, strict=False)
    ]


def test_an_estimate_in_a_batch_equals_the_estimate_alone(running, clusters, view):
    questions = asked_of(clusters[2])
    part = shard_of(view, questions[0])
    estimates = estimate_weights(part, questions, WIDTH)
    made = list(estimates)
    assert [index for index in estimates.cases if made[index]] == [0, 2, 4]
    for index, (question, actual) in enumerate(zip(questions, made, strict=True)):
        rescored = estimates.rescored.of(index)
        if index not in estimates.cases:
            mixture = mix_without_tail(question, rescored, part.keys)
        else:
            levels, sums = estimates.scan.levels[index], estimates.scan.sums[index]
            null, temperature = question.null_key(question.temperature, part.keys), np.array([question.temperature])
            (mixture,) = mix_cases(
                estimates.rescored.runs([index]), levels[None, None], sums[None, None], [null], temperature
            )
        expected = bound_weights(part, question, rescored, mixture, estimates.scan.error(index))
        np.testing.assert_array_equal(actual.mixture.known, mixture.known)
        np.testing.assert_array_equal(actual.mixture.candidates, mixture.candidates)
        np.testing.assert_array_equal(actual.rescored.similarities, rescored.similarities)
        assert actual.mixture.evidence == mixture.evidence
        assert actual.total_variation == expected.total_variation
        assert actual.rounding_variation == expected.rounding_variation
    assert 0 < made[4].rounding_variation < 1e-6  # which one of two bounds has


def test_an_undecided_scan_has_no_estimate(running, clusters):
    keys = np.concatenate([np.ones((3000, 37)), clusters[0][:3000]]).astype(np.float32)
    view = Memory("cosine").publish(add=Rows(np.arange(6000), keys))
    questions = [Question(np.ones(37), 0.1, output=False), Question(clusters[2][0], 0.1, output=False)]
    estimates = estimate_weights(shard_of(view, questions[0]), questions, WIDTH)
    assert estimates[0] is None
    assert estimates[1] is not None
    assert list(estimates.cases) == [1]
    assert estimates[1] is estimates[1]
