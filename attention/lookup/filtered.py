"""Which rows pass one condition, block by block: kept from view to view, since a row passes for good or never."""

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
    """Of one block.

    Attributes:
        seen: which of its first rows pass, whether they live or not.
        live: of the view that was asked of last, see `Segment.live_bits`.
        passing: those of `seen` that live there.
    """

    block: ref[Block]
    seen: Bitmap
    live: Bitmap | None
    passing: Bitmap


class Filtered:
    """What is known of one condition; never changed: more rows make another one.

    It holds no block, and no view. A row that was removed before it was looked at may pass or not, so that it says
    nothing of views from before that.
    """

    def __init__(self, found: Mapping[int, _BlockBits] = MappingProxyType({})) -> None:
        self._found = found

    def unseen(self, view: View) -> Sequence[I64]:
        """The owners of the rows that nothing is known of, see `RowSelection`."""
        spans = (segment.owners[self._rows_seen(segment) :] for segment in view.segments)
        return [owners for owners in spans if len(owners)]

    def with_more(self, view: View, picked: RowSelection) -> Filtered:
        """With those rows of `unseen` that pass; of blocks that the view has, and no others."""
        more, found = iter(picked.passes), {}
        for segment in view.segments:
            count, live = self._rows_seen(segment), segment.live_bits
            known = self._found.get(id(segment.block)) if count else None
            seen = Bitmap.of(next(more)) if known is None else known.seen
            if known is not None and count < segment.count:
                seen = seen.append(next(more))
            if known is not None and seen is known.seen and live is known.live:
                passing = known.passing
            else:
                passing = seen.among(live)
                passing.follow(None if known is None else known.passing)
            found[id(segment.block)] = _BlockBits(ref(segment.block), seen, live, passing)
        return Filtered(found)

    def mask(self, view: View) -> Mask:
        """The mask of a view of which no row is unseen, the last one that `with_more` was told of."""
        bits = (self._found[id(segment.block)].passing for segment in view.segments)
        return Mask(view, tuple(each if each.n else None for each in bits))

    @property
    def nbytes(self) -> int:
        """The memory that it holds, in bytes."""
        each = self._found.values()
        return sum(some.seen.nbytes + (some.passing is not some.seen) * some.passing.nbytes for some in each)

    def _rows_seen(self, segment: Segment) -> int:
        known = self._found.get(id(segment.block))
        if known is None or known.block() is not segment.block or known.seen.count > segment.count:
            return 0
        return known.seen.count
