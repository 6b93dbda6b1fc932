"""A sample of remote keys, from which a coordinator takes the thresholds of a scan.

A threshold that is too high or too low makes an answer slower, never wrong, so the sample may be of an older version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F32, F64
from softkv_attention.forked import cached_property
from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.shards import NO_THRESHOLD, PassingRows, compute_all_similarities

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
