"""The scan of thin codes: every key in 2 or 4 bits, and rows drawn by their weight as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.dtypes import F32, F64, I64, U64
from attention.kernels import CandidateLists, Draws, Kernels, ThinKeys, kernels, pool, workers
from attention.kernels.layout import LANES, PANEL
from attention.lookup.codes.queries import QueryCodes
from attention.lookup.codes.thin import FOUR
from attention.lookup.memory.segments import SAMPLE_STRIDE
from attention.lookup.memory.thin import ThinFacts
from attention.lookup.memory.tiles import Places
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import NO_THRESHOLD
from attention.lookup.scan.scan import EVERY_ROW, SAMPLED, TILES_A_WORKER, whole

TALLEST, LOWEST = 32_768, 1_024
"""Rows of a tile; each 1,024 have random numbers of their own, so that what is drawn does not depend on its height."""

MOST_TIMES = 8
"""So many times the rows that were to be listed, or drawn, there is room for; what has more is not told of."""

LEAST_LISTED = 256

LEAST_ABOVE = 8
"""Rows of a sample that are to lie above a threshold, where keys have thin codes alone."""

NO_PLACES, NO_SIMILARITIES, NO_MARKS = (np.empty(0, dtype=kind) for kind in (np.int64, np.float32, np.float64))


@dataclass(frozen=True, eq=False)
class ThinScan:
    """What a scan brings home for one query; its workers are added up to one.

    Attributes:
        threshold: float32, as a number: a row that was scanned from here on is listed, one below is summed.
        places, similarities: int64[l] and float32[l], of the rows listed, by their places.
        sums: float64[3]: Σe, Σe·x and Σe² over the rows that are summed, x = (s − threshold)/T and e = exp(x).
        drawn_places, drawn, marks: int64[m], float32[m] and float64[m]: rows drawn with chances proportional to e, some
            maybe more than once; scanned similarities, and a random number for each. None where they were too many.
    """

    threshold: float
    places: I64
    similarities: F32
    sums: F64
    drawn_places: I64
    drawn: F32
    marks: F64


def thin_scan(
    view: View,
    facts: ThinFacts,
    mask: Mask | None,
    queries: QueryCodes,
    units: F32,
    bits: int,
    listed: int,
    temperatures: F64,
    wanted: F64,
    keys: U64,
) -> list[ThinScan | None]:
    """Weigh every row that passes by the thin codes of the keys; None for a query that lists too many.

    Args:
        queries: q of them, rotated and coded.
        units: float32[q], what rows above the usual spread are raised by.
        bits: 2 or 4.
        listed: about how many rows to list for each query.
        temperatures: float64[q], not below 0.
        wanted: float64[q], about how many rows to draw of those that are summed.
        keys: uint64[q], of the random numbers.
    """
    running = kernels()
    packed = running.thin_queries(
        queries.codes, queries.scales.astype(np.float32), units, facts.usual(bits // 2 - 1), bits
    )
    inverse = (1 / np.maximum(temperatures, 1e-30)).astype(np.float32)
    opening = _Opening(view, facts, mask, running, packed, bits, queries.count, listed)
    thresholds = opening.thresholds()
    rates = opening.rates(thresholds, inverse, wanted)
    room, drawn_room = MOST_TIMES * listed + PANEL, int(MOST_TIMES * wanted.max(initial=0.0)) + PANEL
    most = view.n // (workers() * TILES_A_WORKER)
    height = min(TALLEST, max(LOWEST, 2 ** (max(most, 1).bit_length() - 1)))
    tiles = iter(list(_tiles(view, mask, bits, height)))
    found = [_Found.of(thresholds, room, rates, drawn_room, keys) for _ in range(workers())]
    rows = whole(view) if view.beyond_memory else None
    others = [pool().submit(_work, _asking(tiles, rows, each), running, packed, inverse, each) for each in found[1:]]
    _work(_asking(tiles, rows, found[0]), running, packed, inverse, found[0])
    for other in others:
        other.result()
    return [_joined(found, query, MOST_TIMES * listed, drawn_room) for query in range(queries.count)]


def _asking(tiles: Iterator[ThinKeys], rows: Places | None, found: _Found) -> Iterator[ThinKeys]:
    """The tiles; where originals are on disk, what a worker has listed for its weight is asked for as it goes on.

    Args:
        rows: all of the view; None where there is nothing to ask for.
        found: what the worker adds to.
    """
    asked = np.zeros_like(found.lists.counts)
    for tile in tiles:
        yield tile
        if rows is not None:
            for query in np.flatnonzero((found.lists.counts > asked) & (found.draws.rates > 0)):
                rows.ask_for_keys(found.lists.places[query, asked[query] : found.lists.counts[query]])
            asked = found.lists.counts.copy()


@dataclass(eq=False)
class _Found:
    """What one worker has gathered; `full` where a list had no more room."""

    lists: CandidateLists
    sums: F64
    draws: Draws
    full: bool = False

    @classmethod
    def of(cls, thresholds: F32, room: int, rates: F64, drawn_room: int, keys: U64) -> _Found:
        q = len(thresholds)
        lists = CandidateLists(
            thresholds, np.empty((q, room), np.int64), np.empty((q, room), np.float32), np.zeros(q, np.int64)
        )
        shape = (q, drawn_room if rates.any() else 0)
        drawn = np.empty(shape, np.int64), np.empty(shape, np.float32), np.empty(shape)
        return cls(lists, np.zeros((q, 3)), Draws(keys, rates, *drawn, np.zeros(q, np.int64)))


def _work(tiles: Iterator[ThinKeys], running: Kernels, packed: Any, inverse: F32, found: _Found) -> None:
    """Take tiles from the shared iterator until there are no more."""
    for keys in tiles:
        if running.accumulate_thin(keys, 0, packed, found.lists, inverse, found.sums, found.draws) < len(keys.scales):
            found.full = True
            return


def _joined(found: list[_Found], query: int, most: int, most_drawn: int) -> ThinScan | None:
    """What all workers have for one query; None by how many rows that is together, not by who has them."""
    lists, draws = [each.lists for each in found], [each.draws for each in found]
    listed, drawn = (sum(int(each.counts[query]) for each in some) for some in (lists, draws))
    if any(each.full for each in found) or listed > most:
        return None
    if drawn > most_drawn - PANEL:  # far more than a sample foresaw: no law is known of those that found room
        draws = []
    places = np.concatenate([each.places[query, : each.counts[query]] for each in lists])
    scanned = np.concatenate([each.similarities[query, : each.counts[query]] for each in lists])
    order = np.argsort(places)
    return ThinScan(
        float(lists[0].thresholds[query]),
        places[order],
        scanned[order],
        np.sum([each.sums[query] for each in found], axis=0),
        np.concatenate([NO_PLACES, *(each.places[query, : each.counts[query]] for each in draws)]),
        np.concatenate([NO_SIMILARITIES, *(each.similarities[query, : each.counts[query]] for each in draws)]),
        np.concatenate([NO_MARKS, *(each.marks[query, : each.counts[query]] for each in draws)]),
    )


class _Opening:
    """What a sample of the rows that pass says before a scan: where the best lie, and what the others weigh."""

    def __init__(
        self,
        view: View,
        facts: ThinFacts,
        mask: Mask | None,
        running: Kernels,
        packed: Any,
        bits: int,
        queries: int,
        listed: int,
    ) -> None:
        self._running, self._packed, self._queries, self._listed = running, packed, queries, listed
        samples = {id(segment): sample for segment, sample in zip(view.segments, facts.samples, strict=True)}
        segments = list(view.passing(mask))
        # One row in so many of every segment, also of one that has more of its rows in its sample.
        stride = max((segment.sample_stride for segment, _ in segments), default=1)
        times = max(1, round(view.n / (SAMPLE_STRIDE * SAMPLED)))
        if view.thin_only:  # of how many rows there may be, so few are listed that a sample must not be smaller
            times = max(1, min(times, listed // (SAMPLE_STRIDE * LEAST_ABOVE)))
        self._stride = stride * times
        self._keys, self._seen = [], 0
        for segment, passes in segments:
            sample = samples[id(segment)]
            count = min(-(-segment.count // self._stride), len(sample.places))
            allowed = EVERY_ROW[:count] if passes is None else passes[sample.places[:count]]
            self._seen += int(np.count_nonzero(allowed))
            low, code = sample.low if bits == FOUR else sample.low[:0], bits // 2 - 1
            scales, spreads = sample.scales[code, :count], sample.spreads[code, :count]
            self._keys.append(ThinKeys(sample.high, low, scales, spreads, allowed, 0))

    def thresholds(self) -> F32:
        """float32[q], so that about as many rows of all lie above as are to be listed."""
        best = np.full((self._queries, max(4, max(self._listed, LEAST_LISTED) // self._stride)), NO_THRESHOLD)
        for keys in self._keys:
            self._running.sample_top_thin(keys, self._packed, best)
        return best[:, 0].copy() if self._seen >= 4 * best.shape[1] else np.full(self._queries, NO_THRESHOLD)

    def rates(self, thresholds: F32, inverse: F32, wanted: F64) -> F64:
        """float64[q]: draws to one of mass, so that about as many as are wanted are drawn in all."""
        if not wanted.any():
            return np.zeros(self._queries)
        none = np.zeros(self._queries)
        found = _Found.of(thresholds, self._seen + 2 * PANEL, none, 0, np.zeros(self._queries, np.uint64))
        for keys in self._keys:
            self._running.accumulate_thin(keys, 0, self._packed, found.lists, inverse, found.sums, found.draws)
        masses = found.sums[:, 0] * self._stride
        return np.where(masses > 0, wanted / np.maximum(masses, 1e-300), 0.0)


def _tiles(view: View, mask: Mask | None, bits: int, height: int) -> Iterator[ThinKeys]:
    """The rows that pass, at most `height` at a time; tiles of which none passes are left out."""
    starts, place = {}, 0
    for segment in view.segments:
        starts[id(segment)] = place
        place += segment.count
    for segment, passes in view.passing(mask):
        codes = segment.block.thin
        assert codes is not None
        for first in range(0, segment.count, height):
            stop = min(first + height, segment.count)
            allowed = EVERY_ROW[: stop - first] if passes is None else passes[first:stop]
            if passes is None or allowed.any():
                low = codes.low[first // LANES :] if bits == FOUR else codes.low[:0]
                scales, spreads = (each[bits // 2 - 1, first:stop] for each in (codes.scales, codes.spreads))
                place = starts[id(segment)] + first
                yield ThinKeys(codes.high[first // LANES :], low, scales, spreads, allowed, place)
