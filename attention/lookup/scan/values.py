"""Weighted sums of values, with weights and values in bytes and every product an exact integer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attention.kernels.engine import Engine
from attention.kernels.layout import CHUNK, FINE_LEVELS, LEVELS
from attention.lookup.memory.blocks import Segment
from attention.lookup.scan.accumulator import Harvest

ABOVE_MEAN = 16.0
"""In 8 bits, rows that weigh more than so many times the mean are added one by one."""

NEGLIGIBLE = 1e-7


class ValuePass:
    """Adds Σ weight·value of one tile after the other to a harvest's outputs.

    Few queries have their weights in 16 bits, which costs nothing while memory is what one waits for; many have them
    in 8.
    """

    def __init__(self, running: Engine, *, fine: bool) -> None:
        self._running = running
        self._levels = FINE_LEVELS if fine else LEVELS

    def add(self, segment: Segment, start: int, stop: int, weights: NDArray[np.float32], harvest: Harvest) -> None:
        """Add the values of rows `start` to `stop`, with `weights` float32[q, ≥ r] relative to the harvest's bars.

        `start` is a multiple of CHUNK. Rounding weight·scale to whole steps in float32 moves it by at most
        (½ + levels·2⁻²¹)·step, for a code of norm `code_norm`, and so the weight by that over scale; and a coded value
        is off by its residual.
        """
        coded = segment.block.value_codes
        assert coded is not None
        assert harvest.outputs is not None
        masses, tops = self._running.weight_of(weights, stop - start)
        # A listed row has a term of 1 at least; what is this far below all of them is left out, and said so.
        if (masses <= NEGLIGIBLE * harvest.counts).all():
            harvest.coding[:, 0] += masses * segment.value_norm
            return
        scales = coded.scales[start:stop]
        if self._levels == LEVELS:
            tops = np.minimum(tops, ABOVE_MEAN * masses / (stop - start))
        steps = np.maximum(tops * float(scales.max()) / self._levels, 1e-30).astype(np.float32)
        self._running.blend(
            coded.codes[start // CHUNK :],
            weights,
            scales,
            steps,
            self._levels,
            segment.values[start:stop],
            harvest.outputs,
            self._running.unit,
        )
        rounding = steps.astype(np.float64) * (0.5 + self._levels * 2.0**-21)
        inverse_scales = segment.inverse_scales[start // CHUNK : -(-stop // CHUNK)].sum()
        # Rows added one by one count to no coded mass.
        known = masses if self._levels == FINE_LEVELS else np.zeros_like(masses)
        linear = (masses * segment.value_residual, (stop - start) * rounding * segment.code_norm, known)
        harvest.coding[:, 1:] += np.stack([*linear, rounding * rounding * inverse_scales], axis=1)
