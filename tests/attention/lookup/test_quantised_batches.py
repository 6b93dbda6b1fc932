"""Answers made together are to the last bit those made from each question's estimate alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from softkv_attention.kernels import dispatch
from softkv_attention.lookup import Background, Limits, Memory, Question, Rows, scan
from softkv_attention.lookup.estimate import OutputEstimate, estimate_weights
from softkv_attention.lookup.quantised import answer_alone, answer_together, quantised_answers, shard_of

RANDOM = np.random.default_rng(8)


@pytest.fixture(scope="module")
def view(clusters):
    """Rows of which some are copies of others, every fifth removed."""
    keys = clusters[0].copy()
    keys[100:140] = keys[7]
    memory = Memory("cosine")
    memory.publish(add=Rows(np.arange(len(keys)), keys, clusters[1]))
    return memory.publish(remove=np.arange(0, len(keys), 5))


def same(actual, expected):
    for field in fields(expected):
        one, other = getattr(actual, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(one, other, err_msg=field.name)


def asked_of(clusters, count, **options):
    """Return `count` questions with different temperatures and null keys; the first is nearest to forty copies."""
    keys = clusters[0]
    near = [
        keys[7],
        *(keys[row] + RANDOM.standard_normal(keys.shape[1]) for row in RANDOM.integers(0, 6000, count - 1)),
    ]
    nulls = [None, 0.5, Background(0.1, 0.2)]
    return [
        Question(q, [0.05, 0.3, 2.0][position % 3], nulls[position % 3], **options) for position, q in enumerate(near)
    ]


@pytest.mark.parametrize("count", [1, 9, 40])
def test_with_one_thread_the_same_questions_have_the_same_digits_each_time(monkeypatch, clusters, view, count):
    monkeypatch.setattr(scan, "workers", lambda: 1)  # what `limit_workers` sets for the whole process
    questions = asked_of(clusters, count)
    for one, other in zip(quantised_answers(view, questions), quantised_answers(view, questions), strict=True):
        assert one.certificate == other.certificate
        for name in ("numbers", "similarities", "weights", "output"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("count", [1, 2, 9, 64])
@pytest.mark.parametrize("options", [{}, {"output": False}, {"top_k": 0}, {"top_k": 3}, {"top_k": 300}])
def test_an_answer_in_a_batch_equals_the_answer_of_its_estimate(running, clusters, view, count, options):
    questions = asked_of(clusters, count, **options)
    part = shard_of(view, questions[0])
    estimates = estimate_weights(part, questions, Limits().scan_widths[0])
    blends = {index: OutputEstimate(np.full(11, float(index)), 0.25, coarse=False) for index in range(0, count, 2)}
    result = answer_together(part, questions, estimates, blends)
    assert list(result) == [index for index, count in enumerate(estimates.rescored.counts.tolist()) if count >= 0]
    assert result
    for index, answer in result.items():
        same(answer, answer_alone(part, questions[index], estimates[index], blends.get(index)))


@pytest.mark.parametrize("count", [3, 64, 130, 200])
def test_a_mixed_batch_returns_each_answer_at_its_index(running, clusters, view, count, agrees):
    """Other normalisers, shares and masks beside plain questions, more than one scan takes."""
    mask = view.mask(np.arange(0, len(clusters[0]), 2))
    kinds = [
        {},
        {"temperature": 0},
        {"normaliser": "sparsemax", "temperature": 0.01},
        {"top_p": 0.2},
        {"mask": mask},
        {"normaliser": "one_hot"},
        {"max_error": 0.2},
    ]
    queries = [
        clusters[2][position % len(clusters[2])] + 0.01 * RANDOM.standard_normal(37) for position in range(count)
    ]
    questions = [
        Question(query, **{"temperature": 0.05, "output": False, **kinds[position % len(kinds)]})
        for position, query in enumerate(queries)
    ]
    answers = quantised_answers(view, questions)
    for i in [*range(min(count, len(kinds))), count - 1]:
        if answers[i] is not None:
            agrees(view, questions[i], answers[i])
    assert sum(answer is not None for answer in answers) > 0.9 * count


def test_a_bound_that_is_not_kept_a_share_and_a_coarse_blend_are_for_others(running, clusters, view):
    questions = [
        Question(clusters[2][0], 0.3, output=False, max_error=1e-9),
        Question(clusters[2][1], 0.3, output=False, max_error=0.9),
        Question(clusters[2][2], 0.3, output=False, top_p=0.5),
        Question(clusters[2][3], 0, output=False),
        Question(clusters[2][4], 0.3, output=True, max_error=0.9),
        Question(clusters[2][5], 0.3, output=True),
    ]
    part = shard_of(view, questions[0])
    estimates = estimate_weights(part, questions, Limits().scan_widths[0])
    far = {
        4: OutputEstimate(np.zeros(11), part.facts.value_norm, coarse=False),
        5: OutputEstimate(np.zeros(11), 0.0, coarse=True),
    }
    assert list(answer_together(part, questions, estimates, far)) == [1]


@pytest.mark.parametrize("output", [False, True])
def test_cores_that_share_a_batch_change_nothing(running, clusters, view, monkeypatch, output):
    questions = asked_of(clusters, 40, output=output)
    monkeypatch.setattr(dispatch, "workers", lambda: 3)
    found = []
    for least in (1, 10**9):
        monkeypatch.setattr(dispatch, "ROWS_A_THREAD", least)
        estimates = estimate_weights(shard_of(view, questions[0]), questions, Limits().scan_widths[0])
        found.append(answer_together(shard_of(view, questions[0]), questions, estimates, {}))
    assert list(found[0]) == list(found[1])
    for index, answer in found[0].items():
        np.testing.assert_array_equal(answer.numbers, found[1][index].numbers)
        np.testing.assert_array_equal(answer.similarities, found[1][index].similarities)
        np.testing.assert_allclose(
            answer.weights, found[1][index].weights, rtol=1e-5
        )  # the scan's threads share as they do
