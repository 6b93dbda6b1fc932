"""Statistics of a whole view, independent of any query, and the residuals that value codes leave out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, F64, I64, Bools
from attention.kernels import kernels, pool
from attention.lookup.codes.moments import Moments, Residuals, Spread
from attention.lookup.memory.bitmaps import Bitmap
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.rows import LONGEST_DOCUMENTS, document_ranges
from attention.lookup.memory.segments import Segment


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """Of one version of a part.

    Attributes:
        similarity: the name of the similarity that queries are compared by.
        n: how many rows live.
        documents: how many documents, which may have several rows each.
        longest: int64[l], the documents with most rows, ascending; none where each has one.
        most_keys: how many rows any other document has at most.
        value_dimension: the values' width; None before the first write.
        key_norm, value_norm: upper bounds on ‖k‖ and ‖v‖, each reached by a row that lives or did.
        blocks: how many blocks its rows stand in.
        value_moments: of the values of each block; empty where they are not kept.
        value_spreads: what parts that lie elsewhere tell in place of these, see `Spread.joined`; else empty.
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
        """Of the segments of one view."""
        codes = [segment.block.value_codes for segment in segments]
        moments = tuple(each.moments for each in codes if each is not None and each.moments is not None)
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
    def joined(cls, similarity: str, value_dimension: int | None, parts: Sequence[BlockStatistics]) -> BlockStatistics:
        """Of all parts; a document has its rows in one of them."""
        moments = tuple(some for part in parts for some in part.value_moments)
        spreads = tuple(some for part in parts for some in part.value_spreads)
        named = [part.longest for part in parts]
        return cls(
            similarity=similarity,
            n=sum(part.n for part in parts),
            documents=sum(part.documents for part in parts),
            longest=np.sort(np.concatenate(named)) if named else np.empty(0, dtype=np.int64),
            most_keys=max((part.most_keys for part in parts), default=1),
            value_dimension=value_dimension,
            key_norm=max((part.key_norm for part in parts), default=0.0),
            value_norm=max((part.value_norm for part in parts), default=0.0),
            blocks=sum(part.blocks for part in parts),
            value_moments=moments if all(part.value_moments for part in parts) else (),
            value_spreads=spreads if all(part.value_spreads for part in parts) else (),
        )

    @property
    def several(self) -> bool:
        """Whether a document has more than one row."""
        return self.documents < self.n

    @cached_property
    def value_spread(self) -> Spread | None:
        """Of the values of all rows, removed ones included; None where not kept or not finite."""
        if self.value_spreads:
            return Spread.joined(self.value_spreads)
        return Spread.of(self.value_moments) if self.value_moments else None


def _merge_longest(segments: Sequence[Segment]) -> tuple[I64, int]:
    """The documents with most rows, and how many rows any other has at most.

    A document that lies in one segment and is not among the longest there has no more rows than LONGEST + 1 others; one
    that lies in several is named by all but the first of them. So none has more rows than the first that is left out.
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
