"""The null key: which weight "none of these" gets."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import (
    Auto,
    Background,
    BoundedBackground,
    Memory,
    Question,
    Rows,
    answer,
    answers,
    sweep,
)

SIGMA = 1 / math.sqrt(384)  # of the cosines of random directions
NORMALISERS = ("sparsemax", "entmax15", "one_hot")


@given(
    mean=st.floats(-2, 2), deviation=st.floats(0, 3), temperature=st.floats(1e-6, 1e6), documents=st.integers(0, 10**9)
)
def test_the_null_key_weighs_as_much_as_n_normal_similarities_on_average(mean, deviation, temperature, documents):
    n, frozen = max(documents, 2), 0.45 * deviation
    result = Background(mean, deviation).null_key(temperature, documents).level
    warmth = max(temperature, frozen)
    log_mass = math.log(n) + mean / warmth + deviation**2 / (2 * warmth**2)
    assert result == pytest.approx(warmth * log_mass, rel=1e-9, abs=1e-9)


@given(mean=st.floats(-2, 2), deviation=st.floats(0.01, 3), documents=st.integers(0, 10**9), at=st.floats(0.01, 100))
def test_the_null_similarity_is_continuous_in_the_temperature(mean, deviation, documents, at):
    background = Background(mean, deviation)
    for temperature in (at, 0.45 * deviation):
        near = [temperature * (1 - 1e-9), temperature, temperature * (1 + 1e-9)]
        low, middle, high = (background.null_key(t, documents).level for t in near)
        steps = 1e-7 * (temperature * math.log(max(documents, 2)) + deviation**2 / temperature)
        assert abs(low - middle) <= steps
        assert abs(high - middle) <= steps
    assert background.null_key(0, documents) == background.null_key(1e-30, documents)


@pytest.mark.parametrize(("temperature", "share"), [(0.01, 1), (0.1, 1), (0.15, 0.5), (0.2, 0), (math.inf, 0)])
def test_a_background_has_a_most_and_a_least_that_fades(temperature, share):
    middle, higher, low = BoundedBackground(0.3, 0.1), Background(0.4, 0.05), BoundedBackground(0.1, 0.0)

    def level(background):
        return background.null_key(temperature, 100).level

    for bounded, expected in (
        (replace(middle, at_most=low), level(low)),
        (replace(middle, at_most=higher), min(level(middle), level(higher))),
        (replace(low, at_least=middle, fades_from=0.1), (1 - share) * level(low) + share * level(middle)),
        (replace(middle, at_least=low, fades_from=0.1), level(middle)),
        (replace(middle, at_most=low, at_least=low, fades_from=0.1), level(low)),
    ):
        assert level(bounded) == (math.inf if temperature == math.inf else pytest.approx(expected))
    with pytest.raises(ParameterError, match="above 0"):
        replace(middle, at_least=low, fades_from=0.0)


@pytest.mark.parametrize("n", [100, 1000, pytest.param(20_000, marks=pytest.mark.thorough)])
def test_unrelated_queries_leave_half_of_the_weight_to_it(n):
    random = np.random.default_rng(n)
    memory = Memory("cosine")
    view = memory.publish(add=Rows(np.arange(n), random.standard_normal((n, 384), dtype=np.float32)))
    coldest = max(1.5 * SIGMA / math.sqrt(2 * math.log(n)), 0.45 * SIGMA)
    for temperature in np.geomspace(coldest, 1, 4):
        queries = random.standard_normal((200, 384))
        questions = [Question(query, float(temperature), Background(0, SIGMA), output=False) for query in queries]
        assert np.mean([answer.null_weight for answer in answers(view, questions)]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("rows", [300, 90_000])  # the exact path, and the quantised one
def test_each_temperature_of_a_sweep_has_its_own(rows):
    random = np.random.default_rng(rows)
    memory = Memory("cosine")
    view = memory.publish(add=Rows(np.arange(rows), random.standard_normal((rows, 320), dtype=np.float32)))
    question = Question(random.standard_normal(320), 1.0, Background(0.01, 0.05), output=False)
    temperatures = [0, 1e-3, 0.0225, 0.05, 1.0, 1e6, math.inf]
    for temperature, result in zip(temperatures, sweep(view, question, temperatures).evidence, strict=True):
        alone = answer(view, replace(question, temperature=temperature)).evidence
        assert result.null_similarity == alone.null_similarity
        assert result.null_similarity == Background(0.01, 0.05).null_key(temperature, rows).level
        assert result.null_weight == pytest.approx(alone.null_weight, abs=1e-4)
    solved = answer(view, replace(question, temperature=Auto(12))).evidence
    level = Background(0.01, 0.05).null_key(solved.temperature, rows).level
    assert solved.null_similarity == pytest.approx(level)


def test_hot_it_has_half_of_the_weight_and_no_number_says_its_similarity(filled):
    view = filled("dot", np.eye(3))
    for temperature in (1.5e308, math.inf):
        result = answer(view, Question(np.ones(3), temperature, Background(0.2, 0.1)))
        assert result.null_weight == pytest.approx(0.5, abs=1e-12)
        assert result.log_partition == pytest.approx(math.log(6))
        np.testing.assert_allclose(result.weights, 1 / 6)
        assert result.evidence.null_similarity is not None
    assert math.isinf(result.evidence.null_similarity)


def test_the_null_key_counts_the_documents_that_pass(filled):
    view = filled("cosine", np.random.default_rng(1).standard_normal((500, 7)))
    mask = view.mask(np.arange(100, 120))
    result = answer(view, Question(np.ones(7), 0.5, Background(0, 0.3), mask=mask))
    assert result.evidence.null_similarity == pytest.approx(0.3**2 / (2 * 0.5) + 0.5 * math.log(20))
    unmasked = answer(view, Question(np.ones(7), 0.5, Background(0, 0.3), mask=view.mask(np.empty(0, np.int64))))
    assert (unmasked.null_weight, unmasked.verdict.stands) == (1, "none")


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_other_normalisers_have_that_of_the_cold(filled, normaliser):
    view = filled("cosine", np.random.default_rng(2).standard_normal((500, 7)))
    cold = Background(0.1, 0.3).null_key(0, 500).similarity
    for query in np.random.default_rng(3).standard_normal((20, 7)):
        result = answer(view, Question(query, 0.4, Background(0.1, 0.3), normaliser=normaliser))
        same = answer(view, Question(query, 0.4, cold, normaliser=normaliser))
        assert result.evidence == same.evidence
        assert result.evidence.null_similarity == pytest.approx(0.1 + 0.3 / 0.9 + 0.135 * math.log(500))
        assert result.verdict == same.verdict


@pytest.mark.parametrize("given_", [(math.nan, 1.0), (0.0, -0.1), (0.0, math.inf)])
def test_a_background_has_numbers(given_):
    with pytest.raises(ParameterError, match="finite mean"):
        Background(*given_)
