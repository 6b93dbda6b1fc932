"""Statistics of a whole view, independent of any query, and sums of what value codes leave out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import F32, F64, I64, Bools
from softkv_attention.forked import cached_property
from softkv_attention.kernels import kernels, pool
from softkv_attention.lookup.codes.moments import Moments, Residuals, Spread
from softkv_attention.lookup.memory.bitmaps import Bitmap
from softkv_attention.lookup.memory.blocks import Block
from softkv_attention.lookup.memory.rows import LONGEST_DOCUMENTS, document_ranges
from softkv_attention.lookup.memory.segments import Segment


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """Statistics of one version of a shard (a range of rows): plain numbers, which a remote shard can send.

    Attributes:
        similarity: the name of the similarity of queries and keys.
        n: the number of rows (keys) that were not removed.
        documents: the number of documents, which may have several rows each.
        longest: int64[l], the documents with the most rows, ascending; empty if each has one.
        most_keys: the largest number of rows of a document that is not in `longest`.
        value_dimension: the width of the values; None before the first write.
        key_norm, value_norm: the largest length ‖k‖ of a key and ‖v‖ of a value, removed rows included.
        blocks: the number of blocks that hold the rows.
        value_moments: for each block, sums over its values, see `Moments`; empty if they are not stored.
        value_spreads: the spread of the values of each remote shard, which replaces the moments; otherwise empty.
    """

    similarity: str
    n: int
    documents: int
    longest: I64
    most_keys: int
    value_dimension: int | None
    key_norm: float
    value_norm: float
    blocks: int
    value_moments: tuple[Moments, ...] = ()
    value_spreads: tuple[Spread, ...] = ()

    @classmethod
    def of(cls, similarity: str, value_dimension: int | None, segments: Sequence[Segment]) -> BlockStatistics:
        """Return the statistics of all rows of a view, from its segments (blocks of rows)."""
        codes = [segment.block.value_codes for segment in segments]
        moments = tuple(
            value_codes.moments for value_codes in codes if value_codes is not None and value_codes.moments is not None
        )
        longest, most_keys = _merge_longest(segments)
        return cls(
            similarity=similarity,
            n=sum(segment.n for segment in segments),
            documents=sum(segment.documents for segment in segments),
            longest=longest,
            most_keys=most_keys,
            value_dimension=value_dimension,
            key_norm=max((segment.key_norm for segment in segments), default=0.0),
            value_norm=max((segment.value_norm for segment in segments), default=0.0),
            blocks=len(segments),
            value_moments=moments if len(moments) == len(codes) else (),
        )

    @classmethod
    def merge(cls, similarity: str, value_dimension: int | None, shards: Sequence[BlockStatistics]) -> BlockStatistics:
        """Return the statistics of all rows of several shards, given the statistics of each.

        Each document must have all of its rows in one shard.
        """
        moments = tuple(item for shard in shards for item in shard.value_moments)
        spreads = tuple(item for shard in shards for item in shard.value_spreads)
        named = [shard.longest for shard in shards]
        return cls(
            similarity=similarity,
            n=sum(shard.n for shard in shards),
            documents=sum(shard.documents for shard in shards),
            longest=np.sort(np.concatenate(named)) if named else np.empty(0, dtype=np.int64),
            most_keys=max((shard.most_keys for shard in shards), default=1),
            value_dimension=value_dimension,
            key_norm=max((shard.key_norm for shard in shards), default=0.0),
            value_norm=max((shard.value_norm for shard in shards), default=0.0),
            blocks=sum(shard.blocks for shard in shards),
            value_moments=moments if all(shard.value_moments for shard in shards) else (),
            value_spreads=spreads if all(shard.value_spreads for shard in shards) else (),
        )

    @cached_property
    def several(self) -> bool:
        """Whether a document has more than one row."""
        return self.documents < self.n

    @cached_property
    def value_spread(self) -> Spread | None:
        """Mean and spread of the values of all rows, including removed ones; None if not stored or not finite."""
        if self.value_spreads:
            return Spread.merge(self.value_spreads)
        return Spread.of(self.value_moments) if self.value_moments else None


def _merge_longest(segments: Sequence[Segment]) -> tuple[I64, int]:
    """Return the documents with the most rows over all segments, and the largest number of rows of any other document.

    Each segment lists its LONGEST_DOCUMENTS + 1 longest documents, and all documents that begin in another segment. So
    a document that no segment lists lies in one segment, and has no more rows than the longest ones that this segment
    lists. Therefore no document has more rows than the first one that the result leaves out.
    """
    if not any(segment.several for segment in segments):
        return np.empty(0, dtype=np.int64), 1
    documents = np.unique(np.concatenate([segment.longest for segment in segments if segment.several]))
    counts = np.zeros(len(documents), dtype=np.int64)
    for segment in segments:
        first, last = document_ranges(segment.owners, documents, segment.live)
        counts += last - first
    order = np.argsort(-counts, kind="stable")
    return np.sort(documents[order[:LONGEST_DOCUMENTS]]), int(counts[order[LONGEST_DOCUMENTS:]].max(initial=1))


ROWS_PER_TASK = 4_096
"""The number of rows that one thread reads at a time."""


def sum_residuals(passing: Iterable[tuple[Segment, Bools | None]], width: int) -> Residuals:
    """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

    The moments of the values must be stored.

    The residuals of a whole block are known. So if more than half of a block's rows pass, the other rows are read and
    subtracted. The result may then also count rows of the block that were written later, which keeps the bounds from it
    valid.

    Args:
        passing: the segments, each with bool[count] that is True for the rows to sum; None for all rows.
        width: the width of the values.
    """
    total = Residuals(0, np.zeros(width))
    for segment, live in passing:
        block_residuals = _moments(segment).residuals
        if live is None:
            total += block_residuals
        elif 2 * segment.n <= segment.count:
            total += _read_residuals(segment, live)
        else:
            total += block_residuals - _sum_removed(segment, live)
    return total


def sum_masked_residuals(segment: Segment, bits: Bitmap) -> Residuals:
    """Return the sum of the residuals v − v̂ over the rows of a segment that pass a mask.

    A residual is the part of a value v that its 8-bit code v̂ leaves out. The result is cached in the bitmap.
    """
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
    block_residuals = _moments(segment).residuals
    residuals = (
        _read_residuals(segment, passes) if fewer == bits.n else block_residuals - _read_residuals(segment, ~passes)
    )
    if residuals.count == bits.n:  # and of no rows that were written since
        bits.residuals = residuals
    return residuals


def _read_residuals(segment: Segment, passes: Bools) -> Residuals:
    rows = np.flatnonzero(passes)
    return Residuals(len(rows), _sum_positions(segment, rows))


_last_removed: WeakKeyDictionary[Block, tuple[Bools, Residuals]] = WeakKeyDictionary()
"""For blocks with removed rows: which rows lived at the last call, and the residuals of the removed rows."""


def _sum_removed(segment: Segment, live: Bools) -> Residuals:
    """Return the sum over the removed rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

    Sums are cached for each block, so only rows that were removed since the last call are read.

    Args:
        segment: the segment.
        live: bool[count], False for removed rows.
    """
    removed = ~live
    total = Residuals(0, np.zeros(segment.block.value_dimension))
    before, cached = _last_removed.get(segment.block, (live[:0], total))
    # A removed row never lives again. So if one does, this view is older than that of the last call.
    older = len(before) > len(live) or bool((removed[: len(before)] < ~before).any())
    if not older:
        total = cached
        removed[: len(before)] &= before
    rows = np.flatnonzero(removed)
    if len(rows):
        total += Residuals(len(rows), _sum_positions(segment, rows))
    if not older:
        _last_removed[segment.block] = live, total
    return total


def _sum_positions(segment: Segment, rows: I64) -> F64:
    return sum_row_residuals(segment.load_values(rows), rows)


def sum_row_residuals(values: F32, rows: I64) -> F64:
    """Return float64[d_v], the sum over some rows of v − v̂, where v̂ is what the 8-bit code of v stands for.

    Many rows are divided among all cores.

    Args:
        values: float32[n, d_v].
        rows: int64[r], the rows to sum.
    """
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
