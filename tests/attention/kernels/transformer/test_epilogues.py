"""Biases, residuals and factors reach the rows and columns that are meant, and no others."""

from __future__ import annotations

import numba
import numpy as np

from attention.kernels.transformer import epilogues
from attention.kernels.transformer.parameters import NONE, zero_rows
from tests.attention.kernels.transformer.kept import kept, numbers_of


@numba.njit
def call_all(way, sums, n, bias, layer, offset, columns, curve, x, y, words, factors, scaled):
    epilogues.finish(way, sums, n, bias, layer, offset, columns, curve, words, 2, 32)
    epilogues.add(y, n, bias, layer, x, 2)
    epilogues.scale(way, sums, n, columns, factors, scaled, 2, offset)


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
