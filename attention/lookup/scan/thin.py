"""The scan of thin codes: every key in 2 or 4 bits, and rows drawn by their weight as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.dtypes import F32, F64, U64
from attention.kernels import NO_BLENDS, Kernels, ThinKeys, kernels, pool, workers
from attention.kernels.layout import LANES, PANEL
from attention.lookup.codes.queries import QueryCodes
from attention.lookup.codes.thin import FOUR
from attention.lookup.memory.segments import SAMPLE_STRIDE
from attention.lookup.memory.thin import ThinFacts
from attention.lookup.memory.tiles import Places
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import NO_THRESHOLD
from attention.lookup.scan.opening import EVERY_ROW, SAMPLED
from attention.lookup.scan.scan import TILES_A_WORKER, whole
from attention.lookup.scan.thin_accumulator import ThinAccumulator, ThinScan, joined

TALLEST, LOWEST = 32_768, 1_024
"""Rows of a tile; each 1,024 have random numbers of their own, so that what is drawn does not depend on its height."""

MOST_TIMES = 8
"""So many times the rows that were to be listed, or drawn, there is room for; what has more is not told of."""

LEAST_LISTED = 256

LEAST_ABOVE = 8
"""Rows of a sample that are to lie above a threshold, where keys have thin codes alone."""

MOST_EXPONENT = 300.0


@dataclass(frozen=True)
class Foreseen:
    """What a sample says that a scan will find for one query.

    Attributes:
        threshold: a row that is scanned from here on is listed.
        mass, gap, square: Σe, Σe·x and Σe² over the rows that will be summed, see `ThinScan`.
        listed, listed_gap: Σe and Σe·x over those that will be listed.
    """

    threshold: float
    mass: float
    gap: float
    square: float
    listed: float
    listed_gap: float


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
    enough: Callable[[int, Foreseen], float],
    *,
    blending: bool,
) -> list[ThinScan | None]:
    """Weigh every row that passes by the thin codes of the keys; None for a query that lists too many, or has no hope.

    Args:
        queries: q of them, rotated and coded.
        units: float32[q], what rows above the usual spread are raised by.
        bits: 2 or 4.
        listed: about how many rows to list for each query.
        temperatures: float64[q], not below 0.
        wanted: float64[q], about how many rows to draw of those that are summed.
        keys: uint64[q], of the random numbers.
        enough: how many to draw, of a query by its number and by what a sample says; 0 where there is no hope in a
            scan. Asked where some are wanted.
        blending: whether the codes are to be added up as they weigh, as those of values.
    """
    running = kernels()
    packed = running.thin_queries(
        queries.codes, queries.scales.astype(np.float32), units, facts.usual(bits // 2 - 1), bits
    )
    inverse = (1 / np.maximum(temperatures, 1e-30)).astype(np.float32)
    opening = _Opening(view, facts, mask, running, packed, bits, queries.count, listed)
    thresholds = opening.thresholds()
    foreseen = opening.foreseen(thresholds, inverse, wanted)
    wanted = np.array([0.0 if each is None else enough(query, each) for query, each in enumerate(foreseen)])
    told = [each is None or wanted[query] > 0 for query, each in enumerate(foreseen)]
    if not any(told):
        return [None] * queries.count
    # Draws to one of mass.
    rates = np.array(
        [0.0 if each is None or not each.mass else n / each.mass for n, each in zip(wanted, foreseen, strict=True)]
    )
    room, drawn_room = MOST_TIMES * listed + PANEL, int(MOST_TIMES * wanted.max(initial=0.0)) + PANEL
    most = view.n // (workers() * TILES_A_WORKER)
    height = min(TALLEST, max(LOWEST, 2 ** (max(most, 1).bit_length() - 1)))
    tiles = iter(list(_tiles(view, mask, bits, height)))
    rows = whole(view) if view.beyond_memory else None
    width = queries.codes.shape[1]
    blended = width if blending else 0
    found = [ThinAccumulator.of(thresholds, room, rates, drawn_room, keys, blended) for _ in range(workers())]
    others = [pool().submit(_work, _asking(tiles, rows, each), running, packed, inverse, each) for each in found[1:]]
    _work(_asking(tiles, rows, found[0]), running, packed, inverse, found[0])
    for other in others:
        other.result()
    return [
        joined(found, query, MOST_TIMES * listed, drawn_room, blended) if told[query] else None
        for query in range(queries.count)
    ]


def _asking(
    tiles: Iterator[tuple[ThinKeys, F64 | None]], rows: Places | None, found: ThinAccumulator
) -> Iterator[tuple[ThinKeys, F64 | None]]:
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


def _work(
    tiles: Iterator[tuple[ThinKeys, F64 | None]], running: Kernels, packed: Any, inverse: F32, found: ThinAccumulator
) -> None:
    """Take tiles from the shared iterator until there are no more."""
    lists, sums, draws, blends = found.lists, found.sums, found.draws, found.blends
    for keys, norms in tiles:
        if blends is not NO_BLENDS:
            lengths = keys.scales if norms is None else (keys.scales * norms).astype(np.float32)
            keys = keys._replace(value_scales=lengths)
        if running.accumulate_thin(keys, 0, packed, lists, inverse, sums, draws, blends) < len(keys.scales):
            found.full = True
            return


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

    def foreseen(self, thresholds: F32, inverse: F32, wanted: F64) -> list[Foreseen | None]:
        """What a scan will find for each query of which some rows are wanted; None for the others."""
        if not wanted.any():
            return [None] * self._queries
        none = np.zeros(self._queries)
        found = ThinAccumulator.of(thresholds, self._seen + 2 * PANEL, none, 0, np.zeros(self._queries, np.uint64))
        for keys in self._keys:
            self._running.accumulate_thin(
                keys, 0, self._packed, found.lists, inverse, found.sums, found.draws, NO_BLENDS
            )
        sums = found.sums * self._stride
        foreseen: list[Foreseen | None] = [None] * self._queries
        for query in np.flatnonzero(wanted):
            similarities = found.lists.similarities[query, : found.lists.counts[query]].astype(np.float64)
            x = np.minimum((similarities - thresholds[query]) * inverse[query], MOST_EXPONENT)
            e = np.exp(x)
            listed = self._stride * e.sum(), self._stride * (e * x).sum()
            foreseen[query] = Foreseen(float(thresholds[query]), *map(float, (*sums[query], *listed)))
        return foreseen


def _tiles(view: View, mask: Mask | None, bits: int, height: int) -> Iterator[tuple[ThinKeys, F64 | None]]:
    """The rows that pass, at most `height` at a time, and ‖k‖ where codes are of directions.

    Tiles of which none passes are left out.
    """
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
                norms = segment.block.norms[first:stop] if segment.block.normalised else None
                yield ThinKeys(codes.high[first // LANES :], low, scales, spreads, allowed, place), norms
