"""The rows that pass one condition, block by block.

One view's result is kept for the next, because a row never starts or stops passing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from weakref import ref

from softkv_attention.arrays import I64
from softkv_attention.lookup.memory.bitmaps import Bitmap, RowSelection
from softkv_attention.lookup.memory.blocks import Block
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import Mask, View


@dataclass(frozen=True, eq=False)
class _BlockBits:
    """Bitmaps of the rows of one block that pass the condition of a `Filtered`.

    Attributes:
        block: a weak reference to the block.
        seen: for the first rows of the block, to which the condition was applied, whether they pass; removed rows are
            included.
        live: the rows that were not removed in the last view; None if no row was removed.
        passing: the rows that pass and were not removed.
    """

    block: ref[Block]
    seen: Bitmap
    live: Bitmap | None
    passing: Bitmap


class Filtered:
    """A cache of the rows that pass one condition, block by block, which is extended from view to view.

    It is immutable: `with_more` returns another one. It refers to blocks weakly, and to no views. A row that was
    removed before the condition was applied to it may pass or not, so it must not be used for views older than the last
    one.
    """

    def __init__(self, blocks: Mapping[int, _BlockBits] = MappingProxyType({})) -> None:
        self._blocks = blocks

    def unseen(self, view: View) -> Sequence[I64]:
        """Return, block by block, the rows to which the condition was not applied yet, as int64[r] of their documents.

        The caller applies the condition to these documents, and passes a `RowSelection` over these spans to
        `with_more`.
        """
        spans = (segment.owners[self._count_seen(segment) :] for segment in view.segments)
        return [owners for owners in spans if len(owners)]

    def with_more(self, view: View, picked: RowSelection) -> Filtered:
        """Return the cache for this view, extended by the rows of `unseen`.

        It covers only the blocks of this view.

        Args:
            view: the view that `unseen` was called with.
            picked: which of the rows of `unseen` pass the condition.
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
        """Return the mask of the view's rows that pass the condition.

        The view must be the one that `with_more` was last called with.
        """
        bitmaps = (self._blocks[id(segment.block)].passing for segment in view.segments)
        return Mask(view, tuple(bits if bits.n else None for bits in bitmaps))

    @property
    def nbytes(self) -> int:
        """The memory that the cache uses, in bytes."""
        return sum(
            bits.seen.nbytes + (bits.passing is not bits.seen) * bits.passing.nbytes for bits in self._blocks.values()
        )

    def _count_seen(self, segment: Segment) -> int:
        bits = self._blocks.get(id(segment.block))
        if bits is None or bits.block() is not segment.block or bits.seen.count > segment.count:
            return 0
        return bits.seen.count
