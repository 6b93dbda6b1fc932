"""Weighted sums of values, with weights and values in bytes and every product an exact integer."""

from __future__ import annotations

from attention.dtypes import F32
from attention.kernels import CodedValues, Kernels
from attention.kernels.layout import CHUNK
from attention.lookup.memory.tiles import Tile
from attention.lookup.scan.accumulator import Accumulator


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
        segment.values[start:stop],
        segment.inverse_scales[chunks],
        segment.value_residual,
        segment.value_norm,
        segment.code_norm,
    )
    counts = accumulator.lists.counts
    running.add_values(values, weights, counts, fine, accumulator.outputs, accumulator.value_errors, running.AMX)
