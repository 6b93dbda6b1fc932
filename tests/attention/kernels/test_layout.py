"""Bytes side by side: what is stored comes back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.kernels.layout import (
    columns_of,
    columns_room,
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
