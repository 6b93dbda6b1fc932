"""Products of fields of 2 and 4 bits against whole numbers, by the instruction and by the plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.dot.vnni import has_vnni
from attention.kernels.key_passes import packed_queries
from attention.kernels.layout import fields_room, put_fields
from attention.kernels.thin.products import by_loop, by_vnni

WAYS = [by_loop] + [by_vnni] * has_vnni()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("width", [16, 37, 384, 1030])
def test_products_are_twice_the_whole_numbers(way, bits, width):
    random = np.random.default_rng([bits, width])
    fields = random.integers(0, 16, (192, width)).astype(np.uint8)
    fields[70] = 15
    codes = random.integers(-32639, 32640, (2, width)).astype(np.int16)
    codes[1] = 32639 if width < 400 else 9000
    high, low = fields_room(192, width), fields_room(192, width)
    put_fields(high, 0, fields >> 2)
    put_fields(low, 0, fields & 3)
    wide = np.zeros((2, 16 * high.shape[1]), dtype=np.int16)
    wide[:, :width] = codes
    planes = packed_queries(wide, np.ones(2, dtype=np.float32), fine=True).planes
    products = np.empty((2, 64), dtype=np.int32)
    meant = fields if bits == 4 else fields >> 2
    for query in range(2):
        way(high, low if bits == 4 else low[:0], 4, planes, 2 * query, products)
        expected = 2 * (codes[query].astype(np.int64) @ meant[64:128].astype(np.int64).T)
        np.testing.assert_array_equal(256 * products[0].astype(np.int64) + products[1], expected)
