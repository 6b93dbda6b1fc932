"""A filter's state from view to view: the same mask as a new one, with each row evaluated once."""

from __future__ import annotations

import gc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Filtered, Limits, Memory, Rows, RowSelection
from softkv_attention.lookup.codes.quantisation import quantise
from softkv_attention.lookup.memory import statistics
from tests.thorough import examples

LIMITS = Limits(block_rows=32)


def passing(numbers):
    """A condition: which of some documents pass."""
    return numbers[numbers * 2654435761 % 97 < 40]


def asked(filtered, view):
    """Return the filter's state for a view, and how many rows it evaluated."""
    spans = filtered.unseen(view)
    numbers = np.concatenate([*spans, np.empty(0, np.int64)])
    return filtered.with_more(view, RowSelection.of(spans, passing(np.unique(numbers)))), len(numbers)


steps = st.lists(
    st.tuples(st.integers(0, 50), st.lists(st.integers(0, 400), max_size=12), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=examples(60))
@given(steps=steps, several=st.booleans())
def test_a_filtered_mask_equals_a_new_mask(steps, several):
    memory, filtered, number = Memory("dot", limits=LIMITS), Filtered(), 0
    for count, removed, compacts, asks in steps:
        numbers = np.arange(number, number + count)
        owners = numbers // 3 * 3 if several else None
        if several:
            owners = np.maximum(owners, number)
        number += count
        add = Rows(numbers, np.ones((count, 2)), owners=owners) if count else None
        view = memory.publish(add=add, remove=np.array(removed, dtype=np.int64))
        if compacts and memory.compact():
            view = memory.view
        if not asks:
            continue
        filtered, _ = asked(filtered, view)
        mask, anew = filtered.mask(view), view.mask(passing(np.arange(number)))
        for one, other in zip(mask.bits, anew.bits, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one.passes(), other.passes())
        assert (mask.n, mask.documents, mask.scanned) == (anew.n, anew.documents, anew.scanned)


def test_a_row_is_looked_at_once():
    memory, filtered = Memory("dot", limits=LIMITS), Filtered()
    memory.publish(add=Rows(np.arange(100), np.ones((100, 2))))
    filtered, looked_at = asked(filtered, memory.view)
    assert looked_at == 100
    first = filtered.mask(memory.view)
    filtered, looked_at = asked(filtered, memory.publish(remove=np.array([3, 40])))
    assert looked_at == 0
    again = filtered.mask(memory.view)
    assert [one is other for one, other in zip(first.bits, again.bits, strict=True)] == [False, False, True, True]
    filtered, looked_at = asked(filtered, memory.publish(add=Rows(np.arange(100, 150), np.ones((50, 2)))))
    assert looked_at == 50
    assert filtered.nbytes == 4 * 4 + 3 + 2 * 4  # five blocks in bits, and once more what lives of two
    memory.publish(remove=np.arange(64, 90))
    assert memory.compact()
    blocks = {segment.block for segment in memory.view.segments}
    filtered, looked_at = asked(filtered, memory.view)
    assert 0 < looked_at < 130
    assert len(blocks) == len(memory.view.segments)


def test_a_filter_state_holds_no_reference_to_blocks():
    memory = Memory("dot", limits=LIMITS)
    memory.publish(add=Rows(np.arange(100), np.ones((100, 2))))
    filtered, _ = asked(Filtered(), memory.view)
    view = Memory("dot", limits=LIMITS).publish(add=Rows(np.arange(100), np.ones((100, 2))))
    blocks = [block.block for block in filtered._blocks.values()]
    del memory
    gc.collect()
    assert [block() for block in blocks] == [None] * 4
    filtered, looked_at = asked(filtered, view)
    assert looked_at == 100


def test_residuals_are_read_only_for_rows_that_came_or_went(monkeypatch):
    read, reading = [], statistics.sum_row_residuals
    monkeypatch.setattr(
        statistics, "sum_row_residuals", lambda values, rows: read.append(len(rows)) or reading(values, rows)
    )
    keys = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
    left = quantise(keys)[2]
    memory, filtered = Memory("dot", limits=LIMITS), Filtered()
    memory.publish(add=Rows(np.arange(100), keys[:100]))
    gone = np.empty(0, np.int64)
    for removed, upto, limit in (([], 100, 60), ([5, 70], 100, 2), ([], 103, 3), ([6, 101], 150, 50), ([], 150, 0)):
        before = len(memory.view.numbers()) + len(gone)
        add = Rows(np.arange(before, upto), keys[before:upto]) if upto > before else None
        view = memory.publish(add=add, remove=np.array(removed, dtype=np.int64))
        gone = np.union1d(gone, removed)
        filtered, _ = asked(filtered, view)
        read.clear()
        expected = np.setdiff1d(passing(np.arange(upto)), gone)
        actual = filtered.mask(view).value_residuals
        np.testing.assert_allclose(actual.total, left[expected].sum(axis=0), rtol=1e-9, atol=1e-12)
        assert actual.count == len(expected)
        assert sum(read) <= limit
