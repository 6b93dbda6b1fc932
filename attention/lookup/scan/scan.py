"""The scan: every key in 8 bits, tile by tile, in as many threads as there are cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention.kernels.engine import Engine, engine, pool, workers
from attention.kernels.layout import LANES, RUN
from attention.kernels.tile import Stretch
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.blocks import BLOCK_ROWS, SAMPLE_STRIDE, Segment
from attention.lookup.memory.tiles import Places, Tile
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import NO_BAR, Harvest
from attention.lookup.scan.values import ValuePass

TILE_CELLS = 131_072
"""Weights of a tile, which should stay in a core's second-level cache."""

MOST_ROWS, FEWEST_ROWS = 32_768, 1_024
PIECES = 6
LEAST_ROOM = 512

SAMPLED = 8_192
"""About how many rows the opening bars are taken from."""

EVERY_ROW = np.ones(BLOCK_ROWS, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Piece:
    """A run of rows of one segment, and the place of its first row among all rows of the view."""

    segment: Segment
    start: int
    stop: int
    allowed: NDArray[np.bool_]
    place: int


@dataclass(frozen=True, eq=False)
class Scanned:
    """What the workers brought home.

    Attributes:
        rows: where the listed places stand.
        harvests: one a worker.
    """

    rows: Places
    harvests: Sequence[Harvest]

    def listed(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """All rows listed for a query: places int64[c] and scanned similarities float64[c], best first."""
        places = np.concatenate([h.places[query, : h.counts[query]] for h in self.harvests])
        found = np.concatenate([h.found[query, : h.counts[query]] for h in self.harvests])
        order = np.argsort(-found)
        return places[order], found[order].astype(np.float64)


class UnderWay:
    """A scan that the other workers have begun: what needs nothing of it can be done meanwhile."""

    def __init__(self, work: Callable[[Harvest], None], rows: Places, harvests: Sequence[Harvest]) -> None:
        self._work, self._rows, self._harvests = work, rows, harvests
        self._others = [pool().submit(work, harvest) for harvest in harvests[1:]]

    def finished(self) -> Scanned:
        """Take part in it, until all is done."""
        self._work(self._harvests[0])
        for other in self._others:
            other.result()
        return Scanned(self._rows, self._harvests)


def scan(
    view: View,
    mask: Mask | None,
    queries: QueryCodes,
    listed: int,
    temperatures: NDArray[np.float64] | None,
    *,
    outputs: bool = False,
) -> UnderWay:
    """Begin to weigh every row that passes by the 8-bit copies of query and key.

    Args:
        queries: q of them, coded so that code·code·scales is the similarity.
        listed: about how many rows to list for each query.
        temperatures: float64[q], not below 0, to sum at; None for a histogram, from which any can be had.
        outputs: whether the weighted values are to be summed as well.
    """
    running = engine()
    packed = running.packed_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    with np.errstate(divide="ignore"):
        inverse = np.minimum(1 / (np.ones(queries.count) if temperatures is None else temperatures), 1e30)
    reach = (queries.norms + queries.residuals_norm) * (2 * view.key_norm if view.similarity != "cosine" else 1.05)
    bars = _opening_bars(view, mask, running, packed, queries.count, listed)
    # Small enough for the cache, and for every worker to have several to take; a power of 2, to keep step with chunks.
    most = min(TILE_CELLS // queries.count, view.n // (workers() * PIECES), MOST_ROWS)
    height = max(FEWEST_ROWS, 2 ** (max(most, 1).bit_length() - 1))
    rows = Places(_whole(view))
    harvests = [
        Harvest(
            bars,
            inverse.astype(np.float32),
            max(8 * listed, LEAST_ROOM),
            view.value_dimension if outputs else None,
            reach.astype(np.float32) if temperatures is None else None,
        )
        for _ in range(workers())
    ]
    shared = iter(list(_pieces(view, mask, height)))
    values = ValuePass(running, fine=queries.fine) if outputs else None
    return UnderWay(partial(_work, shared, running, packed, values, height, rows), rows, harvests)


def _work(
    pieces: Iterator[Piece],
    running: Engine,
    packed: Any,
    values: ValuePass | None,
    height: int,
    rows: Places,
    harvest: Harvest,
) -> None:
    """Take pieces from the shared iterator until there are no more."""
    # A little wider than a power of 2, since places so far apart share the same few lines of a cache.
    weights = np.empty((len(harvest.bars), height + RUN) if values else (0, 0), dtype=np.float32)
    for piece in pieces:
        codes = piece.segment.block.codes
        assert codes is not None
        scales = codes.scales[piece.start : piece.stop]
        keys = Stretch(codes.codes[piece.start // LANES :], scales, piece.allowed, piece.place)
        done = 0
        while (done := _pass(running, harvest, keys, done, packed, weights)) < len(scales):
            harvest.make_room(RUN, rows, weights[:, :done])
        if values is not None:
            values.add(piece.segment, piece.start, piece.stop, weights, harvest)


def _pass(
    running: Engine, harvest: Harvest, keys: Stretch, done: int, packed: Any, weights: NDArray[np.float32]
) -> int:
    """One call of a pass: sums at one temperature, or a histogram for all."""
    if harvest.histogram is not None:
        return running.tally(keys, done, packed, harvest.lists, harvest.lows, harvest.finer, harvest.histogram)
    return running.weigh(keys, done, packed, harvest.lists, harvest.inverse, harvest.sums, weights)


def _opening_bars(
    view: View,
    mask: Mask | None,
    running: Engine,
    packed: Any,
    queries: int,
    listed: int,
) -> NDArray[np.float32]:
    """float32[q]: where the best of a sample of the rows lie, so that about `listed` rows of all pass."""
    thin = max(1, round(view.n / (SAMPLE_STRIDE * SAMPLED)))
    best = np.full((queries, max(4, listed // (SAMPLE_STRIDE * thin))), NO_BAR)
    seen = 0
    for segment, passes in view.passing(mask):
        sample = segment.sample
        count = len(sample.places) // thin
        allowed = EVERY_ROW[:count] if passes is None else passes[sample.places[:count]]
        seen += int(np.count_nonzero(allowed))
        running.lead(Stretch(sample.codes, sample.scales[:count], allowed, 0), packed, best)
    return best[:, 0].copy() if seen >= 4 * best.shape[1] else np.full(queries, NO_BAR)


def _whole(view: View) -> list[Tile]:
    tiles, place = [], 0
    for segment in view.segments:
        tiles.append(Tile(segment, slice(0, segment.count), place, place + segment.count))
        place += segment.count
    return tiles


def _pieces(view: View, mask: Mask | None, height: int) -> Iterator[Piece]:
    """Runs of at most `height` rows, those left out that no row of passes."""
    places = {id(tile.segment): tile.start for tile in _whole(view)}
    for segment, passes in view.passing(mask):
        for start in range(0, segment.count, height):
            stop = min(start + height, segment.count)
            allowed = EVERY_ROW[: stop - start] if passes is None else passes[start:stop]
            if passes is None or allowed.any():
                yield Piece(segment, start, stop, allowed, places[id(segment)] + start)
