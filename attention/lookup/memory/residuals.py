"""What the codes of values leave out together: Σ (v − v̂) of the rows that pass, read from their originals."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, F64, I64, Bools
from attention.kernels import kernels, pool
from attention.lookup.codes.moments import Moments, Residuals
from attention.lookup.memory.bits import Bitmap
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment

ROWS_PER_TASK = 4_096
"""Rows that one thread reads at a time."""


def sum_residuals(passing: Iterable[tuple[Segment, Bools | None]], width: int) -> Residuals:
    """Of the values of all rows that live, where their moments are kept.

    Those of a whole block are known. So where more than half of a block's rows pass the others are read, and taken off:
    what is left may then count rows that were written since, or lie in no segment that passes, and bounds all the same.

    Args:
        passing: segments with bool[count] of their rows that live; None for all of them.
        width: of the values.
    """
    found = Residuals(0, np.zeros(width))
    for segment, live in passing:
        whole = _moments(segment).residuals
        if live is None:
            found += whole
        elif 2 * segment.n <= segment.count:
            found += _read_residuals(segment, live)
        else:
            found += whole - _sum_removed(segment, live)
    return found


def sum_masked_residuals(segment: Segment, bits: Bitmap) -> Residuals:
    """The same of the rows of a segment that a mask lets through; known of the same bits in a mask of another view."""
    if bits.residuals is not None:
        return bits.residuals
    passes, fewer, earlier = bits.passes(), min(bits.n, bits.count - bits.n), bits.earlier
    if earlier is not None and earlier.residuals is not None:
        before = np.zeros(bits.count, dtype=np.bool_)
        before[: earlier.count] = earlier.passes()
        if np.count_nonzero(passes != before) <= fewer:
            bits.residuals = (
                earlier.residuals
                + _read_residuals(segment, passes & ~before)
                - _read_residuals(segment, before & ~passes)
            )
            bits.earlier = None
            return bits.residuals
    whole = _moments(segment).residuals
    found = _read_residuals(segment, passes) if fewer == bits.n else whole - _read_residuals(segment, ~passes)
    if found.count == bits.n:  # and of no rows that were written since
        bits.residuals = found
    return found


def _read_residuals(segment: Segment, passes: Bools) -> Residuals:
    rows = np.flatnonzero(passes)
    return Residuals(len(rows), _sum_positions(segment, rows))


_last_removed: WeakKeyDictionary[Block, tuple[Bools, Residuals]] = WeakKeyDictionary()
"""Of blocks from which rows were removed: which of them lived, and what those that did not come to."""


def _sum_removed(segment: Segment, live: Bools) -> Residuals:
    """Those of the rows that do not live: of the ones that were removed since somebody asked only these are read."""
    gone = ~live
    known = Residuals(0, np.zeros(segment.block.value_dimension))
    before, found = _last_removed.get(segment.block, (live[:0], known))
    # Rows do not come back: where one lives again this view is from before what was last asked of.
    older = len(before) > len(live) or bool((gone[: len(before)] < ~before).any())
    if not older:
        known = found
        gone[: len(before)] &= before
    rows = np.flatnonzero(gone)
    if len(rows):
        known += Residuals(len(rows), _sum_positions(segment, rows))
    if not older:
        _last_removed[segment.block] = live, known
    return known


def _sum_positions(segment: Segment, rows: I64) -> F64:
    return sum_row_residuals(segment.stored_values(rows), rows)


def sum_row_residuals(values: F32, rows: I64) -> F64:
    """float64[d_v]: Σ (v − v̂) of some rows of values float32[n, d_v], in every core where they are many."""
    running = kernels()
    parts = [rows[first : first + ROWS_PER_TASK] for first in range(0, len(rows), ROWS_PER_TASK)]
    if len(parts) < 2:
        return running.residual_sum(values, rows)
    sums = pool().map(lambda part: running.residual_sum(values, part), parts)
    return np.asarray(np.sum(list(sums), axis=0))


def _moments(segment: Segment) -> Moments:
    codes = segment.block.value_codes
    assert codes is not None
    assert codes.moments is not None
    return codes.moments
