"""Weighted sums of values, with weights and values in 8 bits and every product an exact integer."""

import numpy as np
from numpy.typing import NDArray

from attention.lookup.blocks import Segment
from attention.lookup.codes import LEVELS
from attention.lookup.engine import Engine
from attention.lookup.harvest import Harvest

ABOVE_MEAN = 16.0
"""In 8 bits, rows that weigh more than so many times the mean are added one by one."""

FINE_LEVELS = 2**15 - 1
NEGLIGIBLE = 1e-7


class ValuePass:
    """Adds Σ weight·value of one tile after the other to a harvest's outputs.

    Few queries have their weights in 16 bits, which costs nothing while memory is what one waits for; many have them
    in 8.
    """

    def __init__(self, running: Engine, queries: int, width: int) -> None:
        self._running = running
        self._fine = queries <= running.fine
        self._levels = FINE_LEVELS if self._fine else LEVELS
        self._products = np.empty((width, queries), dtype=np.int32)
        self._sums = np.empty((width, queries))

    def add(self, segment: Segment, start: int, stop: int, weights: NDArray[np.float32], harvest: Harvest) -> None:
        """Add the values of rows `start` to `stop`, with `weights` float32[q, ≥ r] relative to the harvest's bars."""
        coded = segment.block.value_codes
        assert coded is not None
        assert harvest.outputs is not None
        terms = weights[:, : stop - start]
        masses = terms.sum(axis=1, dtype=np.float64)
        # A listed row has a term of 1 at least; what is this far below all of them is left out, and said so.
        if (masses <= NEGLIGIBLE * harvest.counts).all():
            harvest.coding += masses * segment.value_norm
            return
        scales = coded.scales[start:stop]
        tops = terms.max(axis=1).astype(np.float64)
        if not self._fine:
            tops = np.minimum(tops, ABOVE_MEAN * masses / (stop - start))
        steps = np.maximum(tops * float(scales.max()) / self._levels, 1e-30).astype(np.float32)
        levels = np.empty(terms.shape, dtype=np.int16 if self._fine else np.int8)
        if self._fine:
            self._running.fine_levels(weights, scales, steps, levels)
            self._running.fine_sums(coded.codes, start, levels, self._sums)
        else:
            self._sums[:] = 0
            values = segment.values[start:stop]
            self._running.coarse_levels(weights, scales, steps, levels, values, harvest.outputs)
            for at, chunk, here in coded.parts(start, stop):
                part = levels[:, at - start : at - start + here.stop - here.start]
                self._running.dots(part)(coded.codes[chunk, :, here], self._products)
                self._sums += self._products
        harvest.outputs += self._sums.T * steps[:, None].astype(np.float64)
        rounding = steps * (0.5 + self._levels * 2.0**-21)
        harvest.coding += (stop - start) * rounding * segment.code_norm + masses * segment.value_residual
