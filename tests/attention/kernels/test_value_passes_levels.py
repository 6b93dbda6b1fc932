"""Sixty-four weights: their sum, their levels in 8 or 16 bits, and products that are added to a blend."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import value_passes
from attention.kernels.layout import FINE_LEVELS, LEVELS, PANEL

f32 = np.float32
AT, FIRST, PLACE = 5, 17, 40
"""The positions at which weights, scales and bytes begin in their arrays."""


@numba.njit
def leveled(weights, scales, inverse, limit):
    coarse, fine = np.full(PANEL, np.int8(9)), np.full((2, PANEL), np.int8(9))
    total, above = value_passes.coarse_levels(weights, 0, scales, 0, inverse, limit, coarse, 0)
    return coarse, total, above, fine, value_passes.fine_levels(weights, 0, scales, 0, inverse, fine, 0, PANEL)


def test_levels_are_whole_numbers_in_one_byte_or_two():
    weights = np.linspace(0, 300, PANEL, dtype=f32)
    coarse, total, above, fine, fine_total = leveled(weights, np.ones(PANEL, f32), f32(1.0), f32(127.0))
    whole = np.rint(weights)
    np.testing.assert_array_equal(coarse, np.where(whole > 127, 0, whole))
    assert (total, above) == (coarse.sum(dtype=int), True)
    np.testing.assert_array_equal(256 * fine[0].astype(int) + fine[1], whole)
    assert fine_total == whole.sum()
    assert not leveled(weights / 3, np.ones(PANEL, f32), f32(1.0), f32(127.0))[2]


@numba.njit
def elsewhere(weights, scales, inverse, limit, packed):
    """Return the same results for larger arrays that contain the panel."""
    total, above = value_passes.coarse_levels(weights, AT, scales, FIRST, inverse, limit, packed[0], PLACE)
    fine = value_passes.fine_levels(weights, AT, scales, FIRST, inverse, packed[1], PLACE, PLACE + PANEL)
    return total, above, fine, value_passes.sum_and_largest(weights, AT)


@settings(deadline=None)
@given(seed=st.integers(0, 999), top=st.sampled_from([0.0, 1.0, 126.9, 127.4, 127.6, 400.0, float(FINE_LEVELS)]))
def test_levels_are_of_the_panel_s_own_weights_and_scales_and_go_to_its_own_place(seed, top):
    random = np.random.default_rng(seed)
    weights, scales = random.random((2, 200), dtype=f32)
    weights[AT : AT + PANEL] *= f32(top) / (weights[AT : AT + PANEL] * scales[FIRST : FIRST + PANEL]).max()
    packed = np.full((2, 300), 9, dtype=np.int8)
    total, above, fine_total, (mass, largest) = elsewhere(weights, scales, f32(1), f32(LEVELS), packed)
    own_weights = weights[AT : AT + PANEL]
    exact = own_weights.astype(float) * scales[FIRST : FIRST + PANEL]
    coarse = packed[0, PLACE : PLACE + PANEL].astype(int)
    high, low = packed[1, PLACE : PLACE + 2 * PANEL].reshape(2, PANEL).astype(int)
    assert (np.abs(256 * high + low - exact) <= 0.5 + 1e-6 * exact).all()
    assert fine_total == (256 * high + low).sum()
    np.testing.assert_array_equal(coarse, np.where(256 * high + low > LEVELS, 0, 256 * high + low))
    assert (total, above) == (coarse.sum(), bool((256 * high + low > LEVELS).any()))
    assert (packed[:, :PLACE] == 9).all()
    assert (packed[0, PLACE + PANEL :] == 9).all()
    assert (packed[1, PLACE + 2 * PANEL :] == 9).all()
    assert mass == pytest.approx(own_weights.sum(dtype=float), rel=1e-6)
    assert largest == own_weights.max()


@numba.njit
def paired(weights, scales, inverse, into):
    return value_passes.level_pairs(weights, AT, scales, FIRST, inverse, into, PLACE)


@settings(deadline=None)
@given(seed=st.integers(0, 999), top=st.sampled_from([0.0, 1.0, 400.0, 16_383.0]))
def test_levels_of_16_bits_lie_in_pairs_of_the_first_and_third_and_of_the_second_and_fourth(seed, top):
    random = np.random.default_rng(seed)
    weights, scales = random.random((2, 200), dtype=f32)
    weights[AT : AT + PANEL] *= f32(top) / (weights[AT : AT + PANEL] * scales[FIRST : FIRST + PANEL]).max()
    into = np.full(300, 9, dtype=np.int16)
    total = paired(weights, scales, f32(1), into)
    levels = into[PLACE : PLACE + PANEL].reshape(-1, 4)[:, [0, 2, 1, 3]].ravel().astype(int)
    exact = weights[AT : AT + PANEL].astype(float) * scales[FIRST : FIRST + PANEL]
    assert (np.abs(levels - exact) <= 0.5 + 1e-6 * exact).all()
    assert total == levels.sum()
    assert (np.delete(into, slice(PLACE, PLACE + PANEL)) == 9).all()


@numba.njit
def added(products, row, offset, step, coarse, fine, first):
    value_passes.add_coarse(products, row, offset, step, coarse, first)
    value_passes.add_fine(products, row, offset, step, fine, first)


@settings(deadline=None)
@given(seed=st.integers(0, 999), row=st.integers(0, 3), first=st.sampled_from([0, 3, 64]))
def test_products_above_the_offset_are_added_in_steps(seed, row, first):
    random = np.random.default_rng(seed)
    products = random.integers(-(2**31), 2**31, (5, PANEL)).astype(np.int32)
    coarse, fine = random.standard_normal((2, 130))
    offset, step, rows_in_chunk = (
        int(random.integers(-(2**31), 2**31)),
        float(f32(random.random())),
        slice(first, first + PANEL),
    )
    expected_coarse, expected_fine = coarse.copy(), fine.copy()
    # Products wrap round at 32 bits, and so does what lies above the offset.
    whole = products.astype(np.int64)
    expected_coarse[rows_in_chunk] += step * (whole[row] - offset).astype(np.int32)
    expected_fine[rows_in_chunk] += step * (256 * whole[row] + whole[row + 1] - offset).astype(np.int32)
    added(products, row, offset, step, coarse, fine, first)
    np.testing.assert_allclose(coarse, expected_coarse, rtol=1e-12, atol=1e-4)
    np.testing.assert_allclose(fine, expected_fine, rtol=1e-12, atol=1e-4)
