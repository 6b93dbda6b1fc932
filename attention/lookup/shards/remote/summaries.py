"""Summaries of the rows of blocks: sums that bound the weight of rows while no process answers for them."""

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

_summaries: WeakKeyDictionary[Block, tuple[int, KeySummary]] = WeakKeyDictionary()
"""For each block the number of its first rows that are summed, removed ones included, and their summary."""


def summary_of(view: View) -> KeySummary:
    """Return the summary of all rows of a view, removed ones included; it reads only keys that are not yet summed."""
    summaries = [_summarise(view.similarity, segment) for segment in view.segments]
    total = reduce(add, summaries, KeySummary.empty(view.similarity, view.dimension or 0))
    removed = sum(segment.count - segment.n for segment in view.segments)
    return replace(total, documents=view.documents, removed=removed)


def is_summarised(view: View) -> bool:
    """Return whether `summary_of` would read no key."""
    return all(_summaries.get(segment.block, (-1, None))[0] == segment.count for segment in view.segments)


def _summarise(similarity: str, segment: Segment) -> KeySummary:
    count, summary = _summaries.get(segment.block, (0, None))
    if summary is None or count > segment.count:
        count, summary = 0, KeySummary.empty(similarity, segment.block.dimension)
    if count < segment.count:
        rows = np.arange(count, segment.count)
        keys = segment.load_keys(rows)[rows]
        values = None if segment.block.values is None else segment.load_values(rows)[rows]
        summary += KeySummary.of(similarity, keys, values, 0)
        _summaries[segment.block] = segment.count, summary
    return summary
