"""Keys of some of the rows that lie elsewhere: where lists open, so that about as many are listed as are request.

A threshold that is too high or too low makes an answer slower, never wrong: so the sample may be of an older version.
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
"""About how many rows are enough."""

_TILE_ROWS = 1_024

MIN_ROWS_ABOVE = 4
"""So many rows of a sample at least are to lie above a threshold."""


@dataclass(frozen=True, eq=False)
class SampleKeys:
    """Keys float32[m, d] of rows that were drawn evenly, and how they are compared with a query."""

    similarity: str
    keys: F32

    def thresholds(self, vectors: F64, rows: int, listed: int) -> F32:
        """float32[q]: from where on to list about `listed` of so many rows; all of them where there are few."""
        count = max(MIN_ROWS_ABOVE, round(listed * len(self.keys) / max(rows, 1)))
        if len(self.keys) < 4 * count:
            return np.full(len(vectors), NO_THRESHOLD)
        similarities = compute_all_similarities(self.similarity, self._passing.tiles, vectors)
        place = similarities.shape[1] - count
        return np.partition(similarities, place, axis=1)[:, place].astype(np.float32)

    @cached_property
    def _passing(self) -> PassingRows:
        memory = Memory(self.similarity, codes_later=True)
        view = memory.publish(add=Rows(np.arange(len(self.keys)), self.keys))
        return PassingRows(view, None, _TILE_ROWS)
