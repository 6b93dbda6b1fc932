"""What is kept of rows in case that nobody can ask about them: sums over blocks, which grow as the blocks do."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from weakref import WeakKeyDictionary

import numpy as np

from attention.lookup.codes.summary import KeySummary
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View

_known: WeakKeyDictionary[Block, tuple[int, KeySummary]] = WeakKeyDictionary()
"""Of so many of a block's first rows, whether they live or not."""


def summary_of(view: View) -> KeySummary:
    """Of all rows of a view, those removed from its blocks among them; reads the keys of rows that are new to it."""
    own = [_of(view.similarity, segment) for segment in view.segments]
    found = reduce(add, own, KeySummary.empty(view.similarity, view.dimension or 0))
    removed = sum(segment.count - segment.n for segment in view.segments)
    return replace(found, documents=view.documents, removed=removed)


def is_summarised(view: View) -> bool:
    """Whether these sums need no key to be read."""
    return all(_known.get(segment.block, (-1, None))[0] == segment.count for segment in view.segments)


def _of(similarity: str, segment: Segment) -> KeySummary:
    count, found = _known.get(segment.block, (0, None))
    if found is None or count > segment.count:
        count, found = 0, KeySummary.empty(similarity, segment.block.dimension)
    if count < segment.count:
        rows = np.arange(count, segment.count)
        keys = segment.load_keys(rows)[rows]
        values = None if segment.block.values is None else segment.load_values(rows)[rows]
        found += KeySummary.of(similarity, keys, values, 0)
        _known[segment.block] = segment.count, found
    return found
