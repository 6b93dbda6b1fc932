"""Every row of a view, as the exact path reads it."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Memory, Rows, View
from softkv_attention.lookup.shards import is_view, open_shard

RANDOM = np.random.default_rng(11)
KEYS = RANDOM.standard_normal((50, 4)).astype(np.float32)
VALUES = RANDOM.standard_normal((50, 2)).astype(np.float32)


def test_rows_of_merged_parts_are_ordered_by_their_numbers():
    memories = Memory("cosine"), Memory("cosine")
    for memory, arange in zip(memories, (np.arange(1, 50, 2), np.arange(0, 50, 2)), strict=True):
        memory.publish(add=Rows(arange, KEYS[arange], VALUES[arange]))
    shard = open_shard(View.merged([memory.view for memory in memories]), None)
    assert shard.order(shard.rows).tolist() == [*range(1, 50, 2), *range(0, 50, 2)]


def test_only_a_view_has_a_shard():
    memory = Memory.of(np.eye(3))
    assert is_view(memory.view)
    assert not is_view(memory)
    with pytest.raises(ParameterError, match=r"Expected a view, got Memory\. Memory\.of\(keys\)\.view is one\."):
        open_shard(memory, None)
