"""The scan: it weighs every key by its 8-bit code, tile by tile, with one thread per core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from attention.arrays import F32, F64, Bools, Index
from attention.kernels import (
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
from attention.kernels.layout import CHUNK, LANES, PANEL
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.tiles import RowIndices, Tile
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import Accumulator, make_accumulators
from attention.lookup.scan.thresholds import EVERY_ROW, addends_for, initial_thresholds

TILE_CELLS = 131_072
"""The largest number of weights in a tile: they should stay in a core's second-level cache."""

MIN_TILE_ROWS = 1_024
TILES_PER_WORKER = 6
MIN_LIST_CAPACITY = 512

SINGLE_WORKER_PRODUCTS = 2**18
"""The calling thread alone computes up to this many products of a key and a query: starting another takes longer."""

_ALL_ROWS: WeakKeyDictionary[View, RowIndices] = WeakKeyDictionary()

MAX_PRODUCT, MIN_PRODUCT = 1e30, 1e-30


def fits_float32(facts: BlockStatistics, query: F64) -> bool:
    """Return whether the products of a query with all keys stay well within the range of float32."""
    if facts.similarity == "cosine":
        return True
    return MIN_PRODUCT < facts.key_norm * float(np.linalg.norm(query)) < MAX_PRODUCT


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
    """
    running, query_count = kernels(), len(queries.scales)
    packed = running.pack_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    if thresholds is None:
        thresholds = initial_thresholds(view, mask, bias, running, packed, query_count, listed)
    # Small enough for the cache, and for every worker to have several to take; a power of 2, to keep step with chunks.
    max_height = min(TILE_CELLS // query_count, view.n // (workers() * TILES_PER_WORKER), view.limits.max_tile_rows)
    height = max(MIN_TILE_ROWS, 2 ** (max(max_height, 1).bit_length() - 1))
    alone = view.n * (query_count + 16) * (3 if outputs else 1) <= SINGLE_WORKER_PRODUCTS
    inverse, limit = np.ones(query_count), None
    if temperatures is not None:
        inverse = 1 / np.maximum(temperatures, 1e-30)
    else:
        limit = max_similarities(queries, view.similarity, view.facts.key_norm if key_norm is None else key_norm)
    lists, accumulators = make_accumulators(
        1 if alone else workers(),
        thresholds,
        inverse.astype(np.float32),
        max(8 * listed, MIN_LIST_CAPACITY),
        view.value_dimension if outputs else None,
        None if limit is None else limit.astype(np.float32),
    )
    # Weights a little wider than a power of 2: rows a power of 2 apart would share the same few lines of a cache.
    room = (query_count, height + PANEL) if outputs else (0, 0)
    tiles = iter(list(_tiles(view, mask, rows, height)))
    return ScanState(partial(_work, tiles, bias, running, packed, queries.fine, room, rows), accumulators, lists)


def all_rows(view: View) -> RowIndices:
    """Return all rows of a view, removed rows included, as one sequence with indices from 0 on.

    The result is cached, so that all callers share it.
    """
    if view in _ALL_ROWS:
        return _ALL_ROWS[view]
    tiles, start_index = [], 0
    for segment in view.segments:
        tiles.append(Tile(segment, slice(0, segment.count), start_index, start_index + segment.count))
        start_index += segment.count
    indices = _ALL_ROWS[view] = RowIndices(tiles, beyond_memory=view.beyond_memory)
    return indices


def _work(
    tiles: Iterator[tuple[Tile, Bools]],
    bias: Bias | None,
    running: Kernels,
    packed: Any,
    fine: bool,
    room: tuple[int, int],
    rows: RowIndices,
    accumulator: Accumulator,
) -> None:
    """Scan tiles (runs of rows) until the shared iterator is empty, and add their rows to one thread's accumulator."""
    weights = np.empty(room, dtype=np.float32)
    for tile, allowed in tiles:
        codes = tile.segment.block.codes
        assert codes is not None
        span, row_count = tile.rows, tile.stop - tile.start
        assert isinstance(span, slice)
        addends = NO_ADDENDS if bias is None else addends_for(bias, tile.segment, span)
        keys = CodedKeys(codes.codes[span.start // LANES :], codes.scales[span], allowed, tile.start, addends)
        done = 0
        while (done := _run_pass(running, accumulator, keys, done, packed, weights)) < row_count:
            accumulator.raise_thresholds(PANEL, rows, weights[:, :done])
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
