"""What one worker has gathered of its tiles: sums of what lies below each query's threshold, candidates above it."""

from __future__ import annotations

import numpy as np

from attention.dtypes import F32, F64
from attention.kernels import CandidateLists
from attention.lookup.memory.tiles import RowIndices

NO_THRESHOLD = np.float32(-3e38)
BINS = 4096
"""Of the histogram, over all similarities that there can be."""

VALUE_ERRORS = ("left_out", "residual", "rounding", "mass", "rounding_square")
"""What is known of the coding of weights a, relative to the threshold, and values v.

The norm of what was left out; Σ a·‖v − v̂‖ and Σ |δ|·‖v̂‖ of the coded ones, δ the rounding of a; Σ a over them, of
tiles of which it is known; Σ δ² over them.
"""

MASS = VALUE_ERRORS.index("mass")

ERROR_DEGREES = np.array([1.0, 1.0, 1.0, 1.0, 2.0])
"""How often a factor of all weights is a factor of each of these."""


class Accumulator:
    """Sums and lists for q queries. A threshold only ever rises; sums are relative to it, so they never overflow.

    Args:
        thresholds: float32[q] to begin with.
        inverse: float32[q].
        capacity: of each list.
        value_dimension: the width of the outputs, or None.
        limit: float32[q], the largest similarity that there can be, for a histogram; or None for sums.
        lists: empty ones of these thresholds to begin with, see `empty_lists`; None for its own.

    Attributes:
        lists: thresholds and candidates; a similarity from its threshold on is listed, one below is summed.
        inverse: float32[q], 1/T.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the rows below the threshold, x = (s − threshold)/T and e = exp(x).
        outputs: float64[q, d_v], Σe·v over the rows below the threshold; None where no output is asked for.
        value_errors: float64[q, 5], what `outputs` can be off by, see `VALUE_ERRORS`.
        histogram: float64[q, bins, 2], count and sum of the similarities below the threshold, in place of `sums`; None
            where one temperature is asked for.
        lows, finer: float32[q], where the first bin begins, and bins to one of similarity.
    """

    def __init__(
        self,
        thresholds: F32,
        inverse: F32,
        capacity: int,
        value_dimension: int | None,
        limit: F32 | None,
        lists: CandidateLists | None = None,
    ) -> None:
        q = len(thresholds)
        self.inverse = inverse
        self.sums = np.zeros((q, 3))
        self.lists = lists or CandidateLists(*(each[0] for each in empty_lists(1, thresholds, capacity)))
        self.outputs = None if value_dimension is None else np.zeros((q, value_dimension))
        self.value_errors = np.zeros((q, len(VALUE_ERRORS)))
        self.histogram = None if limit is None else np.zeros((q, BINS, 2))
        self.lows = -np.ones(q, dtype=np.float32) if limit is None else -limit
        self.finer: F32 = np.float32(BINS) / (-2 * self.lows)

    def raise_thresholds(self, needed: int, rows: RowIndices, weights: F32) -> None:
        """Raise the threshold of every query whose list has no room for so many more rows.

        Args:
            rows: where listed places stand.
            weights: float32[q, r], terms of the tile in hand that are relative to the thresholds; moved with them.
        """
        capacity = self.lists.places.shape[1]
        for query in np.flatnonzero(self.lists.counts + needed > capacity):
            similarities = self.lists.similarities[query, : self.lists.counts[query]]
            kth = len(similarities) - capacity // 4
            threshold = np.partition(similarities, kth)[kth]
            # Where copies of one row fill the list, none of them can stay.
            if np.count_nonzero(similarities >= threshold) > capacity // 2:
                threshold = np.nextafter(threshold, np.float32(np.inf))
            self._raise(int(query), threshold, rows, weights)

    def _raise(self, query: int, threshold: np.float32, rows: RowIndices, weights: F32) -> None:
        thresholds, all_places, all_similarities, counts = self.lists
        places = all_places[query, : counts[query]].copy()
        similarities = all_similarities[query, : counts[query]].copy()
        inverse = float(self.inverse[query])
        if self.sums[query, 0] > 0:
            shift = (float(thresholds[query]) - float(threshold)) * inverse
            self.sums[query] = shift_sums(self.sums[query], shift)
            self.value_errors[query] *= np.exp(shift * ERROR_DEGREES)
            if self.outputs is not None:
                self.outputs[query] *= np.exp(shift)
                weights[query] *= np.float32(np.exp(shift))
        below = similarities < threshold
        if self.histogram is not None:
            bins = ((similarities[below] - self.lows[query]) * self.finer[query]).astype(np.int64)
            bins = np.clip(bins, 0, BINS - 1)
            np.add.at(self.histogram[query, :, 0], bins, 1.0)
            np.add.at(self.histogram[query, :, 1], bins, similarities[below])
        logits = np.maximum((similarities[below].astype(np.float64) - float(threshold)) * inverse, -700.0)
        terms = np.exp(logits)
        self.sums[query] += terms.sum(), (terms * logits).sum(), (terms * terms).sum()
        if self.outputs is not None:
            order = np.argsort(places[below])
            for part, tile in rows.iterate_ascending(places[below][order]):
                self.outputs[query] += terms[order[part]] @ tile.values()
        kept = int(np.count_nonzero(~below))
        all_places[query, :kept] = places[~below]
        all_similarities[query, :kept] = similarities[~below]
        counts[query] = kept
        thresholds[query] = threshold


def empty_lists(workers: int, thresholds: F32, capacity: int) -> CandidateLists:
    """Empty lists of so many workers, each array with one more axis for these."""
    q = len(thresholds)
    return CandidateLists(
        np.repeat(thresholds[None], workers, axis=0),
        np.empty((workers, q, capacity), dtype=np.int64),
        np.empty((workers, q, capacity), dtype=np.float32),
        np.zeros((workers, q), dtype=np.int64),
    )


def shift_sums(sums: F64, shift: float) -> F64:
    """Σe, Σe·x and Σe² relative to another threshold, from which every x is larger by `shift`."""
    mass, gap, square = sums
    return np.asarray(np.exp(shift) * np.array([mass, gap + shift * mass, np.exp(shift) * square]))
