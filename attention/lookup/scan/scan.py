"""The scan: every key in 8 bits, tile by tile, in as many threads as there are cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, F64, Bools, Index
from attention.kernels import ABOVE_MEAN, CandidateLists, CodedKeys, CodedValues, Kernels, kernels, pool, workers
from attention.kernels.layout import CHUNK, LANES, PANEL
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.tiles import RowIndices, Tile
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import Accumulator, empty_lists
from attention.lookup.scan.thresholds import EVERY_ROW, addends_for, initial_thresholds

TILE_CELLS = 131_072
"""Weights of a tile, which should stay in a core's second-level cache."""

MAX_TILE_ROWS, MIN_TILE_ROWS = 32_768, 1_024
TILES_PER_WORKER = 6
MIN_LIST_CAPACITY = 512

SINGLE_WORKER_PRODUCTS = 2**18
"""So many products of a key and a query take less time than another thread takes to begin."""

_ALL_ROWS: WeakKeyDictionary[View, RowIndices] = WeakKeyDictionary()

MAX_PRODUCT, MIN_PRODUCT = 1e30, 1e-30


def fits_float32(facts: BlockStatistics, query: F64) -> bool:
    """Whether products of keys and a query keep clear of float32's ends."""
    if facts.similarity == "cosine":
        return True
    return MIN_PRODUCT < facts.key_norm * float(np.linalg.norm(query)) < MAX_PRODUCT


