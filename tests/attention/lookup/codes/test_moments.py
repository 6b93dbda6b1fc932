"""Summaries of many values: their spread in any direction, never below the true one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits, Memory, Rows
from softkv_attention.lookup.codes.moments import Moments, RunningGrams, Spread
from softkv_attention.lookup.codes.quantisation import quantise
from tests.thorough import examples


def moments_of(vectors):
    left = quantise(vectors)[2]
    return Moments.empty(vectors.shape[1]).merge(Moments.of(vectors, left.astype(np.float32), left.sum(axis=0)))


def around(vectors, centre):
    """The largest eigenvalue of Σ (v − c)(v − c)ᵀ."""
    return np.linalg.norm(vectors.astype(np.float64) - centre, ord=2) ** 2


@settings(deadline=None, max_examples=examples(60))
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.sampled_from([1, 2, 17]),
    scale=st.sampled_from([1e-30, 1e-18, 1e-6, 1.0, 1e12]),
    shift=st.sampled_from([0.0, 1.0, 30.0]),
    pieces=st.integers(1, 4),
)
def test_a_spread_bounds_every_direction_and_is_not_far_above(seed, width, scale, shift, pieces):
    random = np.random.default_rng(seed)
    vectors = ((random.standard_normal((300, width)) + shift) * scale).astype(np.float32)
    left = quantise(vectors)[2]
    result = Spread.of([moments_of(part) for part in np.array_split(vectors, pieces)])
    assert result.count == 300
    np.testing.assert_allclose(result.mean, vectors.mean(axis=0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(result.residuals.total, left.sum(axis=0), rtol=1e-9, atol=1e-12)
    assert result.residuals.count == 300
    assert result.residual_spread >= around(left, 0.0)
    underflow, rounding = 300 * width * 2.0**-124, 2.0**-12 * (vectors.astype(np.float64) ** 2).sum()
    for centre in (vectors.mean(axis=0), np.zeros(width), vectors[0]):
        true = around(vectors, centre)
        seen = result.around(float(np.linalg.norm(result.mean - centre)))
        assert true <= seen * (1 + 1e-12)
        assert seen <= (2 * pieces + 1) * (true + rounding + underflow)


@pytest.mark.parametrize("pieces", [1, 3])
def test_the_typical_spread_lies_between_the_mean_and_the_largest(pieces):
    lengths = np.array([3.0, 1.0, 0.0])
    vectors = (5 + np.random.default_rng(3).standard_normal((900, 3)) * lengths).astype(np.float32)
    result = Spread.of([moments_of(part) for part in np.array_split(vectors, pieces)])
    assert result.typical_eigenvalue == pytest.approx(900 * (lengths**4).sum() / (lengths**2).sum(), rel=0.1)
    assert result.typical_eigenvalue < result.around_mean
    assert Spread.of([moments_of(np.full((9, 3), 0.25, dtype=np.float32))]).typical_eigenvalue == 0


@pytest.mark.parametrize("scale", [1e20, 1e38])
def test_values_beyond_float32_have_no_spread(scale):
    vectors = (np.random.default_rng(2).random((50, 3)) * scale).astype(np.float32)
    assert Spread.of([moments_of(vectors)]) is None


@settings(deadline=None, max_examples=examples(60))
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e12]),
    shift=st.sampled_from([0.0, 1.0, 30.0]),
    more=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    far=st.sampled_from([1.0, 100.0]),
)
def test_values_added_later_are_bounded_with_or_without_a_look_at_them(seed, scale, shift, more, far):
    random = np.random.default_rng(seed)
    pieces = [random.standard_normal((300, 5)) + shift, *(random.standard_normal((n, 5)) * far for n in more)]
    pieces = [(part * scale).astype(np.float32) for part in pieces]
    sealed, joined = moments_of(pieces[0] * 3), moments_of(pieces[0])
    assert Spread.of([sealed, joined]) is not None
    for position, piece in enumerate(pieces[1:], start=2):
        left = quantise(piece)[2]
        joined = joined.merge(Moments.of(piece, left.astype(np.float32), left.sum(axis=0)))
        spread = Spread.of([sealed, joined])
        vectors = np.concatenate([pieces[0] * 3, *pieces[:position]])
        left = quantise(vectors)[2]
        assert around(vectors, vectors.mean(axis=0, dtype=np.float64)) <= spread.around_mean * (1 + 1e-12)
        assert around(left, 0.0) <= spread.residual_spread * (1 + 1e-12)
        anew = Spread.of([moments_of(pieces[0] * 3), moments_of(np.concatenate(pieces[:position]))])
        allowed = (1 + 1 / 32) * anew.around_mean + 2.0**-10 * anew.square + 1e-36
        assert spread.around_mean <= allowed


def matrices(seed, width=3):
    return np.random.default_rng(seed).standard_normal((2, width, width))


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=7), min_size=1, max_size=12))
def test_the_sum_is_that_of_the_arrays_in_their_order(asked):
    arrays, running = [matrices(seed) for seed in range(6)], RunningGrams()
    for list_of_arrays in asked:
        result = running.of([arrays[array] for array in list_of_arrays])
        expected = sum((arrays[array] for array in list_of_arrays[1:]), arrays[list_of_arrays[0]])
        np.testing.assert_array_equal(result.total, expected)
        np.testing.assert_allclose(result.traces, [np.trace(array) for array in expected])


def test_infinite_grams_bound_nothing():
    running = RunningGrams()
    assert running.of([np.full((2, 2, 2), np.inf), matrices(1, 2)]) is None
    assert running.of([matrices(0, 2), matrices(1, 2)]) is not None


def test_views_share_the_sums_of_their_blocks():
    memory, random = Memory("dot", limits=Limits(block_rows=16)), np.random.default_rng(0)
    memory.publish(add=Rows(np.arange(50), random.standard_normal((50, 4))))
    before = memory.view.grams
    removed = memory.publish(remove=np.array([3, 20]))
    assert removed.grams is before
    for number in range(50, 90, 3):
        view = memory.publish(add=Rows(np.arange(number, number + 3), random.standard_normal((3, 4))))
        np.testing.assert_array_equal(view.grams.total, sum(s.block.codes.grams for s in view.segments))
