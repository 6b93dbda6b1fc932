"""A sample of the keys of remote rows, from which a coordinator chooses the thresholds of a scan.

A threshold that is too high or too low makes an answer slower, never wrong. So the sample may be of an older version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F32, F64
from attention.lookup.memory.memory import Memory
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.rescoring.originals import compute_all_similarities
from attention.lookup.scan.accumulator import NO_THRESHOLD

SAMPLE_ROWS = 8_192
"""About how many rows a sample has."""

_TILE_ROWS = 1_024

MIN_ROWS_ABOVE = 4
"""The least number of sampled rows above a threshold."""


@dataclass(frozen=True, eq=False)
class SampleKeys:
    """The keys float32[m, d] of evenly drawn rows, and the similarity that compares them with a query."""

    similarity: str
    keys: F32

    def thresholds(self, vectors: F64, rows: int, listed: int) -> F32:
        """Return float32[q], thresholds with about `listed` rows above; below all rows if the sample is small."""
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
