"""Every row of a view, as the exact path reads it."""

from __future__ import annotations

import numpy as np
import pytest

from attention.errors import ParameterError
from attention.lookup import Memory, Question, Rows, View
from attention.lookup.shards import is_view, open_shard

RANDOM = np.random.default_rng(11)
KEYS = RANDOM.standard_normal((50, 4)).astype(np.float32)
VALUES = RANDOM.standard_normal((50, 2)).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_the_shard_reads_the_rows_that_pass(masked):
    view = Memory.of(KEYS, VALUES).view
    shard = open_shard(view, view.mask(np.array([3, 9])) if masked else None)
    at = np.array([3, 9]) if masked else np.arange(50)
    assert shard.keys == len(at)
    np.testing.assert_array_equal(shard.numbers(shard.rows), at)
    (similarities,) = shard.read_similarities([Question(KEYS[9], 0.1)], [None])
    assert int(similarities.argmax()) == at.tolist().index(9)
    np.testing.assert_allclose(shard.sum_values(np.ones((1, shard.keys)))[0], VALUES[at].sum(axis=0), rtol=1e-5)
    assert shard.grouping is None
    np.testing.assert_array_equal(shard.order(shard.rows), at)


def test_rows_of_merged_parts_are_ordered_by_their_numbers():
    memories = Memory("cosine"), Memory("cosine")
    for memory, arange in zip(memories, (np.arange(1, 50, 2), np.arange(0, 50, 2)), strict=True):
        memory.publish(add=Rows(arange, KEYS[arange], VALUES[arange]))
    shard = open_shard(View.merged([memory.view for memory in memories]), None)
    assert shard.order(shard.rows).tolist() == [*range(1, 50, 2), *range(0, 50, 2)]


def test_copies_are_alike_and_others_not():
    keys = np.concatenate([KEYS[:2], KEYS[:1]])
    shard = open_shard(Memory.of(keys).view, None)
    assert shard.alike(np.array([0, 2]))
    assert not shard.alike(np.array([0, 1]))


def test_only_a_view_has_a_shard():
    memory = Memory.of(np.eye(3))
    assert is_view(memory.view)
    assert not is_view(memory)
    with pytest.raises(ParameterError, match=r"Expected a view, got Memory\. Memory\.of\(keys\)\.view is one\."):
        open_shard(memory, None)
