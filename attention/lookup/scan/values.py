"""Weighted sums of values, with weights and values in bytes and every product an exact integer."""

from __future__ import annotations

import numpy as np

from attention.dtypes import F32
from attention.kernels import Kernels
from attention.kernels.layout import CHUNK, FINE_LEVELS, LEVELS
from attention.lookup.memory.tiles import Tile
from attention.lookup.scan.accumulator import Accumulator

ABOVE_MEAN = 16.0
"""In 8 bits, rows that weigh more than so many times the mean are added one by one."""

NEGLIGIBLE = 1e-7


def add_values(running: Kernels, tile: Tile, weights: F32, accumulator: Accumulator, *, fine: bool) -> None:
    """Add Σ weight·value of one tile to the outputs of an accumulator.

    Few queries have their weights in 16 bits, which costs nothing while memory is what one waits for; many have them
    in 8. Rounding weight·scale to whole steps in float32 moves it by at most (½ + levels·2⁻²¹)·step, for a code of norm
    `code_norm`, and so the weight by that over scale; and a coded value is off by its residual.

    Args:
        tile: side by side, from a multiple of CHUNK on.
        weights: float32[q, ≥ r], relative to the accumulator's thresholds.
        fine: whether weights have 16 bits.
    """
    segment, levels = tile.segment, FINE_LEVELS if fine else LEVELS
    start, stop = tile.span
    codes = segment.block.value_codes
    assert codes is not None
    assert accumulator.outputs is not None
    masses, tops = running.weight_of(weights, stop - start)
    # A listed row has a term of 1 at least; what is this far below all of them is left out, and said so.
    if (masses <= NEGLIGIBLE * accumulator.lists.counts).all():
        accumulator.value_errors[:, 0] += masses * segment.value_norm
        return
    scales = codes.scales[start:stop]
    known = masses
    if not fine:
        most = ABOVE_MEAN * masses / (stop - start)
        # Rows added one by one count to no coded mass.
        known = np.where(tops <= most, masses, 0.0)
        tops = np.minimum(tops, most)
    steps = np.maximum(tops * float(scales.max()) / levels, 1e-30).astype(np.float32)
    outputs, values = accumulator.outputs, segment.values[start:stop]
    running.blend(codes.codes[start // CHUNK :], weights, scales, steps, levels, values, outputs, running.AMX)
    rounding = steps.astype(np.float64) * (0.5 + levels * 2.0**-21)
    inverse_scales = segment.inverse_scales[start // CHUNK : -(-stop // CHUNK)].sum()
    linear = (masses * segment.value_residual, (stop - start) * rounding * segment.code_norm, known)
    accumulator.value_errors[:, 1:] += np.stack([*linear, rounding * rounding * inverse_scales], axis=1)
