"""Quadratic forms in float32: every implementation is within what the bound allows of the plain ones in float64."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attention.kernels.implementations import EVERY


@EVERY
@pytest.mark.parametrize("width", [1, 3, 8, 17, 64, 101])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 17, 40])
def test_each_vector_has_its_own_form(running, width, count):
    random = np.random.default_rng([width, count])
    vectors = random.standard_normal((count, width)) * 10.0 ** random.integers(-30, 30, (count, 1))
    vectors[1:2] = 0
    factor = random.standard_normal((width, width))
    matrix = (factor @ factor.T).astype(np.float32)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / np.where(lengths, lengths, 1.0)[:, None]
    sizes, wide = np.abs(units), matrix.astype(np.float64)
    squares, forms = running.quadratic_forms(vectors, matrix)
    np.testing.assert_allclose(squares, lengths**2, rtol=1e-12)
    bound = ((sizes @ np.abs(wide)) * sizes).sum(axis=1)
    assert (np.abs(forms - ((units @ wide) * units).sum(axis=1)) <= (width + 8) * 2.0**-24 * bound).all()
