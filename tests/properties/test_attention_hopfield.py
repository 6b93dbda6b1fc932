"""Hopfield steps: the energy falls, and its slope is the step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softkv_attention import ParameterError, attend, energy, recall
from tests.thorough import examples

BATCH, M, N, D, STEPS = 2, 3, 11, 7, 5
SIMILARITIES = ["dot", "scaled_dot", "gaussian"]

properly = settings(deadline=None, max_examples=examples(60), derandomize=True)
similarities = st.sampled_from(SIMILARITIES)
temperatures = st.sampled_from([0.0, 1e-30, 1e-3, 0.1, 1.0, 30.0, 1e9, math.inf])


def vectors(*shape):
    return hnp.arrays(np.float64, shape, elements=st.floats(-4, 4, width=32))


arguments = {
    "state": vectors(M, D),
    "patterns": vectors(BATCH, N, D),
    "similarity": similarities,
    "temperature": temperatures,
    "mask": st.none() | hnp.arrays(bool, (BATCH, M, N)),
}


@given(**arguments)
@properly
def test_the_energy_never_rises_and_is_never_below_zero(state, patterns, **options):
    recalled = recall(state, patterns, steps=STEPS, **options)
    assert recalled.energies.shape == (STEPS + 1, BATCH, M)
    assert np.all(np.diff(recalled.energies, axis=0) <= 1e-9)
    assert np.all(recalled.energies >= -1e-9)


@given(**arguments)
@properly
def test_each_state_is_attention_over_the_patterns_from_the_state_before(state, patterns, **options):
    recalled = recall(state, patterns, steps=STEPS, **options)
    for before, weights, after in zip(recalled.states, recalled.weights, recalled.states[1:], strict=False):
        attended = attend(before, patterns, patterns, **options)
        np.testing.assert_array_equal(after, attended.output)
        np.testing.assert_array_equal(weights, attended.weights)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0, math.inf])
def test_the_slope_of_the_energy_is_the_state_minus_its_next(similarity, temperature):
    torch.manual_seed(7)
    state, patterns = torch.randn(M, D).double().requires_grad_(), torch.randn(N, D).double()
    options = {"similarity": similarity, "temperature": temperature}
    (slope,) = torch.autograd.grad(energy(state, patterns, **options).sum(), state)
    output = attend(state, patterns, patterns, **options).output
    torch.testing.assert_close(slope, state - output, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("beta", [0.5, 1.0, 8.0])
def test_the_energy_is_that_of_the_paper(beta):
    random = np.random.default_rng(5)
    state, patterns = random.normal(size=D), random.normal(size=(N, D))
    lse = np.log(np.exp(beta * patterns @ state).sum()) / beta
    largest = np.linalg.norm(patterns, axis=-1).max()
    expected = -lse + state @ state / 2 + math.log(N) / beta + largest**2 / 2
    ours = energy(state[None], patterns, similarity="dot", temperature=1 / beta)
    np.testing.assert_allclose(ours, [expected], rtol=1e-12)


@given(state=vectors(M, D), patterns=vectors(N, D), similarity=similarities)
@properly
def test_the_energy_is_continuous_at_both_limits(state, patterns, similarity):
    for near, limit in ((1e-12, 0.0), (1e12, math.inf)):
        one, other = (energy(state, patterns, similarity=similarity, temperature=t) for t in (near, limit))
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_invalid_arguments_of_recall_are_refused():
    state, patterns = np.ones((M, D)), np.ones((N, D))
    with pytest.raises(ParameterError, match="steps must be 0 or more, got -1"):
        recall(state, patterns, steps=-1)
    with pytest.raises(ParameterError, match="must be one of dot, scaled_dot, gaussian for an energy that falls"):
        recall(state, patterns, steps=1, similarity="cosine")
    with pytest.raises(ParameterError, match="temperature must be 0"):
        energy(state, patterns, temperature=-1.0)
