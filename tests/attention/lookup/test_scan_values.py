"""Weighted sums of coded values: as near to the true blend as is said, for weights in 8 bits and in 16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.kernels.interface import ABOVE_MEAN
from softkv_attention.kernels.layout import CHUNK, LEVELS, WEIGHT_LEVELS
from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.tiles import Tile
from softkv_attention.lookup.scan import Accumulator, add_values

LEFT_OUT, RESIDUAL, ROUNDING, MASS, ROUNDING_SQUARE = range(5)
QUERIES = 3


def segment_of(n, width, scale=1.0, spread=1.0):
    random = np.random.default_rng([n, width])
    values = random.standard_normal((n, width)) * np.exp(spread * random.standard_normal((n, 1))) * scale
    (segment,) = Memory("dot").publish(add=Rows(np.arange(n), np.ones((n, 2)), values)).segments
    return segment


def empty(width):
    return Accumulator(np.zeros(QUERIES, np.float32), np.ones(QUERIES, np.float32), 512, width, None)


def blended(running, segment, span, weights, fine, accumulator=None):
    into = accumulator or empty(segment.values.shape[1])
    start, stop = span
    add_values(running, Tile(segment, slice(start, stop), 0, stop - start), weights, into, fine=fine)
    return into


def weights_of(kind, n):
    random = np.random.default_rng(n)
    made = {
        "alike": 0.5 + 0.01 * random.random((QUERIES, n)),
        "of all sizes": random.random((QUERIES, n)) ** 8,
        "steep": random.random((QUERIES, n)) ** 60,
        "of one row": np.where(np.arange(n) == n // 2, 1.0, 1e-6) * np.ones((QUERIES, 1)),
        "none": np.zeros((QUERIES, n)),
    }[kind]
    room = np.full((QUERIES, n + 64), np.nan, dtype=np.float32)  # what is behind them is not read
    room[:, :n] = made
    return room


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("kind", ["alike", "of all sizes", "of one row", "none"])
@pytest.mark.parametrize(
    ("n", "span"), [(1, (0, 1)), (65, (0, 65)), (2500, (0, 2500)), (2500, (CHUNK, 2500)), (3000, (CHUNK, 2 * CHUNK))]
)
@pytest.mark.parametrize("width", [1, 65])
def test_a_blend_is_off_by_at_most_its_bound(running, n, span, width, kind, fine):
    segment, rows = segment_of(n, width), span[1] - span[0]
    weights = weights_of(kind, rows)
    result = blended(running, segment, span, weights, fine)
    exact = weights[:, :rows].astype(np.float64) @ segment.values[slice(*span)].astype(np.float64)
    off = np.linalg.norm(result.outputs - exact, axis=1)
    bound = result.value_errors[:, :MASS].sum(axis=1)
    assert (off <= bound + 1e-12).all()
    masses = weights[:, :rows].sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(result.value_errors[:, RESIDUAL], masses * segment.value_residual, rtol=1e-5)
    added_one_by_one = weights[:, :rows].max(axis=1) > ABOVE_MEAN * masses / rows
    known_weights = masses if fine or running.WIDE else np.where(added_one_by_one, 0, masses)
    np.testing.assert_allclose(result.value_errors[:, MASS], known_weights, rtol=1e-5)
    assert (result.value_errors[:, LEFT_OUT] == 0).all()


def test_the_square_of_the_rounding_bounds_the_residuals_of_levels(running):
    segment, weights = segment_of(2000, 5, spread=0.1), np.random.default_rng(0).random((QUERIES, 2000), np.float32)
    scales = segment.block.value_codes.scales[:2000].astype(np.float64)
    for fine, limit in ((True, WEIGHT_LEVELS), (False, LEVELS))[: 1 if running.WIDE else 2]:
        result = blended(running, segment, (0, 2000), weights, fine)
        top = weights.max(axis=1)
        if not fine:
            top = np.minimum(top, ABOVE_MEAN * weights.mean(axis=1))
        step = (top * scales.max() / limit)[:, None]
        levels = np.rint(weights * scales / step)
        left = np.where(levels > limit, 0, weights - levels * step / scales)
        squares = (left * left).sum(axis=1)
        assert (squares <= result.value_errors[:, ROUNDING_SQUARE]).all()
        assert (result.value_errors[:, ROUNDING_SQUARE] <= 5 * squares).all()


class Unread:
    """Says that originals are left to be checked, and keeps which ones were asked for."""

    done = False

    def __init__(self):
        self.asked = set()

    def check_values(self, rows):
        self.asked |= set(rows.tolist())


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("kind", ["alike", "steep", "of one row", "none"])
@pytest.mark.parametrize("n", [65, 2500])
def test_no_original_is_read_that_was_not_checked(running, n, kind, fine):
    segment, weights, unread = segment_of(n, 9), weights_of(kind, n), Unread()
    expected = blended(running, segment, (0, n), weights, fine)
    values = segment.values.copy()
    waiting = Segment(replace(segment.block, values=values, unread=unread), n)
    blended(running, waiting, (0, n), weights, fine, empty(9))
    values[np.setdiff1d(np.arange(n), list(unread.asked))] = np.nan
    result = blended(running, waiting, (0, n), weights, fine, empty(9))
    np.testing.assert_array_equal(result.outputs, expected.outputs)
    assert len(unread.asked) < n / 4
    assert bool(unread.asked) == (not fine and kind in ("steep", "of one row"))
