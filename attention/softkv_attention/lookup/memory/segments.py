"""Segments: blocks as one view sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import F32, F64, I64, Bools, Bytes, Index
from softkv_attention.forked import cached_property
from softkv_attention.kernels.layout import CHUNK, put_rows, rows_room
from softkv_attention.lookup.memory.bitmaps import Bitmap
from softkv_attention.lookup.memory.blocks import Block, BlockFormat
from softkv_attention.lookup.memory.rows import Rows, count_documents, document_ranges, expand_ranges, longest_documents

SAMPLE_STRIDE = 64
MIN_SAMPLED = 256


@dataclass(frozen=True, eq=False)
class SegmentSample:
    """A sample of a segment's rows, with copies of their 8-bit key codes.

    Attributes:
        positions: int64[r], the positions of the sampled rows in the segment.
        codes: uint8[groups, depth, 16, 4], the codes of these rows, see `kernels.layout`.
        scales: float32[r], the scale of each code.
    """

    positions: I64
    codes: Bytes
    scales: F32


_samples: WeakKeyDictionary[Block, SegmentSample] = WeakKeyDictionary()
"""The last sample of each block: it stays valid after a write that adds few rows, or removes some."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A block as one view sees it: its first `count` rows without the removed ones.

    Attributes:
        block: the arrays of all rows; it may have more rows than this view sees.
        count: the number of rows that this view sees, removed rows included.
        live: bool[count], False for removed rows; None if no row was removed. The rows of a document are removed
            together.
        several: whether any row is not the first row of its document.
        n: the number of rows that were not removed.
        key_norm, value_norm: the largest length ‖k‖ of a key and ‖v‖ of a value in the segment.
    """

    block: Block
    count: int
    live: Bools | None = None
    several: bool = False
    n: int = field(init=False)
    key_norm: float = field(init=False)
    value_norm: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.count if self.live is None else int(np.count_nonzero(self.live)))
        object.__setattr__(self, "key_norm", float(self.block.norms[: self.count].max(initial=0.0)))
        object.__setattr__(self, "value_norm", float(self.block.value_norms[: self.count].max(initial=0.0)))

    @cached_property
    def live_bits(self) -> Bitmap | None:
        """The bitmap of the rows that were not removed; None if no row was removed."""
        return None if self.live is None else Bitmap.of(self.live)

    @property
    def numbers(self) -> I64:
        """int64[count], the permanent row numbers, ascending, removed rows included."""
        return self.block.numbers[: self.count]

    @property
    def owners(self) -> I64:
        """int64[count], the document that each row is a key of, ascending."""
        return self.block.owners[: self.count]

    @cached_property
    def documents(self) -> int:
        """The number of documents that begin in this segment (block of rows) and were not removed."""
        return count_documents(self.numbers, self.owners, self.live) if self.several else self.n

    @cached_property
    def longest(self) -> I64:
        """int64[l], ascending: the documents with the most rows, and all documents that begin in another segment.

        A segment is a block of rows as a view sees it.
        """
        return longest_documents(self.numbers, self.owners, self.live)

    @cached_property
    def sample_rows(self) -> I64:
        """int64[r], the positions of a sample: about one row in 64, or more in a small segment.

        They are in random order, so that any first part of them is a sample too.
        """
        return np.random.default_rng(0).permutation(np.arange(0, self.count, self.sample_stride))

    @cached_property
    def sample(self) -> SegmentSample:
        """The 8-bit codes of a sample of the segment's rows, which are the rows at the positions `sample_rows`."""
        assert self.block.codes is not None
        positions = self.sample_rows
        cached = _samples.get(self.block)
        if cached is not None and np.array_equal(cached.positions, positions):
            return cached
        codes = rows_room(len(positions), self.block.dimension)
        put_rows(codes, 0, self.block.codes.at(positions, self.block.dimension))
        made = _samples[self.block] = SegmentSample(positions, codes, self.block.codes.scales[positions])
        return made

    @cached_property
    def sample_stride(self) -> int:
        """The sampling rate: the sample has one row in this many, from 1 to 64."""
        return max(1, min(SAMPLE_STRIDE, self.count // MIN_SAMPLED))

    @cached_property
    def key_residual(self) -> float:
        """An upper bound on ‖k − k̂‖ over the keys k, where k̂ is the vector that the 8-bit code stands for.

        If the codes are those of directions k/‖k‖, the bound is relative to ‖k‖.
        """
        assert self.block.codes is not None
        return float(self.block.codes.residuals[: self.count].max(initial=0.0))

    @cached_property
    def value_residual(self) -> float:
        """An upper bound on ‖v − v̂‖ over the values v, where v̂ is the vector that the 8-bit code stands for."""
        assert self.block.value_codes is not None
        return float(self.block.value_codes.residuals[: self.count].max(initial=0.0))

    @cached_property
    def code_norm(self) -> float:
        """An upper bound on the Euclidean length of a value's integer code."""
        assert self.block.value_codes is not None
        scales = self.block.value_codes.scales[: self.count].astype(np.float64)
        lengths = self.block.value_norms[: self.count] + self.block.value_codes.residuals[: self.count]
        return float(np.divide(lengths, scales, out=np.zeros_like(lengths), where=scales > 0).max(initial=0.0))

    @cached_property
    def inverse_scales(self) -> F64:
        """float64[chunks], Σ 1/scale² over the value codes of each chunk (a fixed number of consecutive rows).

        A value is about scale·code. Values with scale 0 are left out, because their codes are 0.
        """
        assert self.block.value_codes is not None
        scales = self.block.value_codes.scales[: self.count].astype(np.float64)
        squares = np.divide(1.0, scales * scales, out=np.zeros_like(scales), where=scales > 0)
        return np.asarray(np.add.reduceat(squares, np.arange(0, self.count, CHUNK)))

    @property
    def keys(self) -> F32:
        """float32[count, d], the keys, after a check of all of them against their checksums.

        `load_keys` checks only the rows that are needed.
        """
        return self.load_keys(slice(0, self.count))

    @property
    def values(self) -> F32:
        """float32[count, d_v], the values, after a check of all of them against their checksums.

        `load_values` checks only the rows that are needed.
        """
        return self.load_values(slice(0, self.count))

    def load_keys(self, rows: slice | Index) -> F32:
        """Check the keys of `rows` against their checksums, and return all keys float32[count, d].

        Only the checked rows of the result may be used.
        """
        return self.block.read_keys(rows)[: self.count]

    def load_values(self, rows: slice | Index) -> F32:
        """Check the values of `rows` against their checksums, and return all values float32[count, d_v].

        Only the checked rows of the result may be used.
        """
        return self.block.read_values(rows)[: self.count]

    def positions(self, documents: I64) -> Index:
        """Return int64[m], ascending: the positions of all rows of some documents, without removed rows.

        Args:
            documents: int64[r], the documents, ascending; unknown documents are ignored.
        """
        if not self.count:
            return np.empty(0, dtype=np.intp)
        first, last = np.searchsorted(documents, self.owners[[0, -1]] + (0, 1))
        if self.several:
            return expand_ranges(*document_ranges(self.owners, documents[first:last], self.live))
        positions = np.searchsorted(self.numbers, documents[first:last])
        positions = positions[self.numbers[positions] == documents[first:last]]
        return np.asarray(positions if self.live is None else positions[self.live[positions]], dtype=np.intp)

    def without(self, positions: Index) -> Segment:
        """Return a segment of the same block in which the rows at `positions` are removed too."""
        live = np.ones(self.count, dtype=np.bool_) if self.live is None else self.live.copy()
        live[positions] = False
        return Segment(self.block, self.count, live, self.several)

    def append(self, rows: Rows, layout: BlockFormat) -> Segment:
        """Return the segment with `rows` appended.

        The rows go to the same block if it has space, otherwise to a larger copy of it. Their numbers must be larger
        than all numbers in the segment.
        """
        count, block = self.count + len(rows), self.block
        if count > block.capacity:
            capacity = min(max(2 * block.capacity, count), layout.limits.block_rows)
            grown = layout.of_only_block(capacity, block.dimension) if block.bare else layout
            block = block.reallocate(self.count, capacity, grown)
        block.write(self.count, rows)
        live = self.live if self.live is None else np.concatenate([self.live, np.ones(len(rows), dtype=np.bool_)])
        return Segment(block, count, live, self.several or rows.owners is not None)
