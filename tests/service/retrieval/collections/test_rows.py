"""Rows on their way from the store into a memory of keys."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from softkv_service.retrieval.collections.rows import prefetch_rows
from softkv_service.storage.records import KeyRows

PATIENCE = 30


def batch(number):
    numbers = np.arange(3) + 3 * number
    return KeyRows(numbers, numbers, np.full((3, 2), number, np.float32), None)


def test_batches_come_in_order_and_the_next_is_read_while_one_is_used():
    read = [threading.Event() for _ in range(4)]

    def batches():
        for number, event in enumerate(read):
            event.set()
            yield batch(number)

    received = []
    for number, rows in enumerate(prefetch_rows(batches())):
        if number + 1 < len(read):
            assert read[number + 1].wait(PATIENCE)
        assert number + 2 >= len(read) or not read[number + 2].is_set()
        received += rows.numbers.tolist()
    assert received == list(range(12))


def test_an_error_of_the_reading_thread_is_raised_by_its_consumer():
    def batches():
        yield batch(0)
        raise MemoryError("none left")

    rows = prefetch_rows(batches())
    assert len(next(rows)) == 3
    with pytest.raises(MemoryError, match="none left"):
        next(rows)


def test_a_closed_iterator_leaves_no_thread():
    before = set(threading.enumerate())
    rows = prefetch_rows(batch(number) for number in range(9))
    next(rows)
    rows.close()
    begun = set(threading.enumerate()) - before
    assert not [thread.name for thread in begun if thread.name.startswith("ahead")]  # others may begin one of their own