class ScanState:
    """A scan that the other workers have begun: what needs nothing of it can be done meanwhile.

    Attributes:
        lists: of all workers, each array with one more axis for these.
    """

    def __init__(
        self, work: Callable[[Accumulator], None], accumulators: Sequence[Accumulator], lists: CandidateLists
    ) -> None:
        self.lists = lists
        self._work, self._accumulators = work, accumulators
        self._others = [pool().submit(work, each) for each in accumulators[1:]]

    def finish(self) -> Sequence[Accumulator]:
        """Take part in it until all is done; one accumulator a worker."""
        self._work(self._accumulators[0])
        for other in self._others:
            other.result()
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
    """Begin to weigh every row that passes by the 8-bit copies of query and key.

    Args:
        rows: all of the view, see `all_rows`.
        queries: q of them, coded so that code·code·scales is the similarity.
        listed: about how many rows to list for each query.
        temperatures: float64[q], not below 0, to sum at; None for a histogram, from which any can be had.
        bias: what is added to each similarity.
        outputs: whether the weighted values are to be summed as well.
        key_norm: the largest ‖k‖ of all parts, where this view is one of several: their histograms have the same bins.
        thresholds: float32[q], where lists open, as a sample of all parts says; None for one of this view alone.
    """
    running = kernels()
    packed = running.pack_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    inverse = np.ones(queries.count) if temperatures is None else 1 / np.maximum(temperatures, 1e-30)
    limit = max_similarities(queries, view.similarity, view.facts.key_norm if key_norm is None else key_norm)
    if thresholds is None:
        thresholds = initial_thresholds(view, mask, bias, running, packed, queries.count, listed)
    # Small enough for the cache, and for every worker to have several to take; a power of 2, to keep step with chunks.
    most = min(TILE_CELLS // queries.count, view.n // (workers() * TILES_PER_WORKER), MAX_TILE_ROWS)
    height = max(MIN_TILE_ROWS, 2 ** (max(most, 1).bit_length() - 1))
    alone = view.n * (queries.count + 16) * (3 if outputs else 1) <= SINGLE_WORKER_PRODUCTS
    lists = empty_lists(1 if alone else workers(), thresholds, max(8 * listed, MIN_LIST_CAPACITY))
    width, capacity = view.value_dimension if outputs else None, lists.places.shape[2]
    tops, colds = limit.astype(np.float32) if temperatures is None else None, inverse.astype(np.float32)
    accumulators = [
        Accumulator(thresholds, colds, capacity, width, tops, CandidateLists(*own)) for own in zip(*lists, strict=True)
    ]
    # Weights a little wider than a power of 2, since places so far apart share the same few lines of a cache.
    room = (queries.count, height + PANEL) if outputs else (0, 0)
    tiles = iter(list(_tiles(view, mask, rows, height)))
    return ScanState(partial(_work, tiles, bias, running, packed, queries.fine, room, rows), accumulators, lists)


def all_rows(view: View) -> RowIndices:
    """Return the indices of all rows of a view, removed ones included; cached, so that all callers share them."""
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
    """Take tiles from the shared iterator until there are no more."""
    weights = np.empty(room, dtype=np.float32)
    for tile, allowed in tiles:
        codes = tile.segment.block.codes
        assert codes is not None
        start, stop = tile.span
        addends = addends_for(bias, tile.segment, slice(start, stop))
        keys = CodedKeys(codes.codes[start // LANES :], codes.scales[start:stop], allowed, tile.start, addends)
        done = 0
        while (done := _run_pass(running, accumulator, keys, done, packed, weights)) < stop - start:
            accumulator.raise_thresholds(PANEL, rows, weights[:, :done])
        if accumulator.outputs is not None:
            add_values(running, tile, weights, accumulator, fine=fine)


def _run_pass(running: Kernels, into: Accumulator, keys: CodedKeys, done: int, packed: Any, weights: F32) -> int:
    """One call of a pass: sums at one temperature, or a histogram for all."""
    if into.histogram is not None:
        return running.fill_histogram(keys, done, packed, into.lists, into.lows, into.finer, into.histogram)
    return running.accumulate(keys, done, packed, into.lists, into.inverse, into.sums, weights)


def max_similarities(queries: QueryCodes, similarity: str, key_norm: float) -> F64:
    """Return float64[q], upper bounds on |scanned similarity| for keys whose length is at most `key_norm`."""
    longest = 1.05 if similarity == "cosine" else 2 * key_norm
    return (queries.norms + queries.residuals_norm) * longest


def _tiles(view: View, mask: Mask | None, rows: RowIndices, height: int) -> Iterator[tuple[Tile, Bools]]:
    """Tiles of at most `height` rows with bool[r] of those that pass; tiles of which none passes are left out."""
    places = {id(tile.segment): tile.start for tile in rows.tiles}
    for segment, passes in view.passing(mask):
        place = places[id(segment)]
        for start in range(0, segment.count, height):
            stop = min(start + height, segment.count)
            allowed = EVERY_ROW[: stop - start] if passes is None else passes[start:stop]
            if passes is None or allowed.any():
                yield Tile(segment, slice(start, stop), place + start, place + stop), allowed


ROUNDING_MARGIN = 0.99
"""A row's weight is rounded to half a level of 127 before it counts as too large."""


def add_values(running: Kernels, tile: Tile, weights: F32, accumulator: Accumulator, *, fine: bool) -> None:
    """Add Σ weight·value of one tile to the outputs of an accumulator, and what that can be off by to its errors.

    Few queries have their weights in 16 bits, which costs nothing while memory is what one waits for; many have them
    in 8.

    Args:
        tile: side by side, from a multiple of CHUNK on.
        weights: float32[q, ≥ r], relative to the accumulator's thresholds.
        fine: whether weights have 16 bits.
    """
    segment, (start, stop) = tile.segment, tile.span
    codes = segment.block.value_codes
    assert codes is not None
    assert accumulator.outputs is not None
    chunks = slice(start // CHUNK, -(-stop // CHUNK))
    values = CodedValues(
        codes.codes[chunks],
        codes.scales[start:stop],
        _stored_values(tile, weights, fine=fine)[start:stop],
        segment.inverse_scales[chunks],
        segment.value_residual,
        segment.value_norm,
        segment.code_norm,
    )
    counts = accumulator.lists.counts
    running.add_values(values, weights, counts, fine, accumulator.outputs, accumulator.value_errors, running.AMX)


def _stored_values(tile: Tile, weights: F32, *, fine: bool) -> F32:
    """float32[count, d_v] of the tile's segment, of which those rows may be used whose values are added one by one."""
    if tile.segment.block.unchecked:
        return tile.some(_rows_added_singly(weights[:, : tile.stop - tile.start], fine=fine)).load_values()
    return tile.segment.values


def _rows_added_singly(weights: F32, *, fine: bool) -> Index:
    """At least those rows of weights float32[q, r] that have too large a part of the whole for 8 bits."""
    if fine:
        return np.empty(0, dtype=np.intp)
    most = ROUNDING_MARGIN * ABOVE_MEAN * weights.mean(axis=1, dtype=np.float64, keepdims=True)
    return np.flatnonzero((weights > most).any(axis=0))
