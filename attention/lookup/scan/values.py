"""Weighted sums of values, with weights and values in bytes and every product an exact integer."""

from __future__ import annotations

import numpy as np

from attention.dtypes import F32, Index
from attention.kernels import ABOVE_MEAN, CodedValues, Kernels
from attention.kernels.layout import CHUNK
from attention.lookup.memory.tiles import Tile
from attention.lookup.scan.accumulator import Accumulator

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
        return tile.some(_rows_added_singly(weights[:, : tile.stop - tile.start], fine=fine)).stored_values()
    return tile.segment.values


def _rows_added_singly(weights: F32, *, fine: bool) -> Index:
    """At least those rows of weights float32[q, r] that have too large a part of the whole for 8 bits."""
    if fine:
        return np.empty(0, dtype=np.intp)
    most = ROUNDING_MARGIN * ABOVE_MEAN * weights.mean(axis=1, dtype=np.float64, keepdims=True)
    return np.flatnonzero((weights > most).any(axis=0))
