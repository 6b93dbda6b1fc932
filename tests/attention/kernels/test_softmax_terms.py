"""Sixty-four rows and one query: products become similarities and these terms, as NumPy makes them in float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import softmax_terms
from attention.kernels.layout import PANEL

f32 = np.float32


@numba.njit
def scaling_of(scales, allowed, first):
    scaling = np.full((2, PANEL), np.float32(7.0))
    softmax_terms.scale_and_mask(scales, allowed, first, scaling)
    return scaling


@pytest.mark.parametrize(
    ("rows", "first"), [(1, 0), (63, 0), (64, 0), (65, 0), (65, 64), (100, 0), (100, 64), (128, 0), (128, 64)]
)
def test_rows_without_leave_and_rows_that_are_not_there_are_far_below(rows, first):
    random = np.random.default_rng(rows)
    scales, allowed = random.random(rows, dtype=f32), random.random(rows) < 0.7
    factors, terms = np.zeros(PANEL, f32), np.full(PANEL, softmax_terms.FAR_BELOW)
    part = slice(first, min(first + PANEL, rows))
    count = part.stop - part.start
    factors[:count] = np.where(allowed[part], scales[part], 0)
    terms[:count] = np.where(allowed[part], 0, softmax_terms.FAR_BELOW)
    np.testing.assert_array_equal(scaling_of(scales, allowed, first), [factors, terms])


@numba.njit
def similarities_of(product, planes, query, scaling, offset, step):
    output = np.empty(PANEL, np.float32)
    softmax_terms.to_similarities(product, planes, query, scaling, offset, step, output)
    return output


@pytest.mark.parametrize("planes", [1, 2])
def test_similarities_are_products_times_scales(planes):
    random = np.random.default_rng(planes)
    product = random.integers(-(2**20), 2**20, (3 * planes, PANEL)).astype(np.int32)
    scaling = random.standard_normal((2, PANEL), dtype=f32)
    for query in range(3):
        mine = product[planes * query : planes * (query + 1)].astype(np.int64)
        whole = mine[0] if planes == 1 else 256 * mine[0] + mine[1]
        expected = (whole - 1234) * (scaling[0].astype(float) * 0.01) + scaling[1]
        result = similarities_of(product, planes, query, scaling, np.int32(1234), f32(0.01))
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@numba.njit
def terms_of(packed, threshold, inverse, first):
    terms = np.full(2 * PANEL, np.float32(-1.0))
    return softmax_terms.terms_of(packed, threshold, inverse, terms, first), terms


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    threshold=st.sampled_from([-3e38, -1.0, 0.0, 0.5, 9.0]),
    inverse=st.sampled_from([0.0, 0.1, 1.0, 20.0, 1e30]),
    first=st.sampled_from([0, 17, 64]),
)
def test_terms_are_exponentials_of_similarities_below_the_threshold(seed, threshold, inverse, first):
    random = np.random.default_rng(seed)
    result = random.standard_normal(PANEL, dtype=f32)
    result[random.random(PANEL) < 0.2] = softmax_terms.FAR_BELOW
    result[0] = min(f32(threshold), f32(2.0)) if threshold > softmax_terms.NOT_ALLOWED else result[0]
    (mass, gap, square, listed), terms = terms_of(result, f32(threshold), f32(inverse), first)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.clip((result.astype(float) - f32(threshold)) * f32(inverse), -87, 0)
    e = np.where((result < f32(threshold)) & (result > softmax_terms.NOT_ALLOWED), np.exp(x), 0)
    np.testing.assert_allclose(terms[first : first + PANEL], e, rtol=2e-5, atol=0)
    np.testing.assert_allclose([mass, gap, square], [e.sum(), (e * x).sum(), (e * e).sum()], rtol=2e-5, atol=1e-37)
    assert listed == (result >= f32(threshold)).any()
    assert (np.delete(terms, np.arange(first, first + PANEL)) == -1).all()


def test_no_term_is_smaller_than_float32_holds():
    result = np.full(PANEL, -1.0, dtype=f32)
    (mass, gap, square, listed), terms = terms_of(result, f32(0), f32(1e30), 0)
    assert terms[:PANEL] == pytest.approx(np.exp(-87), rel=1e-5)
    assert (mass, gap) == (pytest.approx(64 * np.exp(-87), rel=1e-5), pytest.approx(-87 * 64 * np.exp(-87), rel=1e-5))
    assert (square, listed) == (0, False)


def test_forbidden_rows_have_no_terms():
    result = np.full(PANEL, softmax_terms.FAR_BELOW)
    for threshold in (softmax_terms.FAR_BELOW, f32(0.5)):
        (mass, gap, square, _), terms = terms_of(result, threshold, f32(1), 0)
        assert (mass, gap, square) == (0, 0, 0)
        assert not terms[:PANEL].any()
