"""The rows that pass one condition, block by block.

One view's result is kept for the next, because a row never starts or stops passing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from weakref import ref

from attention.arrays import I64
from attention.lookup.memory.bitmaps import Bitmap, RowSelection
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import Mask, View


@dataclass(frozen=True, eq=False)
class _BlockBits:
    """Bitmaps of the rows of one block that pass the condition.

    Attributes:
        seen: the rows that pass among the first rows of the block, removed rows included.
        live: the rows that were not removed in the last view, see `Segment.live_bits`.
        passing: the rows that are in both.
    """

    block: ref[Block]
    seen: Bitmap
    live: Bitmap | None
    passing: Bitmap


class Filtered:
    """The rows that are known to pass one condition.

    A filter is immutable: `with_more` returns another one.

    It refers to blocks weakly, and to no views. A row that was removed before it was evaluated may pass or not, so the
    filter must not be used for views older than the last one.
    """

    def __init__(self, blocks: Mapping[int, _BlockBits] = MappingProxyType({})) -> None:
        self._blocks = blocks

    def unseen(self, view: View) -> Sequence[I64]:
        """Return, block by block, the owners (documents) of the rows to which the condition was not applied yet.

        They are the spans of the `RowSelection` that `with_more` takes.
        """
        spans = (segment.owners[self._count_seen(segment) :] for segment in view.segments)
        return [owners for owners in spans if len(owners)]

    def with_more(self, view: View, picked: RowSelection) -> Filtered:
        """Return the filter for this view, with the result of the condition for the rows of `unseen`.

        It covers only the blocks of this view.
        """
        spans, blocks = iter(picked.passes), {}
        for segment in view.segments:
            count, live = self._count_seen(segment), segment.live_bits
            bits = self._blocks.get(id(segment.block)) if count else None
            seen = Bitmap.of(next(spans)) if bits is None else bits.seen
            if bits is not None and count < segment.count:
                seen = seen.append(next(spans))
            if bits is not None and seen is bits.seen and live is bits.live:
                passing = bits.passing
            else:
                passing = seen.among(live)
                passing.follow(None if bits is None else bits.passing)
            blocks[id(segment.block)] = _BlockBits(ref(segment.block), seen, live, passing)
        return Filtered(blocks)

    def mask(self, view: View) -> Mask:
        """Return the mask of the rows that pass. The view must be the one that `with_more` was last called with."""
        bitmaps = (self._blocks[id(segment.block)].passing for segment in view.segments)
        return Mask(view, tuple(bits if bits.n else None for bits in bitmaps))

    @property
    def nbytes(self) -> int:
        """The memory that the filter uses, in bytes."""
        return sum(
            bits.seen.nbytes + (bits.passing is not bits.seen) * bits.passing.nbytes for bits in self._blocks.values()
        )

    def _count_seen(self, segment: Segment) -> int:
        bits = self._blocks.get(id(segment.block))
        if bits is None or bits.block() is not segment.block or bits.seen.count > segment.count:
            return 0
        return bits.seen.count
