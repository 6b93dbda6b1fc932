"""Rows are normalised, and made a softmax of, as NumPy does it in float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from attention.kernels.transformer import normalisation
from attention.kernels.transformer.parameters import zero_rows
from tests.attention.kernels.transformer.kept import kept, numbers_of

KEPT = {0: 6e-6, 1: 2**-8, 2: 2**-8, 3: 2**-15}


@numba.njit
def call_normalise(way, y, n, scale, shift, number, epsilon, x, words):
    normalisation.normalise(way, y, n, scale, shift, number, epsilon, x, words, 2)


@numba.njit
def call_exponentials(way, logits, n, count, padded, words, factors):
    normalisation.exponentials(way, logits, n, count, padded, words, factors)


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
