"""Products of rows with pack_panels, in each way, by lanes and by tiles: with or without a matrix unit the same."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.transformer.parameters import PANEL, THREE, pack_panels
from tests.attention.kernels.transformer.kept import OFF_BY, kept, words_of

COLUMNS = 64


def product(steps, way, a, b):
    """Return a · b, and how far beyond the last row something was written."""
    across = steps.columns_of(way)
    words, matrix = words_of(a, way, spare=PANEL), pack_panels([b], 1, way, across)
    depth = matrix.shape[3]
    part = matrix[0, 0].size
    sums = np.full((-(-len(a) // PANEL) * PANEL, COLUMNS), 7, np.float32)
    for column in range(0, b.shape[1], across):
        start = column * depth
        steps.multiply(way, len(a), words, 0, 0, matrix.reshape(-1), start, across, part, depth, sums, column, False)
    return sums


@pytest.mark.parametrize("depth", [32, 96, 1536])
def test_products_of_any_number_of_rows(steps, way, depth):
    random = np.random.default_rng(depth)
    a = random.standard_normal((45, depth)).astype(np.float32)
    b = random.standard_normal((depth, COLUMNS)).astype(np.float32)
    expected, sizes = kept(a, way) @ kept(b, way), np.abs(a) @ np.abs(b)
    together = product(steps, way, a, b)[: len(a)]
    assert np.max(np.abs(together - expected) / sizes) < OFF_BY[way]
    for rows in [*range(1, 19), 31, 32, 33, 45]:
        result = product(steps, way, a[:rows], b)
        np.testing.assert_array_equal(result[:rows], together[:rows])  # a row does not notice its neighbours


def test_sums_over_parts_of_the_depth_equal_one_product(steps, way):
    random = np.random.default_rng(2)
    across = steps.columns_of(way)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((21, 96), (96, across)))
    words, matrix = words_of(a, way, spare=PANEL), pack_panels([b], 1, way, across)
    depth, part, flat = matrix.shape[3], matrix[0, 0].size, matrix.reshape(-1)
    sums = np.full((2 * PANEL, PANEL), np.nan, np.float32)
    for begin, end in ((0, depth // 3), (depth // 3, depth)):
        start = begin * across
        first_words = np.ascontiguousarray(words[:, :, begin:end])
        steps.multiply(way, len(a), first_words, 0, 0, flat, start, across, part, end - begin, sums, 0, begin > 0)
    if way == THREE:  # its three products are added in another order
        np.testing.assert_allclose(
            sums[: len(a), :across], product(steps, way, a, b)[: len(a), :across], rtol=1e-5, atol=1e-5
        )
    else:
        np.testing.assert_array_equal(sums[: len(a), :across], product(steps, way, a, b)[: len(a), :across])


def test_lanes_do_not_write_behind_the_rows(steps, way):
    a, b = np.ones((5, 32), np.float32), np.ones((32, COLUMNS), np.float32)
    result = product(steps, way, a, b)
    assert (result[:5] == 32).all()
    assert (result[16:] == 7).all()


def test_products_from_within_rows_and_with_a_stride_of_its_own(steps):
    random = np.random.default_rng(1)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((9, 96), (40, 128)))
    sums = np.zeros((16, 32), np.float32)
    steps.multiply(0, 4, a.view(np.uint32)[None], 3, 16, b.view(np.uint32).reshape(-1), 64, 128, 0, 40, sums, 0, False)
    across = steps.columns_of(0)
    expected = a[3:7, 16:56] @ b[:, 64 : 64 + across]
    np.testing.assert_allclose(sums[:4, :across], expected, rtol=1e-5, atol=1e-5)
    assert not sums[4:].any()
