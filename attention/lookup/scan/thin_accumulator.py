"""What the workers of a scan of thin codes gather, and bring home as one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from attention.dtypes import F32, F64, I64, U64
from attention.kernels import NO_BLENDS, CandidateLists, Draws, ThinBlends
from attention.kernels.layout import DEEP, FIELDS, PANEL

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


@dataclass(eq=False)
class ThinAccumulator:
    """What one worker has gathered; `full` where a list had no more room."""

    lists: CandidateLists
    sums: F64
    draws: Draws
    blends: ThinBlends
    full: bool = False

    @classmethod
    def of(
        cls, thresholds: F32, room: int, rates: F64, drawn_room: int, keys: U64, blended: int = 0
    ) -> ThinAccumulator:
        """With room for so many rows listed and drawn a query, and for blends of codes `blended` wide."""
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


def joined(found: list[ThinAccumulator], query: int, most: int, most_drawn: int, blended: int) -> ThinScan | None:
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
