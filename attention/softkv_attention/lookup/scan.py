"""The scan: one pass over all keys by their 8-bit codes, tile by tile, with one thread per core.

Rows below a query's threshold are summed, rows above it are listed as candidates. The initial thresholds come from a
sample of the rows that pass. Each worker thread has an accumulator for its results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from softkv_attention.arrays import F32, F64, I64, Bools, Index, norm
from softkv_attention.kernels import (
    ABOVE_MEAN,
    NO_ADDENDS,
    CandidateLists,
    CodedKeys,
    CodedValues,
    Kernels,
    kernels,
    pool,
    workers,
)
from softkv_attention.kernels.layout import CHUNK, LANES, PANEL
from softkv_attention.lookup.codes.quantisation import QueryCodes
from softkv_attention.lookup.limits import MAX_BLOCK_ROWS
from softkv_attention.lookup.memory.bias import Bias
from softkv_attention.lookup.memory.segments import SAMPLE_STRIDE, Segment
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.memory.tiles import RowIndices, Tile
from softkv_attention.lookup.memory.view import Mask, View

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


class RowTerms:
    """The softmax term of each row that a scan for one query sums, as far as it is not listed.

    Args:
        rows: n, the number of rows of the view.

    Attributes:
        terms: float32[n], exp((s − level)/T) of each summed row, with the level of its tile; 0 for all other rows.
        levels: for each tile its first row, its end, and its level: the threshold of the thread that scanned it.
        unlisted: rows that left a list and are summed as well, with their scanned similarities: int64[m], float32[m].
    """

    def __init__(self, rows: int) -> None:
        self.terms = np.zeros(rows, dtype=np.float32)
        self.levels: list[tuple[int, int, float]] = []
        self.unlisted: list[tuple[I64, F32]] = []

    def weights(self, inverse: float, total: float) -> F64:
        """Return float64[n], the weight of each summed row and 0 for all other rows; together they weigh `total`.

        Args:
            inverse: 1/T, as in the scan.
            total: the weight of all summed rows; of no row, if none is summed.
        """
        weights = self.terms.astype(np.float64)
        if self.unlisted or len({level for _, _, level in self.levels}) > 1:
            self._rebase(weights, inverse)
        mass = float(weights.sum())
        if mass > 0:
            weights *= total / mass
        return weights

    def _rebase(self, weights: F64, inverse: float) -> None:
        """Make all terms relative to one level, and fill in those of the rows that left a list."""
        # A thread that summed no row may have the highest level.
        level = max((level for first, last, level in self.levels if self.terms[first:last].any()), default=-math.inf)
        level = max([level, *(float(similarities.max()) for _, similarities in self.unlisted)])
        for first, last, of_tile in self.levels:
            if of_tile != level:
                weights[first:last] *= math.exp(min((of_tile - level) * inverse, 0.0))
        for rows, similarities in self.unlisted:
            weights[rows] = np.exp((similarities - level) * inverse)


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
        row_terms: learns the term of each row that is summed, if there is one query; None if they are not needed.

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
        row_terms: RowTerms | None = None,
    ) -> None:
        q = len(thresholds)
        self.row_terms = row_terms
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
            # Keep the best quarter, so that a list that has been full does not fill up again at once.
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
            # Sums are relative to the threshold. If it rises, all terms shrink by one factor.
            shift = (float(thresholds[query]) - float(threshold)) * inverse
            self.sums[query] = shift_sums(self.sums[query], shift)
            self.value_errors[query] *= np.exp(shift * ERROR_DEGREES)
            if self.outputs is not None:
                self.outputs[query] *= np.exp(shift)
            if len(weights):
                # The terms of the current tile are relative to the threshold too.
                weights[query] *= np.float32(np.exp(shift))
        below = similarities < threshold
        if self.row_terms is not None:
            self.row_terms.unlisted.append((indices[below], similarities[below]))
        if self.histogram is not None:
            bins = ((similarities[below] - self.lows[query]) * self.finer[query]).astype(np.int64)
            bins = np.clip(bins, 0, BINS - 1)
            np.add.at(self.histogram[query, :, 0], bins, 1.0)
            np.add.at(self.histogram[query, :, 1], bins, similarities[below])
        logits = np.maximum((similarities[below].astype(np.float64) - float(threshold)) * inverse, -700.0)
        terms = np.exp(logits)
        self.sums[query] += terms.sum(), (terms * logits).sum(), (terms * terms).sum()
        if self.outputs is not None:
            # Ascending, so that each tile is read once.
            order = np.argsort(indices[below])
            for part, tile in rows.iterate_ascending(indices[below][order]):
                self.outputs[query] += terms[order[part]] @ tile.values()
        count = int(np.count_nonzero(~below))
        all_indices[query, :count] = indices[~below]
        all_similarities[query, :count] = similarities[~below]
        counts[query] = count
        thresholds[query] = threshold


def make_accumulators(
    workers: int,
    thresholds: F32,
    inverse: F32,
    capacity: int,
    value_dimension: int | None,
    limit: F32 | None,
    row_terms: RowTerms | None = None,
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
        row_terms: learns the term of each row that is summed; None if they are not needed.
    """
    lists = empty_lists(workers, thresholds, capacity)
    accumulators = [
        Accumulator(thresholds, inverse, capacity, value_dimension, limit, CandidateLists(*arrays), row_terms)
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


MIN_LISTED = 256

SAMPLED_ROWS = 8_192
"""The approximate number of rows in the sample for the initial thresholds."""

EVERY_ROW = np.ones(MAX_BLOCK_ROWS, dtype=np.bool_)


@dataclass(frozen=True)
class ThresholdSample:
    """The sample of rows from which a scan of 8-bit codes chooses thresholds; rows above them are listed one by one.

    Attributes:
        stride: one row in this many is sampled from every segment.
        count: how many of the best sampled rows reach the threshold.
    """

    stride: int
    count: int

    @classmethod
    def of(cls, stride: int, rows: int, listed: int) -> ThresholdSample:
        """Return the sample for a scan of `rows` rows that lists about `listed` of them.

        Args:
            stride: the stride of the segments' own samples: each has one row in this many, or more.
            rows: the number of rows.
            listed: the approximate number of rows to list.
        """
        stride *= max(1, round(rows / (SAMPLE_STRIDE * SAMPLED_ROWS)))
        return cls(stride, max(4, max(listed, MIN_LISTED) // stride))

    def of_segment(self, segment: Segment) -> I64:
        """Return int64[r], the positions of the sampled rows in a segment (block of rows).

        They are the first part of the segment's own sample, which may have more rows.
        """
        positions = segment.sample_rows
        return positions[: min(-(-segment.count // self.stride), len(positions))]


def sample_stride(view: View, mask: Mask | None) -> int:
    """Return the largest stride of the samples of all segments with passing rows.

    A segment is a block of rows; its sample has one row in `stride`.
    """
    if mask is None:
        strides = [segment.sample_stride for segment in view.segments if segment.n]
    else:
        passing = zip(view.segments, mask.bits, strict=True)
        strides = [segment.sample_stride for segment, bits in passing if bits is not None]
    return max(strides, default=1)


def sample_best(
    view: View, mask: Mask | None, bias: Bias | None, queries: QueryCodes, sampling: ThresholdSample
) -> tuple[F32, int]:
    """Return float32[q, count], each query's best similarities among the sampled rows that pass, ascending.

    Also return how many sampled rows pass.

    Args:
        view, mask: the rows, and which of them pass; None for all.
        bias: added to the similarities; None for no bias.
        queries: q queries as integer codes.
        sampling: which rows to sample, and `count`.
    """
    running = kernels()
    packed = running.pack_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    return _sample_best(view, mask, bias, running, packed, queries.count, sampling)


def merge_thresholds(samples: Sequence[tuple[F32, int]], count: int) -> F32:
    """Return float32[q], for each query the similarity from which a scan of several shards lists a row at first.

    It is the similarity of the `count`-th best sampled row over all shards. If the samples are small, every row reaches
    the threshold.

    Args:
        samples: for each shard float32[q, ≥ count], its best sampled similarities, and the number of sampled rows.
        count: how many sampled rows reach the threshold.
    """
    seen = sum(rows for _, rows in samples)
    best = np.concatenate([best for best, _ in samples], axis=1)
    # Too few sampled rows pass to estimate a quantile. All rows are listed until a list is full, and then the threshold
    # rises.
    if seen < 4 * count:
        return np.full(len(best), NO_THRESHOLD)
    kth = best.shape[1] - count
    return np.partition(best, kth, axis=1)[:, kth].copy()


def initial_thresholds(
    view: View, mask: Mask | None, bias: Bias | None, running: Kernels, packed: Any, queries: int, listed: int
) -> F32:
    """Return float32[q], for each query a threshold that about `listed` rows reach, so that a scan lists only those.

    The threshold is estimated from a sample of the rows.

    Args:
        view: the keys to scan.
        mask, bias: those of the scan; None without one.
        running: the kernels that compute the scan.
        packed: the queries as these kernels pack them.
        queries: q, the number of queries.
        listed: about how many rows of each query the scan should list.
    """
    sampling = ThresholdSample.of(sample_stride(view, mask), view.n, listed)
    return merge_thresholds([_sample_best(view, mask, bias, running, packed, queries, sampling)], sampling.count)


def _sample_best(
    view: View,
    mask: Mask | None,
    bias: Bias | None,
    running: Kernels,
    packed: Any,
    queries: int,
    sampling: ThresholdSample,
) -> tuple[F32, int]:
    best, seen = np.full((queries, sampling.count), NO_THRESHOLD), 0
    for segment, passes in view.passing(mask):
        sample, positions = segment.sample, sampling.of_segment(segment)
        count = len(positions)
        allowed = EVERY_ROW[:count] if passes is None else passes[positions]
        seen += int(np.count_nonzero(allowed))
        addends = NO_ADDENDS if bias is None else addends_for(bias, segment, positions)
        running.sample_top(CodedKeys(sample.codes, sample.scales[:count], allowed, 0, addends), packed, best)
    return best, seen


def addends_for(bias: Bias, segment: Segment, rows: slice | I64) -> F32:
    """Return float32[r], the biases that a scan of 8-bit codes adds to the logits of some rows of a segment.

    Return the empty array float32[0] if the segment has no bias.
    """
    addends = bias.scan_addends(segment)
    return addends[rows] if len(addends) else addends


TILE_CELLS = 131_072
"""The largest number of weights in a tile: they should stay in a core's second-level cache."""

MIN_TILE_ROWS = 1_024
TILES_PER_WORKER = 6
MIN_LIST_CAPACITY = 512

SINGLE_WORKER_PRODUCTS = 2**18
"""The calling thread alone computes up to this many products of a key and a query: starting another takes longer."""

MAX_PRODUCT, MIN_PRODUCT = 1e30, 1e-30


def fits_float32(facts: BlockStatistics, query: F64) -> bool:
    """Return whether the products of a query with all keys stay well within the range of float32."""
    if facts.similarity == "cosine":
        return True
    return MIN_PRODUCT < facts.key_norm * norm(query) < MAX_PRODUCT


class ScanState:
    """A running scan of the 8-bit codes of all keys, which several threads share.

    The other threads have already begun, so the caller can do unrelated work before it calls `finish`.

    Attributes:
        lists: the candidate lists of all threads; the first axis of each array is the thread.
    """

    def __init__(
        self, work: Callable[[Accumulator], None], accumulators: Sequence[Accumulator], lists: CandidateLists
    ) -> None:
        self.lists = lists
        self._work, self._accumulators = work, accumulators
        # The calling thread works too, in `finish`, with the first accumulator.
        self._futures = [pool().submit(work, accumulator) for accumulator in accumulators[1:]]

    def finish(self) -> Sequence[Accumulator]:
        """Work on the scan until all rows are read, and return the results of each thread."""
        self._work(self._accumulators[0])
        for future in self._futures:
            future.result()
        return self._accumulators


def scan(
    view: View,
    mask: Mask | None,
    rows: RowIndices,
    queries: QueryCodes,
    listed: int,
    temperatures: F64 | None,
    bias: Bias | None = None,
    *,
    outputs: bool = False,
    key_norm: float | None = None,
    thresholds: F32 | None = None,
    row_terms: RowTerms | None = None,
) -> ScanState:
    """Start a scan, which computes the weight of every row that passes from the 8-bit codes of query and key.

    Args:
        view: the rows (keys with values).
        mask: the rows that pass; None if all rows pass, except removed ones.
        rows: the indices of all rows of the view, see `all_rows`.
        queries: q queries as integer codes, see `code_queries`.
        listed: the approximate number of rows to list for each query.
        temperatures: float64[q], not below 0, at which weights are summed. None to fill a histogram of similarities
            instead, from which sums at any temperature follow.
        bias: added to each similarity, which is then a logit; None for no bias.
        outputs: whether to compute weighted sums of values too.
        key_norm: the largest length of a key in all views, if this view is one of several whose histograms need the
            same bins; None for that of this view.
        thresholds: float32[q], the similarity from which a row is listed at first; None to choose it from a sample of
            this view.
        row_terms: learns the term of each row that is summed, for one query without outputs; None if they are not
            needed.
    """
    running, query_count = kernels(), len(queries.scales)
    packed = running.pack_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    if thresholds is None:
        thresholds = initial_thresholds(view, mask, bias, running, packed, query_count, listed)
    threads, height = tile_height(view, query_count, outputs=outputs)
    inverse, limit = np.ones(query_count), None
    if temperatures is not None:
        # T = 0 as its limit: rows below the threshold then weigh next to nothing.
        inverse = 1 / np.maximum(temperatures, 1e-30)
    else:
        limit = max_similarities(queries, view.similarity, view.facts.key_norm if key_norm is None else key_norm)
    lists, accumulators = make_accumulators(
        threads,
        thresholds,
        inverse.astype(np.float32),
        list_capacity(listed),
        view.value_dimension if outputs else None,
        None if limit is None else limit.astype(np.float32),
        row_terms,
    )
    # Weights a little wider than a power of 2: rows a power of 2 apart would share the same few lines of a cache.
    weights_shape = (query_count, height + PANEL) if outputs else (0, 0)
    tiles = iter(list(_tiles(view, mask, rows, height)))
    return ScanState(
        partial(_work, tiles, bias, running, packed, queries.fine, weights_shape, rows), accumulators, lists
    )


def tile_height(view: View, queries: int, *, outputs: bool) -> tuple[int, int]:
    """Return how many threads scan a view for some queries, and the rows of a tile, which one thread scans at a time.

    Args:
        view: the keys to scan.
        queries: the number of queries.
        outputs: whether weighted sums of values are computed too.
    """
    single_worker = view.n * (queries + 16) * (3 if outputs else 1) <= SINGLE_WORKER_PRODUCTS
    threads = 1 if single_worker else workers()
    # Small enough for the cache, and for every worker to have several to take; a power of 2, to keep step with chunks.
    parts = 1 if threads == 1 else threads * TILES_PER_WORKER
    max_height = min(TILE_CELLS // queries, view.n // parts, view.limits.max_tile_rows)
    return threads, max(MIN_TILE_ROWS, 2 ** (max(max_height, 1).bit_length() - 1))


def list_capacity(listed: int) -> int:
    """Return how many rows a list of candidates has room for, if about `listed` are expected."""
    return max(8 * listed, MIN_LIST_CAPACITY)


def _work(
    tiles: Iterator[tuple[Tile, Bools]],
    bias: Bias | None,
    running: Kernels,
    packed: Any,
    fine: bool,
    weights_shape: tuple[int, int],
    rows: RowIndices,
    accumulator: Accumulator,
) -> None:
    """Scan tiles (runs of rows) until the shared iterator is empty, and add their rows to one thread's accumulator."""
    weights = np.empty(weights_shape, dtype=np.float32)
    for tile, allowed in tiles:
        codes = tile.segment.block.codes
        assert codes is not None
        span, row_count = tile.rows, tile.stop - tile.start
        assert isinstance(span, slice)
        addends = NO_ADDENDS if bias is None else addends_for(bias, tile.segment, span)
        keys = CodedKeys(codes.codes[span.start // LANES :], codes.scales[span], allowed, tile.start, addends)
        row_terms = accumulator.row_terms
        if row_terms is not None:
            weights = row_terms.terms[None, tile.start : tile.stop]
        # A pass ends early if a list is full. It goes on where it stopped, with a higher threshold.
        done = 0
        while (done := _run_pass(running, accumulator, keys, done, packed, weights)) < row_count:
            accumulator.raise_thresholds(PANEL, rows, weights[:, :done])
        if row_terms is not None:
            row_terms.levels.append((tile.start, tile.stop, float(accumulator.lists.thresholds[0])))
        if accumulator.outputs is not None:
            add_values(running, tile, weights, accumulator, fine=fine)


def _run_pass(running: Kernels, target: Accumulator, keys: CodedKeys, done: int, packed: Any, weights: F32) -> int:
    """Scan keys from row `done` on until all are scanned or a candidate list is full; return the number of rows done.

    The lists, sums or histogram of `target` are updated.

    Args:
        running: the kernels.
        target: the results of this thread.
        keys: the 8-bit codes of a tile (run of rows).
        done: the number of rows that are scanned already.
        packed: the codes of the queries.
        weights: float32[q, ≥ r], filled with the terms exp((s − threshold)/T); not used for a histogram.
    """
    if target.histogram is not None:
        return running.fill_histogram(keys, done, packed, target.lists, target.lows, target.finer, target.histogram)
    return running.accumulate(keys, done, packed, target.lists, target.inverse, target.sums, weights)


def max_similarities(queries: QueryCodes, similarity: str, key_norm: float) -> F64:
    """Return float64[q], for each query an upper bound on |similarity| with any key, as computed from 8-bit codes.

    Args:
        queries: q queries as integer codes.
        similarity: the name of the similarity.
        key_norm: the largest length of a key.
    """
    longest = 1.05 if similarity == "cosine" else 2 * key_norm
    return (queries.norms + queries.residuals_norm) * longest


def _tiles(view: View, mask: Mask | None, rows: RowIndices, height: int) -> Iterator[tuple[Tile, Bools]]:
    """Yield the rows of a view in tiles (runs of at most `height` rows), each with bool[r] of the rows that pass.

    Tiles without a passing row are skipped.
    """
    segment_starts = {id(tile.segment): tile.start for tile in rows.tiles}
    for segment, passes in view.passing(mask):
        segment_start = segment_starts[id(segment)]
        for start in range(0, segment.count, height):
            stop = min(start + height, segment.count)
            allowed = EVERY_ROW[: stop - start] if passes is None else passes[start:stop]
            if passes is None or allowed.any():
                yield Tile(segment, slice(start, stop), segment_start + start, segment_start + stop), allowed


ROUNDING_MARGIN = 0.99
"""A row's weight is rounded to half a level of 127 before it counts as too large."""


def add_values(running: Kernels, tile: Tile, weights: F32, accumulator: Accumulator, *, fine: bool) -> None:
    """Add Σ weight·value over the rows of one tile to the outputs, and bounds on its error to the errors.

    A small batch of queries has weights in 16 bits, which cost nothing while the processor waits for memory. A large
    batch has weights in 8 bits.

    Args:
        running: the kernels.
        tile: consecutive rows, from a multiple of CHUNK on.
        weights: float32[q, ≥ r], the terms exp((s − threshold)/T) of these rows.
        accumulator: the outputs and errors to add to.
        fine: whether weights have 16 bits.
    """
    segment, span = tile.segment, tile.rows
    codes = segment.block.value_codes
    assert isinstance(span, slice)
    assert codes is not None
    assert accumulator.outputs is not None
    chunks = slice(span.start // CHUNK, -(-span.stop // CHUNK))
    values = CodedValues(
        codes.codes[chunks],
        codes.scales[span],
        _load_values(tile, weights, fine=fine)[span],
        segment.inverse_scales[chunks],
        segment.value_residual,
        segment.value_norm,
        segment.code_norm,
    )
    counts = accumulator.lists.counts
    running.add_values(values, weights, counts, fine, accumulator.outputs, accumulator.value_errors, running.AMX)


def _load_values(tile: Tile, weights: F32, *, fine: bool) -> F32:
    """Return float32[count, d_v], the values of the tile's segment, reading from a file only the rows that are needed.

    Most values are summed as 8-bit codes. Only the rows whose values are added one by one may be used.
    """
    if tile.segment.block.unchecked:
        return tile.select(_rows_added_singly(weights[:, : tile.stop - tile.start], fine=fine)).load_values()
    return tile.segment.values


def _rows_added_singly(weights: F32, *, fine: bool) -> Index:
    """Return the rows whose share of the weight is too large for 8-bit weights, and perhaps some more.

    Their values are added one by one from the float32 originals. With 16-bit weights the result is empty.

    Args:
        weights: float32[q, r], of the rows of one tile.
        fine: whether weights have 16 bits.
    """
    if fine:
        return np.empty(0, dtype=np.intp)
    limits = ROUNDING_MARGIN * ABOVE_MEAN * weights.mean(axis=1, dtype=np.float64, keepdims=True)
    return np.flatnonzero((weights > limits).any(axis=0))
