"""The null weight from which nothing matches, and confidences that keep a promised error, on laws that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softkv_service.retrieval.calibration.abstention import (
    DOUBT,
    KEPT,
    fit_error_bounds,
    fit_none_from,
    lead_to_null_weight,
    log_binomial,
)

RUNS = 300


def test_few_questions_with_an_answer_are_abstained_from():
    random = np.random.default_rng(0)
    kept = [lead_to_null_weight(random.normal()) < fit_none_from(random.normal(size=20)) for _ in range(4000)]
    # By the quantile it is at least KEPT, and at a null weight of a half it is cut.
    assert np.mean(kept) >= KEPT - 3 * math.sqrt(KEPT * (1 - KEPT) / 4000)
    assert fit_none_from(np.full(50, 3.0)) == 0.5
    assert fit_none_from(np.full(18, -3.0)) == 0.5, "eighteen labels cannot promise it"
    assert fit_none_from(np.full(50, -3.0)) == pytest.approx(1 / (1 + math.exp(-3)))


def test_the_binomial_is_the_sum_of_its_terms():
    for wrong, n, error in ((0, 59, 0.05), (3, 200, 0.05), (7, 10, 0.2)):
        terms = [math.comb(n, i) * error**i * (1 - error) ** (n - i) for i in range(wrong + 1)]
        assert math.exp(log_binomial(wrong, n, error)) == pytest.approx(sum(terms))


def test_a_bound_is_broken_by_one_calibration_of_twenty_at_most():
    random, broken = np.random.default_rng(1), {"answers": [], "questions": []}
    for _ in range(RUNS):
        confidence = random.random(300) ** 0.3
        right = random.random(300) < confidence
        for bound in fit_error_bounds(confidence, right):
            if bound.error == 0.1:
                # The confidences are the truth, so the risk above a threshold is known.
                others = random.random(20_000) ** 0.3
                wrong = np.where(others >= bound.min_confidence, 1 - others, 0.0)
                risk = wrong.mean() if bound.of == "questions" else wrong.sum() / (wrong > 0).sum()
                broken[bound.of].append(risk > bound.error)
                assert bound.answered == np.mean(confidence >= bound.min_confidence)
    for runs in broken.values():
        assert len(runs) > RUNS / 2
        assert np.mean(runs) <= DOUBT + 3 * math.sqrt(DOUBT * (1 - DOUBT) / len(runs))


def test_an_easy_collection_answers_whatever_its_most_confident_answers_are():
    for n, error, wrong in ((400, 0.1, 24), (130, 0.2, 8)):
        right = np.ones(n, dtype=np.bool_)
        right[np.linspace(0, n - 1, wrong, dtype=np.int64)] = False  # the first and the last answer, and some between
        bounds = fit_error_bounds(np.linspace(1.0, 0.5, n), right)
        (bound,) = (bound for bound in bounds if (bound.error, bound.of) == (error, "answers"))
        assert (bound.min_confidence, bound.answered) == (0.0, 1.0)


def test_too_few_labels_promise_nothing():
    few, enough = (fit_error_bounds(np.full(n, 0.99), np.ones(n, dtype=np.bool_)) for n in (58, 59))
    assert all(bound.error > 0.05 for bound in few)
    assert {bound.of for bound in enough if bound.error == 0.05} == {"answers", "questions"}
    wrong = fit_error_bounds(np.linspace(0.1, 0.9, 100), np.zeros(100, dtype=np.bool_))
    assert {bound.of for bound in wrong} == {"questions"}
