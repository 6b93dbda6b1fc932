"""The rows that pass one condition, block by block; kept from view to view, because no row starts or stops passing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from weakref import ref

from attention.dtypes import I64
from attention.lookup.memory.bitmaps import Bitmap, RowSelection
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import Mask, View


@dataclass(frozen=True, eq=False)
class _BlockBits:
    """The rows of one block that pass.

    Attributes:
        seen: those among the block's first rows, live or removed.
        live: the live rows of the last view, see `Segment.live_bits`.
        passing: the live ones of `seen` in that view.
    """

    block: ref[Block]
    seen: Bitmap
    live: Bitmap | None
    passing: Bitmap


class Filtered:
    """The known rows that pass one condition. It is immutable: `with_more` returns another one.

    It holds neither blocks nor views. A row that was removed before it was evaluated may pass or not, so it must not be
    used for views older than the last one.
    """

    def __init__(self, blocks: Mapping[int, _BlockBits] = MappingProxyType({})) -> None:
        self._blocks = blocks

    def unseen(self, view: View) -> Sequence[I64]:
        """Return the owners of the rows that were not evaluated, see `RowSelection`."""
        spans = (segment.owners[self._count_seen(segment) :] for segment in view.segments)
        return [owners for owners in spans if len(owners)]

    def with_more(self, view: View, picked: RowSelection) -> Filtered:
        """Return the filter with those rows of `unseen` that pass, for the blocks of this view only."""
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
        """Return the mask of the view that `with_more` was last called with."""
        bitmaps = (self._blocks[id(segment.block)].passing for segment in view.segments)
        return Mask(view, tuple(bits if bits.n else None for bits in bitmaps))

    @property
    def nbytes(self) -> int:
        """The memory that it uses, in bytes."""
        return sum(
            bits.seen.nbytes + (bits.passing is not bits.seen) * bits.passing.nbytes for bits in self._blocks.values()
        )

    def _count_seen(self, segment: Segment) -> int:
        bits = self._blocks.get(id(segment.block))
        if bits is None or bits.block() is not segment.block or bits.seen.count > segment.count:
            return 0
        return bits.seen.count
