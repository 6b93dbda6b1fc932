"""The rows that pass as tiles: each of them once and in order, and places that find them again."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits, Memory, Rows
from softkv_attention.lookup.memory.tiles import PassingRows, RowIndices, are_copies


def filled(n, removed=(), keys=None):
    """Rows 0 to n, in blocks of at most 32; row i has the key (i, 1) and the value (−i)."""
    numbers = np.arange(n)
    keys = np.stack([numbers, np.ones(n)], axis=1) if keys is None else keys
    memory = Memory("dot", limits=Limits(block_rows=32))
    memory.publish(add=Rows(numbers, keys, -numbers[:, None].astype(np.float32)))
    return memory.publish(remove=np.array(sorted(removed), dtype=np.int64))


places_of = st.sets(st.integers(0, 119), max_size=60)


@settings(deadline=None)
@given(n=st.integers(1, 120), removed=places_of, wanted=st.none() | places_of, tile_rows=st.integers(1, 50))
def test_every_row_that_passes_stands_in_one_tile_in_one_order(n, removed, wanted, tile_rows):
    view = filled(n, removed)
    passing = PassingRows(
        view, None if wanted is None else view.mask(np.array(sorted(wanted), dtype=np.int64)), tile_rows
    )
    expected = sorted((set(range(n)) - removed) & (set(range(n)) if wanted is None else wanted))
    assert passing.n == len(expected)
    actual, position = [], 0
    for tile in passing.tiles:
        assert (tile.start, 0 < tile.stop - tile.start <= tile_rows) == (position, True)
        numbers = tile.segment.numbers[tile.rows].tolist()
        assert len(numbers) == tile.stop - tile.start
        np.testing.assert_array_equal(tile.keys(), [[number, 1] for number in numbers])
        np.testing.assert_array_equal(tile.values(), [[-number] for number in numbers])
        np.testing.assert_allclose(tile.norms, [np.hypot(number, 1) for number in numbers])
        actual += numbers
        position = tile.stop
    assert actual == expected


@settings(deadline=None)
@given(data=st.data(), n=st.integers(1, 120), removed=places_of, tile_rows=st.integers(1, 50))
def test_positions_lead_to_their_rows_in_any_order(data, n, removed, tile_rows):
    view = filled(n, removed)
    passing = PassingRows(view, None, tile_rows)
    positions = np.array(data.draw(st.lists(st.integers(0, max(view.n - 1, 0)), max_size=40)), dtype=np.intp)[
        : 40 * view.n
    ]
    np.testing.assert_array_equal(passing.row_indices.numbers(positions), view.numbers()[positions])
    ascending = np.sort(positions)
    answered = np.zeros(len(positions), dtype=int)
    for part, tile in passing.row_indices.iterate_ascending(ascending):
        assert (tile.start, tile.stop) == (0, part.stop - part.start)
        np.testing.assert_array_equal(tile.segment.numbers[tile.rows], view.numbers()[ascending[part]])
        answered[part] += 1
    assert (answered == 1).all()


def test_rows_are_alike_where_every_key_is_a_copy_of_the_first():
    keys = np.ones((100, 2))
    keys[50, 1] = np.nextafter(np.float32(1), np.float32(2))
    rows = PassingRows(filled(100, keys=keys), None, 16).row_indices
    assert are_copies(rows, np.setdiff1d(np.arange(100), [50]))
    assert not are_copies(rows, np.array([3, 50]))
    assert not are_copies(rows, np.array([50, 99]))
    assert are_copies(rows, np.array([50]))
    assert are_copies(rows, np.array([], dtype=np.intp))
    assert are_copies(RowIndices([]), np.array([], dtype=np.intp))
