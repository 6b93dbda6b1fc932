"""Blends of coded values are whole numbers of levels times whole numbers of codes, so they come out exactly."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels import amx, value_passes
from attention.kernels.layout import CHUNK, LEVELS, PANEL, WEIGHT_LEVELS, columns_room, put_columns
from attention.kernels.value_passes import WIDE
from tests.thorough import crossed

f32 = np.float32
MOST = [WEIGHT_LEVELS] if WIDE else [LEVELS, WEIGHT_LEVELS]
in_bytes = pytest.mark.skipif(WIDE, reason="every level has 16 bits here, so none is above")


def turned(codes):
    """Return codes int8[r, d_v] in the layout of a blend."""
    room = columns_room(-(-len(codes) // CHUNK), CHUNK, codes.shape[1])
    for chunk, first in enumerate(range(0, len(codes), CHUNK)):
        put_columns(room[chunk], 0, codes[first : first + CHUNK])
    return room


@crossed(
    {
        "limit": MOST,
        "queries": [1, 3, 16, 17, 40],
        "rows, width": [(1, 1), (63, 3), (64, 64), (65, 65), (CHUNK - 1, 2), (CHUNK, 63), (CHUNK + 1, 130), (2300, 5)],
    }
)
def test_a_blend_of_weights_that_are_whole_levels_is_exact(rows, width, queries, limit):
    random = np.random.default_rng([rows, width, queries])
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    levels = random.integers(0, limit + 1, (queries, rows))
    levels[:, rows // 2] = limit
    scales = f32(2.0) ** random.integers(-3, 4, rows).astype(f32)
    steps = f32(2.0) ** random.integers(-9, -5, queries).astype(f32)
    weights = np.full((queries, rows + 70), f32(np.nan))  # what is behind the rows must not be read
    weights[:, :rows] = levels * steps[:, None] / scales
    before = random.integers(-5, 6, (queries, width)).astype(np.float64)
    nowhere = np.full((rows, width), np.nan, dtype=f32)  # no row is above, so none is added by itself
    expected = before + steps[:, None].astype(np.float64) * (levels @ codes.astype(np.int64))
    for unit in {False, amx.amx_usable()}:
        result = before.copy()
        value_passes.blend(turned(codes), weights, scales, steps, limit, nowhere, result, unit)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("limit", MOST)
def test_a_chunk_without_weights_is_left_out(limit):
    random = np.random.default_rng(3)
    rows, width = 3 * CHUNK - 5, 9
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    levels = random.integers(0, limit + 1, (2, rows))
    levels[:, CHUNK : 2 * CHUNK] = 0
    levels[1, CHUNK + 7] = 1  # of the second query alone
    nowhere, steps = np.full((rows, width), np.nan, dtype=f32), np.full(2, 0.5, f32)
    for chunks in ((0, 1, 2), (1,), (2,)):
        weights_given = np.where(np.isin(np.arange(rows) // CHUNK, chunks), levels, 0)
        output = np.zeros((2, width))
        weights = np.ascontiguousarray(weights_given * f32(0.5), dtype=f32)
        value_passes.blend(turned(codes), weights, np.ones(rows, f32), steps, limit, nowhere, output, False)
        np.testing.assert_array_equal(output, 0.5 * (weights_given @ codes.astype(np.int64)))


@in_bytes
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1025])
@pytest.mark.parametrize("width", [3, 64, 70])
def test_a_row_above_the_levels_of_one_byte_is_added_by_itself(rows, width):
    random = np.random.default_rng([rows, width])
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    levels = random.integers(0, LEVELS + 1, (2, rows))
    levels[0, rows // 3], levels[1, -1] = 128, 5000
    values = random.integers(-9, 10, (rows, width)).astype(f32)  # not what the codes say, so that it shows
    output = np.zeros((2, width))
    weights = np.ascontiguousarray(levels * f32(0.25), dtype=f32)
    value_passes.blend(turned(codes), weights, np.ones(rows, f32), np.full(2, 0.25, f32), LEVELS, values, output, False)
    coded = np.where(levels > LEVELS, 0, levels) @ codes.astype(np.int64)
    by_itself = np.where(levels > LEVELS, levels, 0) @ values.astype(np.int64)
    np.testing.assert_array_equal(output, 0.25 * (coded + by_itself))


@in_bytes
def test_a_weight_at_the_edge_of_one_byte_is_counted_once():
    random = np.random.default_rng(4)
    codes = random.integers(-127, 128, (PANEL, 8)).astype(np.int8)
    room = turned(codes)
    scales = (0.003 * random.random(PANEL) + 0.001).astype(f32)
    for step in random.random(200, dtype=f32) * 1e-3:
        weights = ((127.5 + 1e-5 * random.standard_normal(PANEL)) * step / scales).astype(f32)[None]
        values = codes * scales[:, None]
        output = np.zeros((1, 8))
        value_passes.blend(room, weights, scales, np.array([step]), 127, values, output, amx.amx_usable())
        # Rounding is at most half a level each; a row that is left out or counted twice is 127.
        assert (np.abs(output - weights.astype(float) @ values) <= 0.51 * step * np.abs(codes).sum(axis=0)).all()


@pytest.mark.parametrize("limit", MOST)
@pytest.mark.parametrize("width", [1, 64, 67])
def test_a_chunk_of_the_largest_weights_and_codes_is_exact(limit, width):
    codes = np.full((CHUNK, width), 127, dtype=np.int8)
    codes[:, ::2] = -127
    weights, nowhere = np.full((3, CHUNK), f32(limit)), np.full((CHUNK, width), np.nan, dtype=f32)
    output = np.zeros((3, width))
    value_passes.blend(turned(codes), weights, np.ones(CHUNK, f32), np.ones(3, f32), limit, nowhere, output, False)
    np.testing.assert_array_equal(output, np.full((3, 1), CHUNK * limit) * codes[0].astype(np.int64))


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 1000])
def test_weights_have_a_sum_and_a_largest_as_far_as_their_rows_go(rows):
    weights = np.full((3, rows + 9), f32(np.nan))
    weights[:, :rows] = np.random.default_rng(rows).random((3, rows), dtype=f32)
    weights[2, :rows] = 0
    sums, largest = value_passes.weight_of(weights, rows)
    np.testing.assert_allclose(sums, weights[:, :rows].sum(axis=1, dtype=float), rtol=1e-6)
    np.testing.assert_array_equal(largest, weights[:, :rows].max(axis=1))
