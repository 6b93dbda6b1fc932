"""The results of one worker's tiles: sums over the rows below each query's threshold, and candidates above it."""

from __future__ import annotations

import numpy as np

from attention.arrays import F32, F64
from attention.kernels import CandidateLists
from attention.lookup.memory.tiles import RowIndices

NO_THRESHOLD = np.float32(-3e38)
BINS = 4096
"""The number of bins of a histogram, which covers all possible similarities."""

VALUE_ERRORS = ("left_out", "residual", "rounding", "mass", "rounding_square")
"""Columns that bound the error from coding weights a, relative to the threshold, and values v.

left_out bounds the norm of the sum over omitted tiles. The others are sums over the coded rows, with δ the rounding of
a: residual is Σ a·‖v − v̂‖, rounding is Σ |δ|·‖v̂‖ and rounding_square is Σ δ². mass is Σ a over the tiles that have no
rows added one by one.
"""

MASS = VALUE_ERRORS.index("mass")

ERROR_DEGREES = np.array([1.0, 1.0, 1.0, 1.0, 2.0])
"""The degree of each column in the weights: if all weights are multiplied by f, it is multiplied by f to this power."""


class Accumulator:
    """The results of one thread of a scan of 8-bit codes for q queries: sums over most rows, and lists of the best.

    A row whose similarity reaches the query's threshold is listed; all others are summed. A query's threshold never
    falls, and its sums are relative to the threshold, so they never overflow.

    Args:
        thresholds: float32[q], the initial thresholds.
        inverse: float32[q], 1/T for temperature T.
        capacity: the capacity of each list.
        value_dimension: the width of the outputs (weighted sums of values); None if no output is requested.
        limit: float32[q], the largest possible similarity, for a histogram; None for sums.
        lists: empty lists with these thresholds, see `empty_lists`; None to allocate them here.

    Attributes:
        lists: thresholds and candidates (the listed rows).
        inverse: float32[q], 1/T.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the rows below the threshold, x = (s − threshold)/T and e = exp(x).
        outputs: float64[q, d_v], Σe·v over the rows below the threshold; None if no output is requested.
        value_errors: float64[q, 5], bounds on the error of `outputs`, see `VALUE_ERRORS`.
        histogram: float64[q, bins, 2], for each bin the count and the sum of the similarities below the threshold, in
            place of `sums`; None if sums at one temperature are requested.
        lows, finer: float32[q], the lower edge of the histogram's first bin, and its number of bins per unit of
            similarity.
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
        self.lists = lists or CandidateLists(*(arrays[0] for arrays in empty_lists(1, thresholds, capacity)))
        self.outputs = None if value_dimension is None else np.zeros((q, value_dimension))
        self.value_errors = np.zeros((q, len(VALUE_ERRORS)))
        self.histogram = None if limit is None else np.zeros((q, BINS, 2))
        self.lows = -np.ones(q, dtype=np.float32) if limit is None else -limit
        self.finer: F32 = np.float32(BINS) / (-2 * self.lows)

    def raise_thresholds(self, needed: int, rows: RowIndices, weights: F32) -> None:
        """Raise the threshold of every query whose candidate list lacks space for `needed` more rows.

        Rows that fall below the new threshold are removed from the list and added to the sums.

        Args:
            needed: the number of rows that each list must have space for.
            rows: maps listed indices to rows, whose values are added to the sums.
            weights: float32[q, r], the terms exp((s − threshold)/T) of the current tile; rescaled to the new thresholds
                in place.
        """
        capacity = self.lists.places.shape[1]
        for query in np.flatnonzero(self.lists.counts + needed > capacity):
            similarities = self.lists.similarities[query, : self.lists.counts[query]]
            kth = len(similarities) - capacity // 4
            threshold = np.partition(similarities, kth)[kth]
            # If copies of one row fill the list, all of them have to leave it.
            if np.count_nonzero(similarities >= threshold) > capacity // 2:
                threshold = np.nextafter(threshold, np.float32(np.inf))
            self._raise(int(query), threshold, rows, weights)

    def _raise(self, query: int, threshold: np.float32, rows: RowIndices, weights: F32) -> None:
        thresholds, all_indices, all_similarities, counts = self.lists
        indices = all_indices[query, : counts[query]].copy()
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
            order = np.argsort(indices[below])
            for part, tile in rows.iterate_ascending(indices[below][order]):
                self.outputs[query] += terms[order[part]] @ tile.values()
        count = int(np.count_nonzero(~below))
        all_indices[query, :count] = indices[~below]
        all_similarities[query, :count] = similarities[~below]
        counts[query] = count
        thresholds[query] = threshold


def make_accumulators(
    workers: int, thresholds: F32, inverse: F32, capacity: int, value_dimension: int | None, limit: F32 | None
) -> tuple[CandidateLists, list[Accumulator]]:
    """Return the empty results of each worker thread of a scan, and the candidate lists of all threads together.

    The lists' arrays have the thread as their first axis.

    Args:
        workers: the number of threads.
        thresholds: float32[q], the similarity from which a row is listed at first.
        inverse: float32[q], 1/T for temperature T.
        capacity: the number of rows that each list can hold.
        value_dimension: the width of the outputs (weighted sums of values); None if no output is requested.
        limit: float32[q], the largest possible similarity, for a histogram; None for sums.
    """
    lists = empty_lists(workers, thresholds, capacity)
    accumulators = [
        Accumulator(thresholds, inverse, capacity, value_dimension, limit, CandidateLists(*arrays))
        for arrays in zip(*lists, strict=True)
    ]
    return lists, accumulators


def empty_lists(workers: int, thresholds: F32, capacity: int) -> CandidateLists:
    """Return empty candidate lists for each query and worker thread; the first axis of each array is the thread.

    Candidates are the rows that a scan keeps one by one, because their similarity reaches the query's threshold.

    Args:
        workers: the number of threads.
        thresholds: float32[q], the initial threshold of each query.
        capacity: the number of rows that each list can hold.
    """
    q = len(thresholds)
    return CandidateLists(
        np.repeat(thresholds[None], workers, axis=0),
        np.empty((workers, q, capacity), dtype=np.int64),
        np.empty((workers, q, capacity), dtype=np.float32),
        np.zeros((workers, q), dtype=np.int64),
    )


def shift_sums(sums: F64, shift: float) -> F64:
    """Return the sums Σe, Σe·x and Σe² after every logit x was increased by `shift`, with e = exp(x).

    Args:
        sums: float64[3], these sums before the shift.
        shift: a number that is added to each x.
    """
    mass, gap, square = sums
    return np.asarray(np.exp(shift) * np.array([mass, gap + shift * mass, np.exp(shift) * square]))
