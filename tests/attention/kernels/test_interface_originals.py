"""Products with float32 originals and sums of them, against plain float64 definitions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from softkv_attention.lookup.codes.quantisation import quantise
from tests.attention.kernels.implementations import EVERY, EVERY_IN_C
from tests.thorough import crossed

N = 60


class Case(NamedTuple):
    """Some rows of float32 vectors, the query that asks for each, weights of all for each query, and outputs."""

    vectors: np.ndarray
    rows: np.ndarray
    selected: np.ndarray
    queries: np.ndarray
    of: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray


def data_of(width, queries=3):
    random = np.random.default_rng([width, queries])
    vectors = random.standard_normal((N, width)).astype(np.float32)
    return random, vectors, random.standard_normal((queries, width))


def products(running, case):
    result = np.full(case.weights.shape, np.nan)
    running.all_products(case.vectors, case.rows, case.queries, result)
    return result, case.queries @ case.selected.T


def sums(running, case):
    result = case.outputs.copy()
    running.all_sums(case.vectors, case.rows, case.weights, result)
    np.testing.assert_array_equal(result[0], case.outputs[0])  # whose weights are 0
    return result, case.outputs + case.weights @ case.selected


def single_products(running, case):
    result = running.row_products(case.vectors, case.rows, case.queries, case.of)
    return result, (case.selected * case.queries[case.of]).sum(axis=1)


def added_rows(running, case):
    result, expected = case.outputs.copy(), case.outputs.copy()
    running.add_rows(case.vectors, case.rows, case.of, case.weights[-1].copy(), result)
    np.add.at(expected, case.of, case.weights[-1][:, None] * case.selected)
    return result, expected


@EVERY
@crossed(
    {
        "width": [1, 3, 4, 17, 64, 100],
        "count": [0, 1, 2, 3, 4, 5, 59, 300],
        "queries": [1, 2, 5, 17],
        "kernel": [products, sums, single_products, added_rows],
    }
)
def test_products_and_sums_are_those_of_float64(running, width, count, queries, kernel):
    random, vectors, vectors_of_queries = data_of(width, queries)
    rows, of, weights = (
        random.integers(0, N, count),
        random.integers(0, queries, count),
        random.random((queries, count)),
    )
    weights[0] = 0
    outputs = random.standard_normal((queries, width))
    case = Case(vectors, rows, vectors[rows].astype(np.float64), vectors_of_queries, of, weights, outputs)
    np.testing.assert_allclose(*kernel(running, case), rtol=1e-12, atol=1e-12)


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
@crossed(
    {
        "width": [1, 3, 17, 64, 101],
        "scale": [1e-42, 1e-38, 1e-6, 1.0, 1e38],
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
