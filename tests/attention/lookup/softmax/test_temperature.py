"""Temperatures that are solved for, shares that are asked for, and many temperatures at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import ParameterError
from attention.lookup import Auto, Question, answer, sweep
from attention.lookup.softmax.temperature import solve


@settings(deadline=None)
@given(
    n=st.integers(2, 400),
    target=st.floats(1, 300),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(-20, 20),
    steep=st.floats(0.1, 8),
)
def test_auto_reaches_its_effective_documents(n, target, seed, scale, steep):
    similarities = 10**scale * np.random.default_rng(seed).random(n) ** steep
    temperature = solve(similarities, target)
    target = min(target, n / 2)
    if temperature == 0:
        assert target <= 1
        return
    logits = (similarities - similarities.max()) / temperature
    weights = np.exp(logits) / np.exp(logits).sum()
    held = np.exp(-(weights[weights > 0] * np.log(weights[weights > 0])).sum())
    assert held == pytest.approx(target, rel=1e-2)


def test_auto_is_zero_where_more_tie_than_are_wanted():
    assert solve(np.array([1.0] * 9 + [0.0] * 50), 8) == 0
    assert solve(np.array([1.0] * 7 + [0.0] * 50), 8) > 0
    assert solve(np.array([1.0]), 8) == 0
    assert solve(np.ones(5), 2) == 0
    assert solve(np.empty(0), 8) == 0


def test_auto_in_an_answer(filled):
    random = np.random.default_rng(1)
    view = filled("cosine", random.standard_normal((500, 11)))
    found = answer(view, Question(random.standard_normal(11), Auto(20), null=0.2))
    assert found.effective_documents == pytest.approx(20, rel=1e-2)
    again = answer(view, Question(random.standard_normal(11), found.temperature, null=0.2))
    assert again.temperature == found.temperature
    with pytest.raises(ParameterError, match="at least 1"):
        Auto(0.5)
    with pytest.raises(ParameterError, match="softmax only"):
        Question(np.ones(3), Auto(), normaliser="one_hot")


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.999, 1.0])
def test_top_p_is_the_smallest_set_that_holds_the_share(filled, p):
    random = np.random.default_rng(2)
    view = filled("cosine", random.standard_normal((700, 5)))
    query = random.standard_normal(5)
    everything = answer(view, Question(query, 0.1, null=0.9, top_k=700))
    shares = np.cumsum(everything.weights) / everything.weights.sum()
    found = answer(view, Question(query, 0.1, null=0.9, top_p=p))
    assert found.complete
    assert shares[found.matches - 1] >= p - 1e-12
    assert found.matches == 1 or shares[found.matches - 2] < p
    capped = answer(view, Question(query, 0.1, null=0.9, top_p=p, top_k=2))
    assert capped.matches == min(2, found.matches)
    assert capped.complete == (found.matches <= 2)


def test_top_p_of_equal_weights(filled):
    view = filled("dot", np.ones((10, 2)))
    found = answer(view, Question(np.ones(2), 1.0, top_p=0.9))
    assert found.matches == 9
    assert len(found.numbers) == 10
    assert answer(view, Question(np.ones(2), 1.0, top_p=1.0)).matches == 10
    assert answer(filled("dot", np.ones((1200, 2))), Question(np.ones(2), 1.0, top_p=1.0)).matches == 1000


def test_a_sweep_is_many_answers(filled):
    random = np.random.default_rng(3)
    view = filled("scaled_dot", random.standard_normal((600, 7)), random.standard_normal((600, 3)))
    question = Question(random.standard_normal(7), 1.0, null=0.3, top_k=5, mask=view.mask(np.arange(100, 650)))
    temperatures = [0, 0.01, 0.3, 5.0, np.inf]
    found = sweep(view, question, temperatures)
    for index, temperature in enumerate(temperatures):
        alone = answer(view, Question(question.query, temperature, 0.3, question.mask, top_k=5))
        np.testing.assert_array_equal(found.numbers, alone.numbers)
        np.testing.assert_array_equal(found.weights[index], alone.weights)
        assert found.evidence[index] == alone.evidence
        assert found.certificates[index].total_variation == alone.certificate.total_variation
        assert found.documents == alone.documents == 550


def test_a_sweep_over_nothing(filled):
    view = filled("cosine", np.eye(3))
    found = sweep(view, Question(np.ones(3), 1.0, mask=view.mask(np.array([], dtype=np.int64))), [0, 1.0])
    assert found.weights.shape == (2, 0)
    assert [evidence.log_partition for evidence in found.evidence] == [-np.inf, -np.inf]
    with pytest.raises(ParameterError, match="from 1e-30 to infinity"):
        sweep(view, Question(np.ones(3), 1.0), [1e-40])
    with pytest.raises(ParameterError, match="softmax"):
        sweep(view, Question(np.ones(3), Auto()), [1.0])
