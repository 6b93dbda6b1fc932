"""Products of bytes are whole numbers, by whatever the processor has for them."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.dot import amx as dot_amx
from attention.kernels.dot.products import byte_products


@pytest.mark.parametrize("width", [1, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 7, 16, 21, 32, 64])
def test_products_are_exact_with_leave_to_use_the_matrix_unit_and_without(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for unit in {False, dot_amx.amx_usable()}:
        products = np.ones((queries, 64), dtype=np.int32)  # what is there is written over
        byte_products(stored, group, factors, products, unit)
        np.testing.assert_array_equal(products, expected)


@pytest.mark.thorough
def test_a_processor_without_the_instructions_gives_the_same_answers(answered):
    found, name = answered(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    np.testing.assert_allclose(found, answered()[0], rtol=1e-5, atol=1e-5)
    assert name == "numba"
