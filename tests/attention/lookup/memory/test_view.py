"""Masks: the rows that pass, and the operations and, or and not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Limits, Memory, Question, Rows, answer
from softkv_attention.lookup.memory.view import Mask
from tests.thorough import examples

FAR = 10**12


def filled(numbers, removed=(), block_rows=32):
    memory = Memory("dot", limits=Limits(block_rows=block_rows))
    numbers = np.array(sorted(numbers), dtype=np.int64)
    memory.publish(add=Rows(numbers, np.ones((len(numbers), 3))))
    return memory.publish(remove=np.array(sorted(removed), dtype=np.int64))


def rows(mask: Mask):
    numbers = [s.numbers[passes] for s, passes in mask.view.passing(mask)]
    return np.concatenate(numbers).tolist() if numbers else []


def test_a_scan_reads_the_panels_in_which_a_row_passes():
    view = filled(range(1500), removed={70}, block_rows=1024)
    assert [segment.count for segment in view.segments] == [1024, 476]
    for passing, expected in (
        ([], 0),
        ([0], 64),
        ([63, 64], 128),
        ([70], 0),
        ([1023, 1024], 128),
        ([1024 + 448], 28),
        (range(0, 1500, 64), 1500),
    ):
        assert view.mask(np.array(passing, dtype=np.int64)).scanned == expected


some_rows = st.sets(st.integers(0, 150) | st.integers(FAR - 200, FAR), max_size=120)


@settings(max_examples=examples(100), deadline=None)
@given(some_rows.filter(bool), some_rows, some_rows, some_rows, st.randoms(use_true_random=False))
def test_masks_are_sets_of_the_rows_that_live(there, removed, left, right, random):
    view = filled(there, removed)
    live = there - removed

    def mask(expected):
        numbers = [*expected, *list(expected)[:3]]  # in any order, some of them twice
        random.shuffle(numbers)
        return view.mask(np.array(numbers, dtype=np.int64))

    a, b = mask(left), mask(right)
    for made, expected in (
        (a, left & live),
        (~a, live - left),
        (a & b, left & right & live),
        (a | b, (left | right) & live),
        (~(a | ~b), (right - left) & live),
    ):
        assert rows(made) == sorted(expected)
        assert made.n == len(expected)
        assert all(bits is None or bits.n for bits in made.bits)
        assert made.nbytes == sum(-(-segment.count // 8) for segment, _ in view.passing(made))


def test_masks_of_two_views_do_not_mix():
    left, right = filled([1, 2]).mask(np.array([1])), filled([1, 2]).mask(np.array([1]))
    for mixed in (lambda: left & right, lambda: left | right):
        with pytest.raises(ParameterError, match="two views"):
            mixed()


def test_nothing_in_an_empty_view():
    view = Memory("dot").view
    mask = view.mask(np.array([3, 1]))
    assert (mask.n, (~mask).n, (mask | mask).n) == (0, 0, 0)
    full = filled([4, 5])
    assert answer(full, Question(np.ones(3), 1.0, mask=~full.mask(np.array([4])))).numbers.tolist() == [5]


def test_the_keys_of_rows_are_in_the_order_of_their_numbers():
    memory = Memory("dot", limits=Limits(block_rows=4))
    numbers = np.arange(10, 40, 2)
    keys = np.stack([numbers, -numbers], axis=1).astype(np.float32)
    memory.publish(add=Rows(numbers, keys))
    view = memory.publish(remove=np.array([12]))
    assert len(view.segments) > 1
    assert view.keys_of(np.array([38, 10, 24])).tolist() == [[38, -38], [10, -10], [24, -24]]
    assert view.keys_of(np.array([11, 99, 14])).tolist() == [[0, 0], [0, 0], [14, -14]]
    assert Memory("dot").view.keys_of(np.array([1])).shape == (1, 0)
