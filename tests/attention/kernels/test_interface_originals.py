"""Products with float32 originals and sums of them, against plain float64 definitions."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup.codes.quantisation import quantise
from tests.attention.kernels.implementations import EVERY, EVERY_IN_C
from tests.thorough import crossed

N = 60


def data_of(width, queries=3):
    random = np.random.default_rng([width, queries])
    vectors = random.standard_normal((N, width)).astype(np.float32)
    return random, vectors, random.standard_normal((queries, width))


@EVERY
@crossed(
    {
        "width": [1, 3, 4, 17, 64, 100],
        "count": [0, 1, 3, 4, 5, 59],
        "queries": [1, 2, 5],
    }
)
def test_all_products_match_each_query_with_each_selected_row(running, width, count, queries):
    random, vectors, vectors_of_queries = data_of(width, queries)
    rows = random.integers(0, N, count)
    products = np.full((queries, count), np.nan)
    running.all_products(vectors, rows, vectors_of_queries, products)
    np.testing.assert_allclose(
        products, vectors_of_queries @ vectors[rows].astype(np.float64).T, rtol=1e-12, atol=1e-13
    )


@EVERY
@pytest.mark.parametrize("width", [1, 3, 4, 17, 100])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 59])
def test_all_sums_add_weights_times_rows_to_the_outputs(running, width, count):
    random, vectors, _ = data_of(width)
    rows, weights, outputs = random.integers(0, N, count), random.random((3, count)), random.standard_normal((3, width))
    weights[1] = 0
    expected = outputs + weights @ vectors[rows].astype(np.float64)
    untouched = outputs[1].copy()
    running.all_sums(vectors, rows, weights, outputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(outputs[1], untouched)


@EVERY
@pytest.mark.parametrize("width", [1, 3, 17, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 59])
def test_a_row_is_multiplied_with_the_query_that_asks_for_it(running, width, count):
    random, vectors, queries = data_of(width)
    rows, query_numbers = random.integers(0, N, count), random.integers(0, 3, count)
    products = running.row_products(vectors, rows, queries, query_numbers)
    np.testing.assert_allclose(
        products, (vectors[rows].astype(np.float64) * queries[query_numbers]).sum(axis=1), rtol=1e-12, atol=1e-13
    )


@EVERY
@pytest.mark.parametrize("width", [1, 3, 17, 64, 101])
def test_copies_of_a_row_have_the_same_product_to_the_bit(running, width):
    random, vectors, queries = data_of(width)
    vectors[::7] = vectors[0]
    rows = np.concatenate([np.arange(0, N, 7), random.integers(0, N, 30)])
    order = random.permutation(len(rows))
    products = running.row_products(vectors, rows[order], queries, np.ones(len(rows), dtype=np.int64))
    assert len(set(products[np.isin(rows[order], np.arange(0, N, 7))])) == 1


@EVERY_IN_C
@pytest.mark.parametrize("width", [1, 3, 8, 17, 101])
@pytest.mark.parametrize("queries", [1, 2, 3, 7])
def test_products_of_all_rows_have_the_digits_of_single_ones(running, width, queries):
    random, vectors, vectors_of_queries = data_of(width, queries)
    rows, products = random.integers(0, N, 43), np.empty((queries, 43))
    running.all_products(vectors, rows, vectors_of_queries, products)
    assert running.ORDERED
    for query in range(queries):
        single = running.row_products(vectors, rows, vectors_of_queries, np.full(43, query))
        np.testing.assert_array_equal(products[query], single)


@EVERY
@pytest.mark.parametrize("width", [1, 3, 17])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_rows_are_added_one_by_one_to_the_output_of_their_query(running, width, count):
    random, vectors, _ = data_of(width)
    rows, query_numbers, weights = random.integers(0, N, count), random.integers(0, 3, count), random.random(count)
    outputs = random.standard_normal((4, width))
    expected = outputs.copy()
    np.add.at(expected, query_numbers, weights[:, None] * vectors[rows])
    running.add_rows(vectors, rows, query_numbers, weights, outputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)


@EVERY
@crossed(
    {
        "width": [1, 3, 17, 64, 101],
        "scale": [1e-42, 1e-38, 1.0, 1e38],
    }
)
def test_rows_are_coded_step_by_step_in_float64(running, width, scale):
    _, vectors, _ = data_of(width)
    vectors = (np.tile(vectors, (5, 1)) / np.abs(vectors).max() * scale).astype(np.float32)
    vectors[5] = 0
    vectors[7, :2] = (scale, scale / 254)[:width]  # half a step: at the edge between two codes
    count = len(vectors)
    codes, left = np.full((count, width), 99, dtype=np.int8), np.full((count, width), np.nan, dtype=np.float32)
    scales, squares, total = np.full(count, np.nan), np.full(count, np.nan), np.ones(width)
    running.code_rows(vectors, codes, left, scales, squares, total)
    expected, expected_scales, residuals = quantise(vectors)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(scales, expected_scales)
    np.testing.assert_array_equal(left, residuals.astype(np.float32))
    np.testing.assert_allclose(squares, (residuals * residuals).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(total - 1, residuals.sum(axis=0), rtol=1e-11, atol=1e-13 * max(scale, 1))


@EVERY
@crossed(
    {
        "width": [1, 3, 17, 64, 101],
        "count": [0, 1, 2, 5, 300],
        "scale": [1e-38, 1.0, 1e30],
    }
)
def test_the_residual_sum_matches_the_rounding_of_codes(running, width, count, scale):
    random, vectors, _ = data_of(width)
    vectors *= np.float32(scale)
    vectors[5] = 0
    vectors[7, :2] = (254 * scale, scale)[:width]  # half a step: at the edge between two codes
    rows = random.integers(0, N, count)
    result = running.residual_sum(vectors, rows)
    expected = quantise(vectors)[2][rows].sum(axis=0)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-13 * scale)
