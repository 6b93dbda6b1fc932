"""Products of bytes with a few queries, by the processor's instruction and by the plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.cpu import compiles_for
from attention.kernels.dot.vnni import by_loop, by_vnni, has_vnni

WAYS = [by_loop] + [by_vnni] * has_vnni()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("width", [1, 3, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 4, 5, 7, 16, 21])
def test_products_are_exact_from_the_query_on_that_is_named(panels, way, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for first in {0, 1, queries - 1, queries}:
        products = np.full((queries, 64), 7, dtype=np.int32)  # what is there is written over
        way(stored, group, factors, first, products)
        np.testing.assert_array_equal(products[first:], expected[first:])
        assert (products[:first] == 7).all()


def test_the_largest_sum_there_is_fits():
    """255·127 in each of 66,311 components, just below 2³¹."""
    width = 66_311
    stored = np.full((4, -(-width // 4), 16, 4), 255, dtype=np.uint8)
    factors = np.zeros((1, 4 * stored.shape[1]), dtype=np.int8)
    factors[:, :width] = 127
    for way in WAYS:
        products = np.empty((1, 64), dtype=np.int32)
        way(stored, 0, factors.view(np.int32), 0, products)
        assert (products == 255 * 127 * width).all()


def test_it_is_there_where_the_compiler_may_use_it():
    assert has_vnni() == compiles_for("avx512vnni")
