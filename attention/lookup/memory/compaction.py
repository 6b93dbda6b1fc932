"""Compaction: segments with many removed rows, and small ones, written anew as few full ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention.dtypes import Bools
from attention.lookup.memory.blocks import BLOCK_ROWS, Block, BlockFormat
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View

REMOVED_SHARE = 0.25
"""The share of removed rows from which on a segment is written anew."""

SMALL_SHARE = 0.5
"""A segment is small below this share of a full block; two of them in a row become one."""

REMOVED_IN_LAST = 8192
"""Removed rows from which on the last segment is written anew, too, where it has fewer others."""


@dataclass(frozen=True, eq=False)
class Replacement:
    """Neighbouring segments, and the one that takes their place."""

    old: tuple[Segment, ...]
    new: Segment


def compact(view: View, layout: BlockFormat) -> list[Replacement]:
    """What to put in the place of what.

    The last segment, which the writer goes on with, is left alone unless most of it is removed and there is nothing
    else to do: else documents that are written again and again would fill a whole block, however few they are.
    """
    groups: list[list[Segment]] = []
    rows = 0
    for segment in view.segments[:-1]:
        if segment.n >= segment.count * (1 - REMOVED_SHARE) and segment.n >= BLOCK_ROWS * SMALL_SHARE:
            groups.append([])
            rows = 0
            continue
        if not groups or rows + segment.n > BLOCK_ROWS or not _share_values(groups[-1], segment):
            groups.append([])
            rows = 0
        groups[-1].append(segment)
        rows += segment.n
    worth = [
        group for group in groups if len(group) > 1 or (group and group[0].n < group[0].count * (1 - REMOVED_SHARE))
    ]
    if not worth:
        worth = [
            [segment] for segment in view.segments[-1:] if segment.count - segment.n > max(REMOVED_IN_LAST, segment.n)
        ]
    return [Replacement(tuple(group), _merge(group, layout)) for group in worth]


def apply_replacements(
    replaced: Sequence[Replacement], segments: tuple[Segment, ...], layout: BlockFormat
) -> tuple[Segment, ...] | None:
    """The segments of the current view with the replacements in it; None where a replaced one has gone.

    Rows that were removed since the replacements were made are removed from them too, and those that were written
    since behind a segment that was replaced alone stand behind its replacement.
    """
    current = {id(segment.block): segment for segment in segments}
    result = list(segments)
    for replacement in replaced:
        new = replacement.new
        for old in replacement.old:
            now = current.get(id(old.block))
            if now is None or (now.count != old.count and len(replacement.old) > 1):
                return None
            gone = _live_rows(old) & ~_live_rows(now)[: old.count]
            if gone.any():
                new = new.without(new.positions(np.unique(old.owners[gone])))
            if now.count > old.count:
                new = _append_later_rows(new, now, old.count, layout)
        at = next(i for i, segment in enumerate(result) if segment.block is replacement.old[0].block)
        result[at : at + len(replacement.old)] = [new]
    return tuple(result)


def _merge(group: Sequence[Segment], layout: BlockFormat) -> Segment:
    live = [_live_rows(segment) for segment in group]
    numbers = np.concatenate([segment.numbers[alive] for segment, alive in zip(group, live, strict=True)])
    owners = np.concatenate([segment.owners[alive] for segment, alive in zip(group, live, strict=True)])
    keys = np.concatenate([segment.keys[alive] for segment, alive in zip(group, live, strict=True)])
    own = group[0].block.values is not None
    values = np.concatenate([s.values[alive] for s, alive in zip(group, live, strict=True)]) if own else None
    rows = Rows.stored(numbers, keys, values, owners)
    block = Block.allocate(len(rows), keys.shape[1], None if values is None else values.shape[1], layout)
    block.write(0, rows)
    return Segment(block, len(rows), several=rows.owners is not None)


def _append_later_rows(segment: Segment, written: Segment, since: int, layout: BlockFormat) -> Segment:
    """The segment with those rows behind it that live in `written` from place `since` on."""
    alive = _live_rows(written)[since:]
    since_then = slice(since, written.count)
    values = None if written.block.values is None else written.stored_values(since_then)[since:][alive]
    numbers, owners = written.numbers[since:][alive], written.owners[since:][alive]
    rows = Rows.stored(numbers, written.stored_keys(since_then)[since:][alive], values, owners)
    return segment.extended(rows, layout) if len(rows) else segment


def _live_rows(segment: Segment) -> Bools:
    return np.ones(segment.count, dtype=np.bool_) if segment.live is None else segment.live


def _share_values(group: Sequence[Segment], segment: Segment) -> bool:
    """Whether both have values of their own, or neither has."""
    return not group or (group[0].block.values is None) == (segment.block.values is None)
