"""Quadratic forms in float32: both twins within what their bound allows of the plain ones in float64."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels import in_machine_code, in_numpy


@pytest.mark.parametrize("twin", [in_machine_code, in_numpy])
@pytest.mark.parametrize("width", [1, 3, 8, 17, 64, 101])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 17, 40])
def test_each_vector_has_its_own_form(twin, width, count):
    random = np.random.default_rng([width, count])
    vectors = random.standard_normal((count, width)).astype(np.float32)
    factor = random.standard_normal((width, width))
    matrix = (factor @ factor.T).astype(np.float32)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    wide, sizes = vectors.astype(np.float64), np.abs(vectors).astype(np.float64)
    expected = ((wide @ matrix.astype(np.float64)) * wide).sum(axis=1)
    most = ((sizes @ np.abs(matrix).astype(np.float64)) * sizes).sum(axis=1)
    assert (np.abs(twin.quadratic_forms(vectors, matrix) - expected) <= (width + 8) * 2.0**-24 * most).all()
