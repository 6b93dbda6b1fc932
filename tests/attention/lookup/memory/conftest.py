"""Rows of few components, and a segment of a block of its own that has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from softkv_attention.lookup import Rows
from softkv_attention.lookup.memory.blocks import Block, BlockFormat
from softkv_attention.lookup.memory.segments import Segment


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., Rows]:
    """Return a function that makes rows with these numbers and keys of width 5; separate values have width 2."""

    def make(numbers, own_values=False, seed=0):
        numbers = np.asarray(numbers)
        keys = np.random.default_rng([seed, len(numbers)]).standard_normal((len(numbers), 5)) * 3
        return Rows(numbers, keys, keys[:, :2] + 1 if own_values else None)

    return make


@pytest.fixture(scope="session")
def segment_of() -> Callable[..., Segment]:
    """Return a function that makes a segment of some rows, in a block with exactly the given capacity or more."""

    def make(rows, similarity="dot", room=None):
        width = None if rows.values is None else rows.values.shape[1]
        block = Block.allocate(room or max(len(rows), 1), rows.keys.shape[1], width, BlockFormat(similarity))
        return Segment(block, 0).append(rows, BlockFormat(similarity))

    return make
