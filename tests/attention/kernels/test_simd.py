"""Sixteen numbers side by side: what is done to them in compiled code is what NumPy does to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

numba = pytest.importorskip("numba")

from attention.kernels import dot_amx, in_numpy, softmax_terms, value_passes, weight_levels  # noqa: E402
from attention.kernels.layout import columns_room, put_columns  # noqa: E402

RUN = 64
f32 = np.float32


@numba.njit
def lifted(scales, allowed, first):
    lifts = np.full((2, RUN), np.float32(7.0))
    softmax_terms.scale_and_mask(scales, allowed, first, lifts)
    return lifts


@pytest.mark.parametrize(
    ("rows", "first"), [(1, 0), (63, 0), (64, 0), (65, 0), (65, 64), (100, 0), (100, 64), (128, 0), (128, 64)]
)
def test_rows_without_leave_and_rows_that_are_not_there_are_far_below(rows, first):
    random = np.random.default_rng(rows)
    scales, allowed = random.random(rows, dtype=f32), random.random(rows) < 0.7
    factors, terms = np.zeros(RUN, f32), np.full(RUN, softmax_terms.FAR_BELOW)
    part = slice(first, min(first + RUN, rows))
    here = part.stop - part.start
    factors[:here] = np.where(allowed[part], scales[part], 0)
    terms[:here] = np.where(allowed[part], 0, softmax_terms.FAR_BELOW)
    np.testing.assert_array_equal(lifted(scales, allowed, first), [factors, terms])


@numba.njit
def similar(product, planes, query, lifts, offset, step):
    found = np.empty(RUN, np.float32)
    softmax_terms.to_similarities(product, planes, query, lifts, offset, step, found)
    return found


@pytest.mark.parametrize("planes", [1, 2])
def test_similarities_are_products_lifted(planes):
    random = np.random.default_rng(planes)
    product = random.integers(-(2**20), 2**20, (3 * planes, RUN)).astype(np.int32)
    lifts = random.standard_normal((2, RUN), dtype=f32)
    for query in range(3):
        mine = product[planes * query : planes * (query + 1)].astype(np.int64)
        whole = mine[0] if planes == 1 else 256 * mine[0] + mine[1]
        expected = (whole - 1234) * (lifts[0].astype(float) * 0.01) + lifts[1]
        found = similar(product, planes, query, lifts, np.int32(1234), f32(0.01))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@numba.njit
def softened(found, bar, inverse, first):
    terms = np.full(2 * RUN, np.float32(-1.0))
    return softmax_terms.terms_of(found, bar, inverse, terms, first), terms


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    bar=st.sampled_from([-3e38, -1.0, 0.0, 0.5, 9.0]),
    inverse=st.sampled_from([0.0, 0.1, 1.0, 20.0, 1e30]),
    first=st.sampled_from([0, 17, 64]),
)
def test_terms_are_exponentials_of_what_is_below_the_bar(seed, bar, inverse, first):
    random = np.random.default_rng(seed)
    found = random.standard_normal(RUN, dtype=f32)
    found[random.random(RUN) < 0.2] = softmax_terms.FAR_BELOW
    found[0] = min(f32(bar), f32(2.0)) if bar > softmax_terms.NOT_ALLOWED else found[0]
    (mass, depth, square, listed), terms = softened(found, f32(bar), f32(inverse), first)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.clip((found.astype(float) - f32(bar)) * f32(inverse), -87, 0)
    e = np.where((found < f32(bar)) & (found > softmax_terms.NOT_ALLOWED), np.exp(x), 0)
    np.testing.assert_allclose(terms[first : first + RUN], e, rtol=2e-5, atol=0)
    np.testing.assert_allclose([mass, depth, square], [e.sum(), (e * x).sum(), (e * e).sum()], rtol=2e-5, atol=1e-37)
    assert listed == (found >= f32(bar)).any()
    assert (np.delete(terms, np.arange(first, first + RUN)) == -1).all()


@settings(deadline=None)
@given(
    rows=st.integers(1, 2300),
    width=st.sampled_from([1, 3, 63, 64, 65, 130]),
    queries=st.integers(1, 5),
    most=st.sampled_from([127, 127 * 256 + 127]),
    above=st.booleans(),
)
def test_blends_are_those_of_numpy(rows, width, queries, most, above):
    random = np.random.default_rng(rows)
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    room = columns_room(-(-rows // 1024), 1024, width)
    for chunk, first in enumerate(range(0, rows, 1024)):
        put_columns(room[chunk], 0, codes[first : first + 1024])
    weights = np.full((queries, rows + 70), f32(np.nan))  # what is behind the rows must not be read
    weights[:, :rows] = random.random((queries, rows), dtype=f32) ** 4
    scales = random.random(rows, dtype=f32)
    top = (weights[:, :rows] * scales).max(axis=1)
    steps = np.maximum(top * (0.3 if above and most == 127 else 1.0) / most, 1e-30).astype(f32)
    values = codes * scales[:, None]
    found, expected = np.ones((queries, width)), np.ones((queries, width))
    value_passes.blend(room, weights, scales, steps, most, values, found, dot_amx.amx_usable())
    in_numpy.blend(room, weights, scales, steps, most, values, expected)
    # A level half-way between two may go either way.
    room_for_ties = 2 * steps[:, None].astype(float) * 127 + 1e-9
    assert (np.abs(found - expected) <= room_for_ties).all()
    sums, largest = value_passes.weight_of(weights, rows)
    np.testing.assert_allclose(sums, weights[:, :rows].sum(axis=1, dtype=float), rtol=1e-6)
    np.testing.assert_array_equal(largest, weights[:, :rows].max(axis=1))


def test_a_weight_at_the_edge_of_one_byte_is_counted_once():
    random = np.random.default_rng(4)
    codes = random.integers(-127, 128, (RUN, 8)).astype(np.int8)
    room = columns_room(1, 1024, 8)
    put_columns(room[0], 0, codes)
    scales = (0.003 * random.random(RUN) + 0.001).astype(f32)
    for step in random.random(200, dtype=f32) * 1e-3:
        weights = ((127.5 + 1e-5 * random.standard_normal(RUN)) * step / scales).astype(f32)[None]
        values = codes * scales[:, None]
        found = np.zeros((1, 8))
        value_passes.blend(room, weights, scales, np.array([step]), 127, values, found, dot_amx.amx_usable())
        # Rounding is at most half a level each; a row that is left out or counted twice is 127.
        assert (np.abs(found - weights.astype(float) @ values) <= 0.51 * step * np.abs(codes).sum(axis=0)).all()


@numba.njit
def leveled(weights, scales, inverse, most):
    coarse, fine = np.full(RUN, np.int8(9)), np.full((2, RUN), np.int8(9))
    total, above = weight_levels.coarse_levels(weights, 0, scales, 0, inverse, most, coarse, 0)
    return coarse, total, above, fine, weight_levels.fine_levels(weights, 0, scales, 0, inverse, fine, 0, RUN)


def test_levels_are_whole_numbers_in_one_byte_or_two():
    weights = np.linspace(0, 300, RUN, dtype=f32)
    coarse, total, above, fine, fine_total = leveled(weights, np.ones(RUN, f32), f32(1.0), f32(127.0))
    whole = np.rint(weights)
    np.testing.assert_array_equal(coarse, np.where(whole > 127, 0, whole))
    assert (total, above) == (coarse.sum(dtype=int), True)
    np.testing.assert_array_equal(256 * fine[0].astype(int) + fine[1], whole)
    assert fine_total == whole.sum()
    assert not leveled(weights / 3, np.ones(RUN, f32), f32(1.0), f32(127.0))[2]
