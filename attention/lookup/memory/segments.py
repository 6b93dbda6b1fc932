"""Segments: blocks as one view sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, F64, I64, Bools, Bytes, Index
from attention.kernels.layout import CHUNK, put_rows, rows_room
from attention.lookup.memory.bitmaps import Bitmap
from attention.lookup.memory.blocks import BLOCK_ROWS, Block, BlockFormat
from attention.lookup.memory.rows import Rows, count_documents, document_ranges, expand_ranges, longest_documents

SAMPLE_STRIDE = 64
MIN_SAMPLED = 256


@dataclass(frozen=True, eq=False)
class SegmentSample:
    """Some rows of a segment.

    Attributes:
        places: int64[r], where they stand in it.
        codes: uint8[groups, depth, 16, 4], theirs side by side.
        scales: float32[r].
    """

    places: I64
    codes: Bytes
    scales: F32


_samples: WeakKeyDictionary[Block, SegmentSample] = WeakKeyDictionary()
"""The last one of each block: a write that adds few rows, or removes some, leaves it as it is."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A block as one view sees it: its first `count` rows, less the removed ones.

    Attributes:
        live: bool[count], False where a row was removed; None where none was. All rows of a document live, or none.
        several: whether a row is a key of a document that begins with another row.
        n: how many rows live.
        key_norm, value_norm: the largest ‖k‖ and ‖v‖ of the segment.
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
        """The rows that live; None where all do."""
        return None if self.live is None else Bitmap.of(self.live)

    @property
    def numbers(self) -> I64:
        """int64[count], ascending, the removed rows included."""
        return self.block.numbers[: self.count]

    @property
    def owners(self) -> I64:
        """int64[count], ascending: the document that each row is a key of."""
        return self.block.owners[: self.count]

    @cached_property
    def documents(self) -> int:
        """How many documents that live begin here."""
        return count_documents(self.numbers, self.owners, self.live) if self.several else self.n

    @cached_property
    def longest(self) -> I64:
        """int64[l], the documents with most rows here, and all that begin elsewhere; ascending."""
        return longest_documents(self.numbers, self.owners, self.live)

    @cached_property
    def sample_rows(self) -> I64:
        """One row in 64, or more of few; in an order of no meaning, so that any first part of it is a sample too."""
        return np.random.default_rng(0).permutation(np.arange(0, self.count, self.sample_stride))

    @cached_property
    def sample(self) -> SegmentSample:
        """The rows at `sample_places`."""
        assert self.block.codes is not None
        places = self.sample_rows
        found = _samples.get(self.block)
        if found is not None and np.array_equal(found.places, places):
            return found
        codes = rows_room(len(places), self.block.dimension)
        put_rows(codes, 0, self.block.codes.at(places, self.block.dimension))
        made = _samples[self.block] = SegmentSample(places, codes, self.block.codes.scales[places])
        return made

    @property
    def sample_stride(self) -> int:
        """The sample has one row of so many."""
        return max(1, min(SAMPLE_STRIDE, self.count // MIN_SAMPLED))

    @cached_property
    def key_residual(self) -> float:
        """An upper bound on ‖k − k̂‖, relative to ‖k‖ where directions are coded."""
        assert self.block.codes is not None
        return float(self.block.codes.residuals[: self.count].max(initial=0.0))

    @cached_property
    def value_residual(self) -> float:
        """An upper bound on ‖v − v̂‖."""
        assert self.block.value_codes is not None
        return float(self.block.value_codes.residuals[: self.count].max(initial=0.0))

    @cached_property
    def code_norm(self) -> float:
        """An upper bound on the length of a value's code."""
        assert self.block.value_codes is not None
        scales = self.block.value_codes.scales[: self.count].astype(np.float64)
        lengths = self.block.value_norms[: self.count] + self.block.value_codes.residuals[: self.count]
        return float(np.divide(lengths, scales, out=np.zeros_like(lengths), where=scales > 0).max(initial=0.0))

    @cached_property
    def inverse_scales(self) -> F64:
        """float64[chunks], Σ scale⁻² of the values of each chunk; those of scale 0 left out, whose codes are 0."""
        assert self.block.value_codes is not None
        scales = self.block.value_codes.scales[: self.count].astype(np.float64)
        squares = np.divide(1.0, scales * scales, out=np.zeros_like(scales), where=scales > 0)
        return np.asarray(np.add.reduceat(squares, np.arange(0, self.count, CHUNK)))

    @property
    def keys(self) -> F32:
        """float32[count, d], all of which are what was written; see `stored_keys` for some."""
        return self.stored_keys(slice(0, self.count))

    @property
    def values(self) -> F32:
        """float32[count, d_v], all of which are what was written; see `stored_values` for some."""
        return self.stored_values(slice(0, self.count))

    def stored_keys(self, rows: slice | Index) -> F32:
        """float32[count, d], of which only these rows may be used: they were held against their checksums."""
        return self.block.read_keys(rows)[: self.count]

    def stored_values(self, rows: slice | Index) -> F32:
        """float32[count, d_v], of which only these rows may be used, see `stored_keys`."""
        return self.block.read_values(rows)[: self.count]

    def positions(self, documents: I64) -> Index:
        """Where the rows of the given documents int64[r] stand that live here; both ascend."""
        if not self.count:
            return np.empty(0, dtype=np.intp)
        first, last = np.searchsorted(documents, self.owners[[0, -1]] + (0, 1))
        if self.several:
            return expand_ranges(*document_ranges(self.owners, documents[first:last], self.live))
        found = np.searchsorted(self.numbers, documents[first:last])
        found = found[self.numbers[found] == documents[first:last]]
        return np.asarray(found if self.live is None else found[self.live[found]], dtype=np.intp)

    def without(self, positions: Index) -> Segment:
        """The segment with the rows at `positions` removed."""
        live = np.ones(self.count, dtype=np.bool_) if self.live is None else self.live.copy()
        live[positions] = False
        return Segment(self.block, self.count, live, self.several)

    def extended(self, rows: Rows, layout: BlockFormat) -> Segment:
        """The segment with `rows` behind it; their numbers are above all that it has."""
        count, block = self.count + len(rows), self.block
        if count > block.capacity:
            block = block.grown(self.count, min(max(2 * block.capacity, count), BLOCK_ROWS), layout)
        block.write(self.count, rows)
        live = self.live if self.live is None else np.concatenate([self.live, np.ones(len(rows), dtype=np.bool_)])
        return Segment(block, count, live, self.several or rows.owners is not None)
