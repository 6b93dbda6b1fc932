"""Bytes side by side: what is stored comes back, and the other factor lies as its rows do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.kernels.layout import (
    DEEP,
    LANES,
    OFFSET,
    columns_of,
    columns_room,
    pack,
    put_columns,
    put_rows,
    rows_at,
    rows_room,
)


def bytes_of(seed, *shape):
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


@given(rows=st.integers(1, 200), width=st.integers(1, 70), cut=st.integers(0, 200))
def test_rows_and_columns_come_back_however_they_were_written(rows, width, cut):
    codes, cut = bytes_of(rows, rows, width), min(cut, rows)
    stored, turned = rows_room(rows, width), columns_room(1, 200, width)[0]
    for start, part in ((0, codes[:cut]), (cut, codes[cut:])):
        put_rows(stored, start, part)
        put_columns(turned, start, part)
    np.testing.assert_array_equal(rows_at(stored, np.arange(rows), width), codes)
    np.testing.assert_array_equal(columns_of(turned, 0, rows, width), codes)
    assert stored.ctypes.data % 64 == 0


@pytest.mark.parametrize("width", [1, 4, 5, 64, 65])
def test_sixteen_rows_lie_side_by_side_four_components_at_a_time_and_128_higher(width):
    codes, stored = bytes_of(0, 64, width), rows_room(64, width)
    put_rows(stored, 0, codes)
    for row, component in ((0, 0), (17, width - 1), (63, width // 2)):
        lane = stored[row // LANES, component // DEEP, row % LANES, component % DEEP]
        assert lane == int(codes[row, component]) + OFFSET
    turned = columns_room(1, 64, width)[0]
    put_columns(turned, 0, codes)
    for row, component in ((0, 0), (17, width - 1), (63, width // 2)):
        lane = turned[component // LANES, row // DEEP, component % LANES, row % DEEP]
        assert lane == int(codes[row, component]) + OFFSET


@pytest.mark.parametrize("width", [1, 3, 4, 5, 64])
def test_the_other_factor_has_four_components_to_a_word_and_zeros_behind(width):
    codes = bytes_of(1, 5, width)
    words = pack(codes)
    assert (words.dtype, words.shape) == (np.int32, (5, -(-width // 4)))
    np.testing.assert_array_equal(words.view(np.int8)[:, :width], codes)
    assert not words.view(np.int8)[:, width:].any()


@pytest.mark.parametrize(
    ("rows", "width", "groups", "words"), [(1, 1, 4, 1), (64, 4, 4, 1), (65, 5, 8, 2), (0, 3, 0, 1)]
)
def test_storage_is_rounded_up_to_whole_panels(rows, width, groups, words):
    assert rows_room(rows, width).shape == (groups, words, LANES, DEEP)
    assert columns_room(2, 8, width).shape == (2, 4, 2, LANES, DEEP)
