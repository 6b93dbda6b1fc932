"""Temperatures that are solved for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup.softmax.distribution import solve_temperature


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
    temperature = solve_temperature(similarities, target)
    target = min(target, n / 2)
    if temperature == 0:
        assert target <= 1
        return
    logits = (similarities - similarities.max()) / temperature
    weights = np.exp(logits) / np.exp(logits).sum()
    effective = np.exp(-(weights[weights > 0] * np.log(weights[weights > 0])).sum())
    assert effective == pytest.approx(target, rel=1e-2)


def test_auto_is_zero_where_more_tie_than_are_wanted():
    assert solve_temperature(np.array([1.0] * 9 + [0.0] * 50), 8) == 0
    assert solve_temperature(np.array([1.0] * 7 + [0.0] * 50), 8) > 0
    assert solve_temperature(np.array([1.0]), 8) == 0
    assert solve_temperature(np.ones(5), 2) == 0
    assert solve_temperature(np.empty(0), 8) == 0


def test_a_step_too_large_for_a_float_is_one_out_of_the_bracket():
    """At the first try all but the best vanish, and what entropy is left says nothing of where it rises."""
    similarities = np.concatenate([[1.0], np.full(14, 0.6), np.full(40, 0.2)])
    weights = np.exp((similarities - 1) / solve_temperature(similarities, 20))
    weights /= weights.sum()
    assert np.exp(-(weights * np.log(weights)).sum()) == pytest.approx(20, rel=1e-2)
