"""Compaction: small segments, and segments with many removed rows, are rewritten as a few full ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from softkv_attention.arrays import F32, I64, Bools, Index
from softkv_attention.lookup.memory.blocks import Block, BlockFormat
from softkv_attention.lookup.memory.rows import Rows
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import View

REMOVED_SHARE = 0.25
"""A segment is rewritten if at least this share of its rows was removed."""

SMALL_SHARE = 0.5
"""A segment is small below this share of a full block; two consecutive small segments are merged."""


@dataclass(frozen=True, eq=False)
class Replacement:
    """Neighbouring segments (blocks of rows) of a view, and the one segment that replaces them.

    Attributes:
        old: the segments to replace, in the view's order.
        new: a segment with the rows of all of them that were not removed.
    """

    old: tuple[Segment, ...]
    new: Segment


def compact(view: View, layout: BlockFormat) -> list[Replacement]:
    """Copy the rows of small segments, and of segments with many removed rows, to new ones; return the replacements.

    A segment is a block of rows as the view sees it. The view does not change: `apply_replacements` applies the result.
    The last segment, to which the writer appends, is copied only if most of its rows were removed and no other segment
    needs it. Without that exception, a few documents that are updated again and again would fill a whole block.

    Args:
        view: the view whose segments are checked.
        layout: the format of the new blocks.
    """
    groups: list[list[Segment]] = []
    rows, limits = 0, layout.limits
    for segment in view.segments[:-1]:
        if segment.n >= segment.count * (1 - REMOVED_SHARE) and segment.n >= limits.block_rows * SMALL_SHARE:
            groups.append([])
            rows = 0
            continue
        if not groups or rows + segment.n > limits.block_rows or not _share_values(groups[-1], segment):
            groups.append([])
            rows = 0
        groups[-1].append(segment)
        rows += segment.n
    worth = [
        group for group in groups if len(group) > 1 or (group and group[0].n < group[0].count * (1 - REMOVED_SHARE))
    ]
    if not worth:
        worth = [
            [segment]
            for segment in view.segments[-1:]
            if segment.count - segment.n > max(limits.removed_in_last, segment.n)
        ]
    return [Replacement(tuple(group), _merge(group, layout)) for group in worth]


def replace_values(view: View, numbers: I64, values: F32, layout: BlockFormat) -> list[Replacement]:
    """Copy the segments that have some of these rows, with other values for them; return the replacements.

    A segment is a block of rows as the view sees it. The view does not change: `apply_replacements` applies the result.

    Args:
        view: the view whose rows get other values.
        numbers: int64[n], the numbers of the rows, ascending; unknown and removed rows are ignored.
        values: float32[n, d_v], their values.
        layout: the format of the new blocks. A block that has no codes gets none.
    """
    replaced = list[Replacement]()
    for segment in view.segments:
        rows = segment.numbers if segment.live is None else segment.numbers[segment.live]
        _, positions, sources = np.intersect1d(rows, numbers, assume_unique=True, return_indices=True)
        if len(positions) and segment.block.values is not None:
            form = replace(layout, codes_later=True) if segment.block.bare else layout
            replaced.append(Replacement((segment,), _merge((segment,), form, (positions, values[sources]))))
    return replaced


def apply_replacements(
    replaced: Sequence[Replacement], segments: tuple[Segment, ...], layout: BlockFormat
) -> tuple[Segment, ...] | None:
    """Return the segments of the current view with the replacements applied.

    Return None if a segment to replace is gone, or got more rows although it was merged with others.

    Rows that were removed after `compact` ran are removed from the new segments too. Rows that were appended to a
    segment that is replaced alone are appended to the new one.

    Args:
        replaced: the replacements that `compact` returned.
        segments: the segments of the current view.
        layout: the format of the blocks.
    """
    current = {id(segment.block): segment for segment in segments}
    result = list(segments)
    for replacement in replaced:
        new = replacement.new
        for old in replacement.old:
            now = current.get(id(old.block))
            if now is None or (now.count != old.count and len(replacement.old) > 1):
                return None
            removed = _live_rows(old) & ~_live_rows(now)[: old.count]
            if removed.any():
                new = new.without(new.positions(np.unique(old.owners[removed])))
            if now.count > old.count:
                new = _append_later_rows(new, now, old.count, layout)
        first = next(i for i, segment in enumerate(result) if segment.block is replacement.old[0].block)
        result[first : first + len(replacement.old)] = [new]
    return tuple(result)


def _merge(group: Sequence[Segment], layout: BlockFormat, changed: tuple[Index, F32] | None = None) -> Segment:
    """Return one segment with the rows of a group that were not removed.

    Args:
        group: the segments, all with values or none.
        layout: the format of the new block.
        changed: the positions int64[m] of rows in the new segment that get other values, and these float32[m, d_v].
    """
    live = [_live_rows(segment) for segment in group]
    numbers = np.concatenate([segment.numbers[alive] for segment, alive in zip(group, live, strict=True)])
    owners = np.concatenate([segment.owners[alive] for segment, alive in zip(group, live, strict=True)])
    keys = np.concatenate([segment.keys[alive] for segment, alive in zip(group, live, strict=True)])
    has_values = group[0].block.values is not None
    values = np.concatenate([s.values[alive] for s, alive in zip(group, live, strict=True)]) if has_values else None
    if values is not None and changed is not None:
        positions, vectors = changed
        values[positions] = vectors
    rows = Rows.without_checks(numbers, keys, values, owners)
    block = Block.allocate(len(rows), keys.shape[1], None if values is None else values.shape[1], layout)
    block.write(0, rows)
    return Segment(block, len(rows), several=rows.owners is not None)


def _append_later_rows(segment: Segment, written: Segment, since: int, layout: BlockFormat) -> Segment:
    """Return `segment` with the rows of `written` from index `since` on appended, without removed rows."""
    alive = _live_rows(written)[since:]
    since_then = slice(since, written.count)
    values = None if written.block.values is None else written.load_values(since_then)[since:][alive]
    numbers, owners = written.numbers[since:][alive], written.owners[since:][alive]
    rows = Rows.without_checks(numbers, written.load_keys(since_then)[since:][alive], values, owners)
    return segment.append(rows, layout) if len(rows) else segment


def _live_rows(segment: Segment) -> Bools:
    return np.ones(segment.count, dtype=np.bool_) if segment.live is None else segment.live


def _share_values(group: Sequence[Segment], segment: Segment) -> bool:
    """Return whether a segment (block of rows) may join a group: either all have separate values, or none has.

    Without separate values, a block's keys are its values.
    """
    return not group or (group[0].block.values is None) == (segment.block.values is None)
