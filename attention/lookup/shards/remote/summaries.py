"""Facts about remote rows that a coordinator keeps: sums that bound their weight, and a sample of their keys.

The sums are used while no process answers for the rows. A scan takes its thresholds from the sample. A threshold that
is too high or too low makes an answer slower, never wrong, so the sample may be of an older version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from weakref import WeakKeyDictionary

import numpy as np

from attention.arrays import F32, F64
from attention.forked import cached_property
from attention.lookup.codes.summary import KeySummary
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.memory import Memory
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.memory.view import View
from attention.lookup.rescoring.originals import compute_all_similarities
from attention.lookup.scan import NO_THRESHOLD

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


def is_summarised(view: View) -> bool:
    """Return whether the keys of all rows of a view were summed before, so that `summary_of` reads none."""
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


SAMPLE_ROWS = 8_192
"""About how many rows a sample has."""

_TILE_ROWS = 1_024

MIN_ROWS_ABOVE = 4
"""The least number of sampled rows above a threshold."""


@dataclass(frozen=True, eq=False)
class SampleKeys:
    """A random sample of a collection's keys, by which a coordinator chooses thresholds without asking the hosts.

    Rows with a similarity above the threshold are listed one by one; all others are summed. The hosts are the processes
    that hold the rows.

    Attributes:
        similarity: the name of the similarity of queries and keys.
        keys: float32[m, d].
    """

    similarity: str
    keys: F32

    def thresholds(self, vectors: F64, rows: int, listed: int) -> F32:
        """Return float32[q], for each query a similarity that about `listed` of all rows reach.

        If the sample is too small, it is so low that every row reaches it.

        Args:
            vectors: float64[q, d], the queries.
            rows: the number of all rows.
            listed: how many of them a scan shall list.
        """
        count = max(MIN_ROWS_ABOVE, round(listed * len(self.keys) / max(rows, 1)))
        if len(self.keys) < 4 * count:
            return np.full(len(vectors), NO_THRESHOLD)
        similarities = compute_all_similarities(self.similarity, self._passing.tiles, vectors)
        kth = similarities.shape[1] - count
        return np.partition(similarities, kth, axis=1)[:, kth].astype(np.float32)

    @cached_property
    def _passing(self) -> PassingRows:
        memory = Memory(self.similarity, codes_later=True)
        view = memory.publish(add=Rows(np.arange(len(self.keys)), self.keys))
        return PassingRows(view, None, _TILE_ROWS)
