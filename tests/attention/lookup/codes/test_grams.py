"""Sums over all blocks: the same to the last bit however they are computed, and each sum computed once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup import Limits, Memory, Rows
from attention.lookup.codes.moments import RunningGrams


class Counted(np.ndarray):
    """An array that counts the sums it takes part in."""

    added = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        Counted.added += ufunc is np.add and method == "__call__"
        plain = [operand.view(np.ndarray) if isinstance(operand, Counted) else operand for operand in inputs]
        output = getattr(ufunc, method)(*plain, **options)
        return output.view(Counted) if ufunc is np.add else output


def matrices(seed, width=3):
    return np.random.default_rng(seed).standard_normal((2, width, width)).view(Counted)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=7), min_size=1, max_size=12))
def test_the_sum_is_that_of_the_arrays_in_their_order(asked):
    arrays, running = [matrices(seed) for seed in range(6)], RunningGrams()
    for list_of_arrays in asked:
        result = running.of([arrays[array] for array in list_of_arrays])
        expected = sum((arrays[array] for array in list_of_arrays[1:]), arrays[list_of_arrays[0]])
        np.testing.assert_array_equal(result.total, expected)
        np.testing.assert_allclose(result.traces, [np.trace(array) for array in expected.view(np.ndarray)])


def test_a_write_to_the_last_block_takes_one_sum_and_a_removal_none():
    arrays, running = [matrices(seed) for seed in range(8)], RunningGrams()
    first = running.of(arrays)
    Counted.added = 0
    assert running.of(list(arrays)) is first
    assert Counted.added == 0
    running.of([*arrays[:-1], matrices(9)])
    assert Counted.added == 1
    running.of([*arrays, matrices(10)])  # the last one is full
    assert Counted.added == 3
    running.of([*arrays, matrices(11)])
    assert Counted.added == 4


def test_what_is_not_finite_bounds_nothing():
    running = RunningGrams()
    assert running.of([np.full((2, 2, 2), np.inf), matrices(1, 2)]) is None
    assert running.of([matrices(0, 2), matrices(1, 2)]) is not None


def test_views_share_what_their_blocks_add_up_to():
    memory, random = Memory("dot", limits=Limits(block_rows=16)), np.random.default_rng(0)
    memory.publish(add=Rows(np.arange(50), random.standard_normal((50, 4))))
    before = memory.view.grams
    removed = memory.publish(remove=np.array([3, 20]))
    assert removed.grams is before
    for number in range(50, 90, 3):
        view = memory.publish(add=Rows(np.arange(number, number + 3), random.standard_normal((3, 4))))
        np.testing.assert_array_equal(view.grams.total, sum(s.block.codes.grams for s in view.segments))
