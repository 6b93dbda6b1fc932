"""Every row of a view, as the exact path reads it."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Parted, Question, Rows
from attention.lookup.shards.every_row import Read

RANDOM = np.random.default_rng(11)
KEYS = RANDOM.standard_normal((50, 4)).astype(np.float32)
VALUES = RANDOM.standard_normal((50, 2)).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_it_reads_those_that_pass(masked):
    view = Memory.of(KEYS, VALUES).view
    rows = Read(view, view.mask(np.array([3, 9])) if masked else None)
    at = np.array([3, 9]) if masked else np.arange(50)
    assert rows.n == len(at)
    np.testing.assert_array_equal(rows.numbers(np.arange(rows.n)), at)
    (similarities,) = rows.similarities([Question(KEYS[9], 0.1)], [None])
    assert int(similarities.argmax()) == at.tolist().index(9)
    np.testing.assert_allclose(rows.sums(np.ones((1, rows.n)))[0], VALUES[at].sum(axis=0), rtol=1e-5)
    assert rows.grouping is None
    assert rows.order is None


def test_rows_of_parts_are_told_apart_by_their_numbers():
    memories = Memory("cosine"), Memory("cosine")
    for memory, some in zip(memories, (np.arange(1, 50, 2), np.arange(0, 50, 2)), strict=True):
        memory.publish(add=Rows(some, KEYS[some], VALUES[some]))
    rows = Read(Parted.of([memory.view for memory in memories]), None)
    assert rows.order.tolist() == [*range(1, 50, 2), *range(0, 50, 2)]


def test_copies_are_alike_and_others_not():
    keys = np.concatenate([KEYS[:2], KEYS[:1]])
    rows = Read(Memory.of(keys).view, None)
    assert rows.alike(np.array([0, 2]))
    assert not rows.alike(np.array([0, 1]))
