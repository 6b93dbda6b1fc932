"""Heads and the low-rank value map."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from softkv_attention import Heads, LowRank, ParameterError, ShapeError

BATCH, M, N, HEADS, D_K, D_V, D_MODEL = 2, 3, 7, 5, 11, 13, 17
random = np.random.default_rng(5)


def heads(**changes):
    arguments = {
        "W_Q": random.normal(size=(D_MODEL, HEADS * D_K)),
        "W_K": random.normal(size=(D_MODEL, HEADS * D_K)),
        "W_V": random.normal(size=(D_MODEL, HEADS * D_V)),
        "W_O": random.normal(size=(HEADS * D_V, D_MODEL)),
        "n_heads": HEADS,
    }
    return Heads(**arguments | changes)


def test_steps_have_the_shapes_they_say():
    x, y = random.normal(size=(BATCH, M, D_MODEL)), random.normal(size=(BATCH, N, D_MODEL))
    steps = heads().steps(x, y, y, np.ones((M, N), bool), null=0.5, temperature=0.7)
    assert steps.query.shape == (BATCH, HEADS, M, D_K)
    assert steps.key.shape == (BATCH, HEADS, N, D_K)
    assert steps.value.shape == (BATCH, HEADS, N, D_V)
    assert steps.attended.output.shape == (BATCH, HEADS, M, D_V)
    assert steps.attended.weights.shape == (BATCH, HEADS, M, N)
    assert steps.output.shape == (BATCH, M, D_MODEL)
    assert (steps.attended.null_weight > 0).all()


def test_a_bias_may_differ_from_head_to_head():
    x = random.normal(size=(BATCH, M, D_MODEL))
    slopes = np.arange(HEADS)[:, None, None] * -np.abs(np.subtract.outer(np.arange(M), np.arange(M)))
    parts = heads()
    steps = parts.steps(x, x, x, bias=slopes)
    plain = parts.steps(x, x, x)
    np.testing.assert_allclose(steps.attended.logits, plain.attended.logits + slopes, rtol=1e-12)


@pytest.mark.parametrize("made", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_a_low_rank_matrix_is_the_product_of_its_factors(made):
    down, up = random.normal(size=(D_MODEL, 2)), random.normal(size=(2, HEADS * D_V))
    x = random.normal(size=(BATCH, N, D_MODEL))
    factored, square = heads(W_V=LowRank(down, up)), heads(W_V=down @ up)
    assert factored.W_V.shape == square.W_V.shape
    np.testing.assert_allclose(factored.values(x), square.values(x), rtol=1e-10)
    np.testing.assert_allclose(made(x) @ LowRank(made(down), made(up)), x @ down @ up, rtol=1e-10)


def test_a_low_rank_value_map_never_forms_the_square():
    d_model, r = 12_288, 128
    down = np.random.default_rng(1).normal(size=(d_model, r)).astype(np.float32)
    up, x = down.T.copy(), down[:, :N].T.copy()
    one = np.ones((d_model, 1), np.float32)
    tracemalloc.start()
    parts = Heads(one, one, LowRank(down, up), LowRank(down, up), 1)
    output = parts(x, x, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert output.shape == (N, d_model)
    assert peak < 0.05 * 4 * d_model**2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_heads": 7}, "choose a number of heads that divides 55"),
        ({"W_K": np.ones((D_MODEL, HEADS * D_V))}, "W_Q and W_K must be equally wide, got 55 and 65"),
        ({"W_O": np.ones((D_MODEL, HEADS * D_V))}, "W_O must have a row for each column of W_V, got 17 rows for 65"),
        ({"W_V": np.ones(D_MODEL)}, r"W_V must be a matrix, got shape \(17,\)"),
    ],
)
def test_matrices_that_do_not_fit(changes, words):
    with pytest.raises(ShapeError, match=words):
        heads(**changes)


def test_other_refusals():
    with pytest.raises(ParameterError, match="n_heads must be at least 1, got 0"):
        heads(n_heads=0)
    with pytest.raises(ShapeError, match="give both the same r"):
        LowRank(np.ones((D_MODEL, 2)), np.ones((3, D_MODEL)))
    with pytest.raises(ShapeError, match="x must be 17 wide"):
        heads().queries(np.ones((M, D_K)))
