"""Softmax sums of float32 rows and the gradients of their queries, against plain float64 definitions."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.kernels import FloatRows
from softkv_attention.kernels.layout import similarity_columns
from tests.attention.kernels.implementations import EVERY, EVERY_IN_C
from tests.thorough import crossed

N = 1300


def data_of(width, value_width, count, queries, *, scattered=False, scaled=False):
    random = np.random.default_rng([width, count, queries])
    keys = random.standard_normal((N, width)).astype(np.float32)
    values = keys if value_width is None else random.standard_normal((N, value_width)).astype(np.float32)
    rows = random.permutation(N)[:count] if scattered else None
    if rows is None:
        keys, values = keys[:count], keys[:count] if value_width is None else values[:count]
        values = keys if value_width is None else values
    factors = (0.5 + random.random(count)).astype(np.float32) if scaled else None
    addends = random.standard_normal(count).astype(np.float32) if scaled else None
    vectors = random.standard_normal((queries, width)).astype(np.float32) / np.float32(np.sqrt(width))
    return random, FloatRows(keys, values, rows, factors, addends), vectors


def blend(running, rows, vectors, inverse, *, by_factor=False, parts=1):
    count, width = len(vectors), rows.values.shape[1]
    peaks, sums, outputs = np.full(count, -np.inf, np.float32), np.zeros((count, 2)), np.zeros((count, width))
    for part in np.array_split(np.arange(rows.size), parts):
        positions = part if rows.rows is None else rows.rows[part]
        some = FloatRows(
            *(rows.keys, rows.values, positions),
            *(None if column is None else column[part] for column in (rows.factors, rows.addends)),
        )
        running.blend_rows(rows if parts == 1 else some, vectors, inverse, by_factor, peaks, sums, outputs)
    return peaks, sums, outputs


def exact(rows, vectors, inverse):
    """Return similarities, terms, keys and values in float64."""
    keys, values = (array.astype(np.float64) for array in (rows.keys, rows.values))
    if rows.rows is not None:
        keys, values = keys[rows.rows], values[rows.rows]
    similarities = vectors.astype(np.float64) @ keys.T
    if rows.factors is not None:
        similarities = similarities * rows.factors + rows.addends
    terms = np.exp((similarities - similarities.max(axis=1, keepdims=True)) * inverse[:, None].astype(np.float64))
    return similarities, terms, keys, values


SIZES = {
    "width": [1, 33, 96],
    "value_width": [None, 1, 47],
    "count": [1, 128, 300, 1200],
    "queries": [1, 13, 33],
}


@EVERY
@crossed(SIZES)
@pytest.mark.parametrize("scattered", [False, True])
def test_sums_and_gradients_match_their_definitions(running, width, value_width, count, queries, scattered):
    random, rows, vectors = data_of(width, value_width, count, queries, scattered=scattered, scaled=scattered)
    inverse = np.linspace(0.5, 6, queries, dtype=np.float32)
    similarities, terms, keys, values = exact(rows, vectors, inverse)
    peaks, sums, outputs = blend(running, rows, vectors, inverse, by_factor=scattered)
    factors = np.ones(count) if rows.factors is None else rows.factors.astype(np.float64)
    np.testing.assert_allclose(peaks, similarities.max(axis=1), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(sums[:, 0], terms.sum(axis=1), rtol=3e-5)
    size = np.abs(similarities).max()
    np.testing.assert_allclose(sums[:, 1], (terms * similarities).sum(axis=1), rtol=3e-5, atol=3e-5 * size * count)
    np.testing.assert_allclose(outputs, (terms * factors) @ values, rtol=1e-4, atol=3e-5 * terms.sum())

    gradients = random.standard_normal((queries, values.shape[1])).astype(np.float32)
    levels = random.standard_normal(queries).astype(np.float32)
    sums, pulled = np.zeros((queries, 3)), np.zeros((queries, width))
    running.pull_rows(rows, vectors, inverse, peaks, gradients, levels, sums, pulled)
    shares = terms * (gradients.astype(np.float64) @ values.T - levels[:, None])
    close = {"rtol": 1e-4, "atol": 1e-4 * max(1.0, float(np.abs(shares).sum(axis=1).max()))}
    np.testing.assert_allclose(sums[:, 0], shares.sum(axis=1), **close)
    np.testing.assert_allclose(sums[:, 1], (shares * similarities).sum(axis=1), **close)
    np.testing.assert_allclose(sums[:, 2], np.abs(shares).sum(axis=1), **close)
    np.testing.assert_allclose(pulled, (shares * factors) @ keys, **close)


@EVERY
@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize(("count", "queries"), [(1, 1), (130, 16), (1200, 17), (300, 64)])
def test_gradients_of_kept_similarities_are_the_same_bits(running, count, queries, scattered):
    random, rows, vectors = data_of(33, 20, count, queries, scattered=scattered, scaled=scattered)
    inverse = np.full(queries, 2, np.float32)
    stored = np.full((rows.size, similarity_columns(queries)), np.nan, np.float32)
    peaks, sums, outputs = blend(running, rows, vectors, inverse)
    peaks_of_kept, sums_of_kept, outputs_of_kept = np.full_like(peaks, -np.inf), np.zeros_like(sums), 0 * outputs
    running.blend_rows(rows, vectors, inverse, False, peaks_of_kept, sums_of_kept, outputs_of_kept, stored)
    for one, other in zip((peaks, sums, outputs), (peaks_of_kept, sums_of_kept, outputs_of_kept), strict=True):
        np.testing.assert_array_equal(one, other)
    gradients = random.standard_normal((queries, 20)).astype(np.float32)
    of_queries, results = (vectors, inverse, peaks, gradients, np.ones(queries, np.float32)), []
    for similarities in (None, stored):
        totals, pulled = np.zeros((queries, 3)), np.zeros((queries, 33))
        running.pull_rows(rows, *of_queries, totals, pulled, similarities)
        results.append((totals, pulled))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
def test_rows_may_come_in_parts_in_any_order_of_similarity(running):
    _, rows, vectors = data_of(33, 20, 300, 6)
    order = np.argsort(rows.keys @ vectors[0])
    inverse = np.full(6, 2, np.float32)
    for direction in (order, order[::-1].copy()):
        sorted_rows = rows._replace(rows=direction)
        whole, parts = (blend(running, sorted_rows, vectors, inverse, parts=parts) for parts in (1, 4))
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@EVERY
def test_terms_far_below_the_peak_are_zeros(running):
    _, rows, vectors = data_of(16, 3, 300, 5)
    peaks, sums, outputs = blend(running, rows, vectors, np.full(5, 1e6, np.float32))
    best = (vectors @ rows.keys.T).argmax(axis=1)
    np.testing.assert_allclose(sums[:, 0], 1)
    np.testing.assert_allclose(outputs, rows.values[best], rtol=1e-6)
    pulled, totals = np.zeros((5, 16)), np.zeros((5, 3))
    gradients = np.zeros((5, 3), np.float32)
    ones = np.ones(5, np.float32)
    running.pull_rows(rows, vectors, np.full(5, 1e6, np.float32), peaks, gradients, -ones, totals, pulled)
    np.testing.assert_allclose(pulled, rows.keys[best], rtol=1e-6)


@EVERY_IN_C
def test_positions_and_sizes_are_checked(running):
    _, rows, vectors = data_of(16, 3, 300, 5)
    inverse = np.ones(5, np.float32)
    with pytest.raises(IndexError, match="wanted values and positions of 300 rows"):
        blend(running, rows._replace(rows=np.array([300])), vectors, inverse)
    with pytest.raises(IndexError, match="got 299 values"):
        blend(running, rows._replace(values=rows.values[:299]), vectors, inverse)
    with pytest.raises(ValueError, match="wanted 80 numbers"):
        blend(running, rows, vectors[:, :7].copy(), inverse)
    room = np.zeros((299, similarity_columns(5)), np.float32)
    with pytest.raises(ValueError, match="wanted 4800 numbers"):
        running.blend_rows(
            *(rows, vectors, inverse, False, np.zeros(5, np.float32), np.zeros((5, 2)), np.zeros((5, 3)), room)
        )
