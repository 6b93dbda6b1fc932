"""Operations on rows between products, compared with NumPy in float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from attention.kernels.transformer import row_operations
from attention.kernels.transformer.parameters import NONE, zero_rows
from tests.attention.kernels.transformer.kept import kept, numbers_of


@numba.njit
def call_all(way, sums, n, bias, layer, offset, columns, curve, x, y, words, factors, scaled):
    row_operations.finish(way, sums, n, bias, layer, offset, columns, curve, words, 2, 32)
    row_operations.add(y, n, bias, layer, x, 2)
    row_operations.scale(way, sums, n, columns, factors, scaled, 2, offset)


def test_biases_residuals_and_factors(way):
    random = np.random.default_rng(3)
    sums, bias, x = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 32), (2, 96), (6, 96)))
    y, words, scaled = random.standard_normal((5, 96)).astype(np.float32), zero_rows(6, 96, way), zero_rows(6, 96, way)
    before = y.copy()
    factors = np.array([1, 0.5, -2, 3], np.float32)
    call_all(way, sums, 4, bias, 1, 64, 32, NONE, x, y, words, factors, scaled)
    slices = (slice(2, 6), slice(64, 96))
    np.testing.assert_array_equal(numbers_of(words, way)[2:6, 32:64], kept(sums + bias[1, 64:], way))
    np.testing.assert_array_equal(y[:4], before[:4] + bias[1] + x[2:])
    np.testing.assert_array_equal(y[4], before[4])
    np.testing.assert_array_equal(numbers_of(scaled, way)[slices], kept(sums * factors[:, None], way))
    for written in (numbers_of(words, way), numbers_of(scaled, way)):
        assert np.count_nonzero(written) == 4 * 32


KEPT = {0: 6e-6, 1: 2**-8, 2: 2**-8, 3: 2**-15}


@numba.njit
def call_normalise(way, y, n, scale, shift, number, epsilon, x, words):
    row_operations.normalise(way, y, n, scale, shift, number, epsilon, x, words, 2)


@numba.njit
def call_exponentials(way, logits, n, count, padded, words, factors):
    row_operations.exponentials(way, logits, n, count, padded, words, factors)


def test_rows_are_normalised(way):
    random = np.random.default_rng(0)
    y = (random.standard_normal((6, 64)) * 5 + 100).astype(np.float32)
    y[5] = 3
    scale, shift = (random.standard_normal((3, 64)).astype(np.float32) for _ in range(2))
    x, words = np.zeros((9, 64), np.float32), zero_rows(9, 64, way)
    call_normalise(way, y, 6, scale, shift, 1, np.float32(1e-5), x, words)
    exact = y.astype(np.float64)
    centred = exact - exact.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * scale[1] + shift[1]
    np.testing.assert_allclose(x[2:8], expected, atol=2e-5)
    assert not x[[0, 1, 8]].any()
    np.testing.assert_array_equal(numbers_of(words, way), kept(x, way))


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 40])
def test_exponentials_are_a_softmax_s(way, count):
    random = np.random.default_rng(count)
    logits = np.full((5, 64), np.nan, np.float32)  # behind the count lies anything
    logits[:, :count] = random.standard_normal((5, count)) * np.array([[1], [30], [1e4], [0], [1]])
    words, factors = zero_rows(5, 64, way), np.zeros(5, np.float32)
    words[...] = 0x7F7F7F7F
    call_exponentials(way, logits, 5, count, 48, words, factors)
    exact = np.exp(logits[:, :count].astype(np.float64) - logits[:, :count].max(axis=1, keepdims=True))
    result = numbers_of(words, way)
    np.testing.assert_allclose(result[:, :count], exact, rtol=KEPT[way] * 2, atol=1e-30)
    assert not result[:, count:48].any()
    np.testing.assert_allclose(factors, 1 / exact.sum(axis=1), rtol=2e-6)
