"""The scan of thin codes: every key in 2 or 4 bits, and rows drawn by their weight as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attention.dtypes import F32, F64, I64, U64
from attention.kernels import NO_BLENDS, CandidateLists, Draws, Kernels, ThinBlends, ThinKeys, kernels, pool, workers
from attention.kernels.layout import DEEP, FIELDS, LANES, PANEL
from attention.lookup.codes.queries import QueryCodes
from attention.lookup.codes.thin import FOUR
from attention.lookup.memory.blocks import SAMPLE_STRIDE
from attention.lookup.memory.thin import ThinFacts
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import NO_THRESHOLD
from attention.lookup.scan.scan import EVERY_ROW, SAMPLED, TILES_A_WORKER

TALLEST, LOWEST = 32_768, 1_024
"""Rows of a tile; each 1,024 have random numbers of their own, so that what is drawn does not depend on its height."""

MOST_TIMES = 8
"""So many times the rows that were to be listed, or drawn, there is room for; what has more is not told of."""

LEAST_LISTED = 256

MOST_EXPONENT = 300.0

MARKS = 16
"""Parts by their marks in which codes of rows drawn are added up."""

NO_BLEND, NO_SHARES = np.zeros((MARKS, 0)), np.zeros(0)
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
        blend: float64[d], Σ a·c over the codes c of the rows that are summed, a about e times what makes c a value;
            None where keys were not to be blended.
        drawn_blend: float64[MARKS, d], Σ (a/e)·c over the rows drawn, in parts by their marks.
        shares: float64[m], a/e of each row drawn, over what makes its code a value.
    """

    threshold: float
    places: I64
    similarities: F32
    sums: F64
    drawn_places: I64
    drawn: F32
    marks: F64
    blend: F64 | None = None
    drawn_blend: F64 = field(default_factory=lambda: NO_BLEND)
    shares: F64 = field(default_factory=lambda: NO_SHARES)


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
    opening = _Opening(view, facts, mask, running, packed, bits, queries.count)
    thresholds = opening.thresholds(listed)
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
    width = queries.codes.shape[1]
    blended = width if blending else 0
    found = [_Found.of(thresholds, room, rates, drawn_room, keys, blended) for _ in range(workers())]
    others = [pool().submit(_work, tiles, running, packed, inverse, each) for each in found[1:]]
    _work(tiles, running, packed, inverse, found[0])
    for other in others:
        other.result()
    return [
        _joined(found, query, MOST_TIMES * listed, drawn_room, blended) if told[query] else None
        for query in range(queries.count)
    ]


@dataclass(eq=False)
class _Found:
    """What one worker has gathered; `full` where a list had no more room."""

    lists: CandidateLists
    sums: F64
    draws: Draws
    blends: ThinBlends
    full: bool = False

    @classmethod
    def of(cls, thresholds: F32, room: int, rates: F64, drawn_room: int, keys: U64, blended: int = 0) -> _Found:
        q = len(thresholds)
        lists = CandidateLists(
            thresholds, np.empty((q, room), np.int64), np.empty((q, room), np.float32), np.zeros(q, np.int64)
        )
        shape = (q, drawn_room if rates.any() else 0)
        drawn = np.empty(shape, np.int64), np.empty(shape, np.float32), np.empty(shape)
        blends = NO_BLENDS
        if blended:
            width = -(-blended // (DEEP * FIELDS)) * DEEP * FIELDS
            blends = ThinBlends(np.zeros((q, width)), np.zeros((q, MARKS, width)), np.zeros(shape))
        return cls(lists, np.zeros((q, 3)), Draws(keys, rates, *drawn, np.zeros(q, np.int64)), blends)


def _work(
    tiles: Iterator[tuple[ThinKeys, F64 | None]], running: Kernels, packed: Any, inverse: F32, found: _Found
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


def _joined(found: list[_Found], query: int, most: int, most_drawn: int, blended: int) -> ThinScan | None:
    """What all workers have for one query; None by how many rows that is together, not by who has them."""
    lists, draws, blends = (
        [each.lists for each in found],
        [each.draws for each in found],
        [each.blends for each in found],
    )
    listed, drawn = (sum(int(each.counts[query]) for each in some) for some in (lists, draws))
    if any(each.full for each in found) or listed > most:
        return None
    if drawn > most_drawn - PANEL:  # far more than a sample foresaw: no law is known of those that found room
        draws = []
    shares = (
        [own.shares[query, : each.counts[query]] for own, each in zip(blends, draws, strict=False)] if blended else []
    )
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
        np.sum([each.sums[query, :blended] for each in blends], axis=0) if blended else None,
        np.sum([each.drawn[query, :, :blended] for each in blends], axis=0) if blended else NO_BLEND,
        np.concatenate([NO_MARKS, *shares]),
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
    ) -> None:
        self._running, self._packed, self._queries = running, packed, queries
        samples = {id(segment): sample for segment, sample in zip(view.segments, facts.samples, strict=True)}
        segments = list(view.passing(mask))
        # One row in so many of every segment, also of one that has more of its rows in its sample.
        stride = max((segment.sample_stride for segment, _ in segments), default=1)
        self._stride = stride * max(1, round(view.n / (SAMPLE_STRIDE * SAMPLED)))
        self._keys, self._seen = [], 0
        for segment, passes in segments:
            sample = samples[id(segment)]
            count = min(-(-segment.count // self._stride), len(sample.places))
            allowed = EVERY_ROW[:count] if passes is None else passes[sample.places[:count]]
            self._seen += int(np.count_nonzero(allowed))
            low, code = sample.low if bits == FOUR else sample.low[:0], bits // 2 - 1
            scales, spreads = sample.scales[code, :count], sample.spreads[code, :count]
            self._keys.append(ThinKeys(sample.high, low, scales, spreads, allowed, 0))

    def thresholds(self, listed: int) -> F32:
        """float32[q], so that about `listed` rows of all lie above."""
        best = np.full((self._queries, max(4, max(listed, LEAST_LISTED) // self._stride)), NO_THRESHOLD)
        for keys in self._keys:
            self._running.sample_top_thin(keys, self._packed, best)
        return best[:, 0].copy() if self._seen >= 4 * best.shape[1] else np.full(self._queries, NO_THRESHOLD)

    def foreseen(self, thresholds: F32, inverse: F32, wanted: F64) -> list[Foreseen | None]:
        """What a scan will find for each query of which some rows are wanted; None for the others."""
        if not wanted.any():
            return [None] * self._queries
        none = np.zeros(self._queries)
        found = _Found.of(thresholds, self._seen + 2 * PANEL, none, 0, np.zeros(self._queries, np.uint64))
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
        assert segment.block.codes is not None
        codes = segment.block.codes.thin
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
