"""What one worker has gathered of its tiles: sums of what lies below each query's bar, a list of what lies above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attention.kernels.tile import Lists
from attention.lookup.memory.tiles import Places

NO_BAR = np.float32(-3e38)
BINS = 4096
"""Of the histogram, over all similarities that there can be."""


CODING = ("left_out", "residual", "rounding", "mass", "rounding_square")
"""What is known of the coding of weights a, relative to the bar, and values v.

The norm of what was left out; Σ a·‖v − v̂‖ and Σ |δ|·‖v̂‖ of the coded ones, δ the rounding of a; Σ a over them, 0 where
it is not known; Σ δ² over them.
"""

CODING_DEGREES = np.array([1.0, 1.0, 1.0, 1.0, 2.0])


class Harvest:
    """Sums and lists for q queries. A bar only ever rises; the sums are relative to it, so they never overflow.

    Args:
        bars: float32[q] to begin with.
        inverse: float32[q].
        capacity: of each list.
        value_dimension: the width of the outputs, or None.
        reach: float32[q], the largest similarity that there can be, for a histogram; or None for sums.

    Attributes:
        bars: float32[q]; a similarity from here on is listed, one below is summed.
        inverse: float32[q], 1/T.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the rows below the bar, x = (s − bar)/T and e = exp(x).
        places, found: int64[q, c] and float32[q, c], the listed rows and their similarities.
        counts: int64[q], how much of each list is used.
        lists: these four together.
        outputs: float64[q, d_v], Σe·v over the rows below the bar; None where no output is asked for.
        histogram: float64[q, bins, 2], count and sum of the similarities below the bar, in place of `sums`; None where
            one temperature is asked for.
        lows, finer: float32[q], where the first bin begins, and bins to one of similarity.
        coding: float64[q, 5], what `outputs` can be off by, see `CODING`.
    """

    def __init__(
        self,
        bars: NDArray[np.float32],
        inverse: NDArray[np.float32],
        capacity: int,
        value_dimension: int | None,
        reach: NDArray[np.float32] | None,
    ) -> None:
        q = len(bars)
        self.bars = bars.copy()
        self.inverse = inverse
        self.sums = np.zeros((q, 3))
        self.places = np.empty((q, capacity), dtype=np.int64)
        self.found = np.empty((q, capacity), dtype=np.float32)
        self.counts = np.zeros(q, dtype=np.int64)
        self.lists = Lists(self.bars, self.places, self.found, self.counts)
        self.outputs = None if value_dimension is None else np.zeros((q, value_dimension))
        self.coding = np.zeros((q, len(CODING)))
        self.histogram = None if reach is None else np.zeros((q, BINS, 2))
        self.lows = -np.ones(q, dtype=np.float32) if reach is None else -reach
        self.finer = BINS / (-2 * self.lows)

    def make_room(self, needed: int, rows: Places, weights: NDArray[np.float32]) -> None:
        """Raise the bar of every query whose list has no room for so many more rows.

        Args:
            rows: where listed places stand.
            weights: float32[q, r], terms of the tile in hand that are relative to the bars; moved with them.
        """
        capacity = self.places.shape[1]
        for query in np.flatnonzero(self.counts + needed > capacity):
            found = self.found[query, : self.counts[query]]
            bar = np.partition(found, len(found) - capacity // 4)[len(found) - capacity // 4]
            # Where copies of one row fill the list, none of them can stay.
            if np.count_nonzero(found >= bar) > capacity // 2:
                bar = np.nextafter(bar, np.float32(np.inf))
            self._raise(int(query), bar, rows, weights)

    def _raise(self, query: int, bar: np.float32, rows: Places, weights: NDArray[np.float32]) -> None:
        count = self.counts[query]
        places, found = self.places[query, :count].copy(), self.found[query, :count].copy()
        colder = float(self.inverse[query])
        if self.sums[query, 0] > 0:
            shift = (float(self.bars[query]) - float(bar)) * colder
            mass, depth, square = self.sums[query]
            self.sums[query] = np.exp(shift) * np.array([mass, depth + shift * mass, np.exp(shift) * square])
            self.coding[query] *= np.exp(shift * CODING_DEGREES)
            if self.outputs is not None:
                self.outputs[query] *= np.exp(shift)
                weights[query] *= np.float32(np.exp(shift))
        below = found < bar
        if self.histogram is not None:
            at = np.clip(((found[below] - self.lows[query]) * self.finer[query]).astype(np.int64), 0, BINS - 1)
            np.add.at(self.histogram[query, :, 0], at, 1.0)
            np.add.at(self.histogram[query, :, 1], at, found[below])
        logits = np.maximum((found[below].astype(np.float64) - float(bar)) * colder, -700.0)
        terms = np.exp(logits)
        self.sums[query] += terms.sum(), (terms * logits).sum(), (terms * terms).sum()
        if self.outputs is not None:
            order = np.argsort(places[below])
            for part, tile in rows.picked(places[below][order]):
                self.outputs[query] += terms[order[part]] @ tile.values()
        kept = int(np.count_nonzero(~below))
        self.places[query, :kept] = places[~below]
        self.found[query, :kept] = found[~below]
        self.counts[query] = kept
        self.bars[query] = bar
