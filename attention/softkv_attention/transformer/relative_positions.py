"""Relative positions: a number for the distance of two tokens, which every layer adds to its logits.

Source: Raffel et al. 2020 (arXiv 1910.10683), section 2.1; MPNet uses the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from array_api_compat import device

from softkv_attention.arrays import I64, Array, array_namespace


@dataclass(frozen=True, eq=False)
class RelativePositions:
    """A learned number for each bucket of distances and each head.

    Half of the buckets are for tokens before, half for tokens after. Of each half, the first half holds one distance a
    bucket, and the others grow like the logarithm up to `far`. All distances from there on share the last one.

    Attributes:
        table: [n_buckets, n_heads]
        far: the distance from which on all share a bucket.
    """

    table: Array
    far: int = 128

    def __call__(self, n: int) -> Array:
        """Return the bias [n_heads, n, n] of n queries and n keys, at the same positions."""
        position = np.arange(n)
        return self._rows(self.buckets(position - position[:, None]), (2, 0, 1))

    def by_distance(self, n: int) -> Array:
        """Return the bias [n_heads, 2n − 1] for key − query from −(n − 1) to n − 1."""
        return self._rows(self.buckets(np.arange(1 - n, n)), (1, 0))

    def buckets(self, distance: I64) -> I64:
        """Return the bucket of each distance, key − query, in the same shape."""
        half = int(self.table.shape[0]) // 2
        exact = half // 2
        size = np.abs(distance)
        # In float32, as in transformers: a rounded logarithm decides the bucket at its limits.
        ratio = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact))
        growth = ratio / np.float32(math.log(self.far / exact)) * np.float32(half - exact)
        late = np.minimum(exact + growth.astype(np.int64), half - 1)
        return np.where(distance > 0, half, 0) + np.where(size < exact, size, late)

    def _rows(self, buckets: I64, axes: tuple[int, ...]) -> Array:
        xp = array_namespace(self.table)
        return xp.permute_dims(self.table[xp.asarray(buckets, device=device(self.table))], axes)
