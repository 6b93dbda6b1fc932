"""Sums of coded values are whole numbers of levels times whole numbers of codes, so they come out exactly."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.kernels import ABOVE_MEAN, CodedValues
from softkv_attention.kernels.layout import CHUNK, LEVELS, PANEL, WEIGHT_LEVELS, columns_room, put_columns
from tests.attention.kernels.implementations import EVERY
from tests.thorough import crossed

f32 = np.float32
SCALE = f32(1 / 64)
"""The scale of every row: with one scale, the largest weight has the largest level."""

FINE = pytest.mark.parametrize("fine", [True, False])


def values_of(codes, originals=None):
    """Return codes int8[r, d_v] with their originals; NaN without them, for rows that must not be added singly."""
    room = columns_room(-(-len(codes) // CHUNK), CHUNK, codes.shape[1])
    for chunk, first in enumerate(range(0, len(codes), CHUNK)):
        put_columns(room[chunk], 0, codes[first : first + CHUNK])
    if originals is None:
        originals = np.full(codes.shape, np.nan, dtype=f32)
    return CodedValues(room, np.full(len(codes), SCALE), originals, np.ones(len(room)), 0.25, 2.0, 30.0)


def added(running, values, weights, before, *, fine):
    """Return the outputs and errors of one tile, of whose queries none has listed a row."""
    outputs, errors = before.copy(), np.zeros((len(weights), 5))
    counts = np.zeros(len(weights), np.int64)
    running.add_values(values, np.ascontiguousarray(weights, f32), counts, fine, outputs, errors, running.AMX)
    return outputs, errors


def largest_level(running, fine):
    return WEIGHT_LEVELS if fine or running.WIDE else LEVELS


@EVERY
@crossed(
    {
        "fine": [True, False],
        "queries": [1, 3, 16, 17, 40],
        "rows, width": [(1, 1), (63, 3), (64, 64), (65, 65), (CHUNK - 1, 2), (CHUNK, 63), (CHUNK + 1, 130), (2300, 5)],
    }
)
def test_a_sum_by_weights_that_are_whole_levels_is_exact(running, rows, width, queries, fine):
    random, limit = np.random.default_rng([rows, width, queries]), largest_level(running, fine)
    codes = random.integers(-LEVELS, LEVELS + 1, (rows, width)).astype(np.int8)
    levels = random.integers(limit // 2, limit + 1, (queries, rows))
    levels[:, rows // 2] = limit
    steps = 2.0 ** random.integers(-9, -5, (queries, 1))
    weights = np.full((queries, rows + 70), np.nan)  # what is behind the rows must not be read
    weights[:, :rows] = levels * steps / SCALE
    before = random.integers(-5, 6, (queries, width)).astype(np.float64)
    outputs, errors = added(running, values_of(codes), weights, before, fine=fine)
    np.testing.assert_array_equal(outputs, before + steps * (levels @ codes.astype(np.int64)))
    masses = weights[:, :rows].sum(axis=1)
    np.testing.assert_allclose(errors[:, 1], 0.25 * masses, rtol=1e-6)
    np.testing.assert_allclose(errors[:, 2], rows * steps[:, 0] * (0.5 + limit * 2.0**-21) * 30, rtol=1e-6)
    np.testing.assert_allclose(errors[:, 3], masses, rtol=1e-6)


@EVERY
@FINE
@pytest.mark.parametrize("width", [1, 64, 67])
def test_a_chunk_of_the_largest_weights_and_codes_is_exact(running, fine, width):
    codes, limit = np.full((CHUNK, width), LEVELS, dtype=np.int8), largest_level(running, fine)
    codes[:, ::2] = -LEVELS
    weights = np.full((3, CHUNK), f32(limit) / SCALE)
    outputs, _ = added(running, values_of(codes), weights, np.zeros((3, width)), fine=fine)
    np.testing.assert_array_equal(outputs, np.full((3, 1), CHUNK * limit) * codes[0].astype(np.int64))


@EVERY
@FINE
@pytest.mark.parametrize("chunks", [(0, 1, 2), (1,), (2,)])
def test_a_chunk_without_weights_is_left_out(running, fine, chunks):
    random, rows, limit = np.random.default_rng(3), 3 * CHUNK - 5, largest_level(running, fine)
    codes = random.integers(-LEVELS, LEVELS + 1, (rows, 9)).astype(np.int8)
    levels = random.integers(limit // 2, limit + 1, (2, rows))
    levels[:, ::CHUNK] = limit
    levels[0, CHUNK : 2 * CHUNK] = 0  # of the first query alone
    levels[:, ~np.isin(np.arange(rows) // CHUNK, chunks)] = 0
    outputs, _ = added(running, values_of(codes), levels / SCALE, np.zeros((2, 9)), fine=fine)
    np.testing.assert_array_equal(outputs, levels @ codes.astype(np.int64))


@EVERY
def test_a_tile_that_weighs_next_to_nothing_beside_the_listed_rows_is_left_out(running):
    codes, weights = np.ones((70, 3), np.int8), np.ones((2, 70), f32)
    outputs, errors = np.zeros((2, 3)), np.zeros((2, 5))
    running.add_values(values_of(codes), weights, np.full(2, 10**10), False, outputs, errors, running.AMX)
    assert not outputs.any()
    assert errors.tolist() == [[140.0, 0, 0, 0, 0]] * 2  # Σ weight · ‖v‖, at most


@EVERY
@pytest.mark.parametrize("rows", [63, 64, 65, 1025])
@pytest.mark.parametrize("width", [3, 64, 70])
def test_a_row_far_above_the_mean_is_added_from_its_original(running, rows, width):
    random = np.random.default_rng([rows, width])
    codes = random.integers(-LEVELS, LEVELS + 1, (rows, width)).astype(np.int8)
    originals = random.integers(-9, 10, (rows, width)).astype(f32)  # not what the codes say, so that it shows
    weights = random.random((2, rows), dtype=f32)
    weights[0, rows // 3], weights[1, -1] = 60 * rows, 90 * rows
    outputs, errors = added(running, values_of(codes, originals), weights, np.zeros((2, width)), fine=False)
    if running.WIDE:  # every level has 16 bits, so that none is above
        steps = weights.max(axis=1, keepdims=True) * SCALE / WEIGHT_LEVELS
        expected = weights.astype(float) @ codes * SCALE
    else:
        steps = ABOVE_MEAN * weights.mean(axis=1, keepdims=True) * SCALE / LEVELS
        coded = np.where(weights < 2, weights, 0).astype(float) @ codes * SCALE
        expected = coded + np.where(weights < 2, 0, weights).astype(float) @ originals
        assert not errors[:, 3].any()
    assert (np.abs(outputs - expected) <= 0.51 * steps * np.abs(codes.astype(int)).sum(axis=0)).all()


@EVERY
def test_a_weight_at_the_edge_of_one_byte_is_counted_once(running):
    random = np.random.default_rng(4)
    codes = random.integers(-LEVELS, LEVELS + 1, (PANEL, 8)).astype(np.int8)
    values = values_of(codes, codes * SCALE)
    # One weight is 127.5 steps, give or take; a step is 16 times the mean weight over 127.
    share = ABOVE_MEAN * (LEVELS + 0.5) / LEVELS / PANEL
    for heavy in PANEL * share / (1 - share) * (1 + 1e-7 * random.standard_normal(200)):
        weights = np.full((1, PANEL), (PANEL / (PANEL - 1)), dtype=f32)
        weights[0, 9] = heavy
        outputs, _ = added(running, values, weights, np.zeros((1, 8)), fine=False)
        step = ABOVE_MEAN * weights.mean() * SCALE / LEVELS
        # Rounding is at most half a level each; a row that is left out or counted twice is 127.
        bound = 0.51 * step * np.abs(codes.astype(int)).sum(axis=0)
        assert (np.abs(outputs - weights.astype(float) @ values.values) <= bound).all()
