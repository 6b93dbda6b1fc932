"""Summaries: sums over the keys of a view, which bound the weight of rows that a question does not read."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.lookup.codes.summary import KeySummary
from softkv_attention.lookup.memory.blocks import Block
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import View

_summaries: WeakKeyDictionary[Block, tuple[int, KeySummary]] = WeakKeyDictionary()
"""For each block the number of its first rows that are summed, removed ones included, and their summary."""


def summary_of(view: View) -> KeySummary:
    """Return sums over the keys of all rows of a view, removed rows included.

    They bound the similarities of the rows with any query. They are cached by block, so only keys that were not summed
    before are read.
    """
    summaries = [_summarise(view.similarity, segment) for segment in view.segments]
    total = reduce(add, summaries, KeySummary.empty(view.similarity, view.dimension or 0))
    removed = sum(segment.count - segment.n for segment in view.segments)
    return replace(total, documents=view.documents, removed=removed)


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
