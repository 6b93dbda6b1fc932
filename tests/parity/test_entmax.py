"""sparsemax and entmax15 against the entmax package, forwards and backwards."""

from __future__ import annotations

import entmax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softkv_attention import entmax15, sparsemax
from tests.thorough import examples

PAIRS = {"sparsemax": (sparsemax, entmax.sparsemax), "entmax15": (entmax15, entmax.entmax15)}
BATCH, M, N = 2, 3, 13

properly = settings(deadline=None, max_examples=examples(60), derandomize=True)
logits = hnp.arrays(np.float64, (M, N), elements=st.floats(-5, 5, width=32) | st.integers(-2, 2).map(float))


@pytest.mark.parametrize("name", PAIRS)
@given(logits=logits, scale=st.sampled_from([0.01, 1.0, 30.0]))
@properly
def test_weights(name, logits, scale):
    ours, theirs = PAIRS[name]
    expected = theirs(torch.from_numpy(logits * scale), dim=-1)
    np.testing.assert_allclose(ours(logits * scale), expected, atol=1e-9)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
def test_gradients(name, spread):
    ours, theirs = PAIRS[name]
    torch.manual_seed(3)
    logits = (spread * torch.randn(BATCH, M, N, dtype=torch.float64)).requires_grad_()
    direction = torch.randn_like(logits)
    (our_gradient,) = torch.autograd.grad(ours(logits), logits, direction)
    (their_gradient,) = torch.autograd.grad(theirs(logits, dim=-1), logits, direction)
    torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "floor"), [("sparsemax", -1), ("entmax15", -2)])
def test_a_million_logits_near_the_threshold_weigh_one_together_in_float32(name, floor):
    ours, _ = PAIRS[name]
    crowd = floor + 1e-3 * np.random.default_rng(11).random(1_000_003)
    logits = np.concatenate([[0], crowd]).astype(np.float32)
    weights = ours(logits)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(dtype=float), 1, rtol=1e-6)
    np.testing.assert_allclose(weights, ours(logits.astype(float)), atol=1e-7)


@pytest.mark.parametrize(("name", "reach"), [("sparsemax", 1.0), ("entmax15", 2.0)])
def test_only_logits_within_reach_of_the_largest_can_weigh(name, reach):
    ours, _ = PAIRS[name]
    weights = ours(np.array([[0.0, -reach, -reach * 0.999]]))
    assert weights[0, 1] == 0
    assert weights[0, 2] > 0
