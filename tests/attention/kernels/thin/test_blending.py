"""Sums of thin codes by whole levels: by the instruction where there is one, and by a loop."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.dot.vnni import has_vnni
from attention.kernels.layout import DEEP, FIELDS, LANES, PANEL, fields_room, put_fields
from attention.kernels.thin.blending import HEAVY, add_code, add_levels, by_loop, by_vnni


def planes_of(rows, width, bits):
    fields = np.random.default_rng([rows, width]).integers(0, 16, (rows, width)).astype(np.uint8)
    high, low = fields_room(rows, width), fields_room(rows, width)
    put_fields(high, 0, fields >> 2)
    put_fields(low, 0, fields & 3)
    return (high, low, fields.astype(int)) if bits == 4 else (high, low[:0], (fields >> 2).astype(int))


@pytest.mark.parametrize(
    "add", [by_loop, pytest.param(by_vnni, marks=pytest.mark.skipif(not has_vnni(), reason="VNNI"))]
)
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("width", [16, 96, 384])
def test_levels_times_fields_are_added_up(add, bits, width):
    high, low, fields = planes_of(3 * PANEL, width, bits)
    levels = np.random.default_rng(1).integers(0, 128, PANEL)
    placed = np.zeros((2, PANEL), dtype=np.int8)  # byte g of word r is of row 16·g + r
    placed[1] = levels.reshape(DEEP, LANES).T.reshape(-1).astype(np.int8)
    sums = np.full(width * DEEP, 5 * HEAVY, dtype=np.int32)
    add(high, low, PANEL // LANES, placed.reshape(-1).view(np.int32), PANEL // DEEP, sums)
    parts = (sums - 5 * HEAVY).reshape(-1, FIELDS, DEEP, DEEP).sum(axis=2)
    parts[:, 2:] //= HEAVY
    np.testing.assert_array_equal(parts.reshape(-1), levels @ fields[PANEL : 2 * PANEL])


def test_the_instruction_is_taken_where_there_is_one():
    assert add_levels is (by_vnni if has_vnni() else by_loop)


@pytest.mark.parametrize("bits", [2, 4])
def test_one_code_is_added(bits):
    from numba import njit

    high, low, fields = planes_of(100, 48, bits)
    into = np.ones((3, 48))

    @njit
    def add(high, low, into):
        add_code(high, low, 77, 0.25, into, 48)

    add(high, low, into)
    np.testing.assert_array_equal(into[1], 1 + 0.25 * (2 * fields[77] - (2**bits - 1)))
    np.testing.assert_array_equal(into[[0, 2]], 1)
