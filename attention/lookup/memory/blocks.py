"""Blocks of rows in memory: appended to at the end, never changed where a view can see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from attention.dtypes import F32, F64, I64, Bools, Bytes, Index
from attention.kernels.layout import CHUNK, put_rows, rows_room
from attention.lookup.codes.moments import Moments
from attention.lookup.codes.quantisation import AT_ONCE, WIDEST, Coded, Codes, ValueCodes
from attention.lookup.codes.rotation import Rotation
from attention.lookup.codes.thin import ThinCodes
from attention.lookup.memory.chunks import written
from attention.lookup.memory.originals import originals
from attention.lookup.memory.owners import beginning, between, longest, ranges
from attention.lookup.memory.rows import Rows

BLOCK_ROWS = 131_072
FIRST_ROWS = 64
SAMPLE_STRIDE = 64
LEAST_SAMPLED = 256

Sums: TypeAlias = tuple[F64 | F32 | None, Moments | None]
"""What is added up of the keys and of the values of a chunk."""


@dataclass(frozen=True)
class BlockFormat:
    """How a memory keeps its rows.

    Attributes:
        similarity: what they are compared by; cosine has directions in codes, gaussian has no codes.
        directory: where the float32 originals lie in files; None for memory.
        rotation: of thin codes; None where keys have none.
        thin_only: whether they have no others, and values none.
    """

    similarity: str
    directory: Path | None = None
    rotation: Rotation | None = None
    thin_only: bool = False


@dataclass(frozen=True, eq=False)
class Block:
    """Arrays with room at the end. A view reads a prefix; an append writes behind every prefix.

    Attributes:
        numbers: int64[capacity], ascending over the rows in use.
        owners: int64[capacity], the document that each row is a key of, see `Rows`; ascending as well.
        keys: float32[capacity, d].
        values: float32[capacity, d_v], or None where the values are the keys.
        norms: float64[capacity], ‖k‖ of each key.
        value_norms: float64[capacity], ‖v‖ of each value; the same array where the values are the keys.
        codes: the keys in 8 bits, None where they are not scanned so.
        value_codes: the values in 8 bits; None with `codes`.
        thin: the keys in 2 and 4 bits; None where they are not kept so.
        normalised: whether the keys' directions are what is coded, as cosine wants them.
    """

    numbers: I64
    owners: I64
    keys: F32
    values: F32 | None
    norms: F64
    value_norms: F64
    codes: Codes | None
    value_codes: ValueCodes | None
    thin: ThinCodes | None
    normalised: bool

    @classmethod
    def with_room(cls, rows: int, dimension: int, value_dimension: int | None, layout: BlockFormat) -> Block:
        """An empty block for so many rows; `value_dimension` None: the values are the keys."""
        norms = np.empty(rows)
        coded = layout.similarity != "gaussian" and dimension <= WIDEST
        in_bytes = coded and not layout.thin_only
        return cls(
            np.empty(rows, dtype=np.int64),
            np.empty(rows, dtype=np.int64),
            originals(rows, dimension, layout.directory),
            None if value_dimension is None else originals(rows, value_dimension, layout.directory),
            norms,
            norms if value_dimension is None else np.empty(rows),
            Codes.with_room(rows, dimension) if in_bytes else None,
            ValueCodes.with_room(rows, value_dimension or dimension) if in_bytes else None,
            ThinCodes.with_room(rows, dimension, layout.rotation) if coded else None,
            layout.similarity == "cosine",
        )

    @property
    def capacity(self) -> int:
        """How many rows it can hold in all."""
        return len(self.numbers)

    def grown(self, count: int, rows: int, layout: BlockFormat) -> Block:
        """A copy of the first `count` rows, with room for `rows`."""
        width = None if self.values is None else self.values.shape[1]
        grown = Block.with_room(rows, self.keys.shape[1], width, layout)
        grown.numbers[:count] = self.numbers[:count]
        grown.owners[:count] = self.owners[:count]
        grown.keys[:count] = self.keys[:count]
        grown.norms[:count] = self.norms[:count]
        if self.values is not None and grown.values is not None:
            grown.values[:count] = self.values[:count]
            grown.value_norms[:count] = self.value_norms[:count]
        if self.codes is not None and grown.codes is not None:
            grown.codes.copy_from(self.codes, count)
        if self.value_codes is not None and grown.value_codes is not None:
            grown.value_codes.copy_from(self.value_codes, count)
        if grown.thin is not None and self.thin is not None:
            grown.thin.copy_from(self.thin, count)
        return grown

    def write(self, start: int, rows: Rows) -> None:
        """Put `rows` at `start`, behind everything that a view can see."""
        end = start + len(rows)
        self.numbers[start:end] = rows.numbers
        self.owners[start:end] = rows.numbers if rows.owners is None else rows.owners
        for sums in written(partial(self._write_run, start, rows), start, end):
            # Here, in the order of rows, so that they are the same each time.
            if self.codes is not None and self.value_codes is not None:
                self.codes.count_in(sums[0])
                self.value_codes.count_in(sums[1])

    def _write_run(self, start: int, rows: Rows, first: int, stop: int) -> Sums:
        """Put those of `rows` that come at `first` to `stop`, in one chunk → what is summed of keys and values."""
        here, part = slice(first, stop), slice(first - start, stop - start)
        keys = rows.keys[part]
        self.keys[here] = keys
        self.norms[here] = lengths(keys)
        values = keys if rows.values is None else rows.values[part]
        if self.values is not None:
            self.values[here] = values
            self.value_norms[here] = lengths(values)
        norms = self.norms[here] if self.normalised else None
        if self.thin is not None:
            self.thin.write(first, keys, norms)
        if self.codes is None or self.value_codes is None:
            return None, None
        coded = Coded.of(keys, norms)
        coded_values = coded if rows.values is None else Coded.of(values)
        return self.codes.write(first, coded), self.value_codes.write(first, coded_values)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows of a segment.

    Attributes:
        places: int64[r], where they stand in it.
        codes: uint8[groups, depth, 16, 4], theirs side by side.
        scales: float32[r].
    """

    places: I64
    codes: Bytes
    scales: F32


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
        return beginning(self.numbers, self.owners, self.live) if self.several else self.n

    @cached_property
    def longest(self) -> I64:
        """int64[l], the documents with most rows here, and all that begin elsewhere; ascending."""
        return longest(self.numbers, self.owners, self.live)

    @cached_property
    def sample_places(self) -> I64:
        """One row in 64, or more of few; in an order of no meaning, so that any first part of it is a sample too."""
        return np.random.default_rng(0).permutation(np.arange(0, self.count, self.sample_stride))

    @cached_property
    def sample(self) -> Sample:
        """The rows at `sample_places`."""
        assert self.block.codes is not None
        places = self.sample_places
        codes = rows_room(len(places), self.keys.shape[1])
        put_rows(codes, 0, self.block.codes.at(places, self.keys.shape[1]))
        return Sample(places, codes, self.block.codes.scales[places])

    @property
    def sample_stride(self) -> int:
        """The sample has one row of so many."""
        return max(1, min(SAMPLE_STRIDE, self.count // LEAST_SAMPLED))

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
        """float32[count, d]."""
        return self.block.keys[: self.count]

    @property
    def values(self) -> F32:
        """float32[count, d_v]."""
        return self.keys if self.block.values is None else self.block.values[: self.count]

    def positions(self, documents: I64) -> Index:
        """Where the rows of the given documents int64[r] stand that live here; both ascend."""
        if not self.count:
            return np.empty(0, dtype=np.intp)
        first, last = np.searchsorted(documents, self.owners[[0, -1]] + (0, 1))
        if self.several:
            return between(*ranges(self.owners, documents[first:last], self.live))
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


def lengths(vectors: F32) -> F64:
    """The Euclidean norms of `vectors` float32[n, d] in float64, each row summed alike wherever it stands."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), AT_ONCE):
        tile = vectors[start : start + AT_ONCE].astype(np.float64)
        norms[start : start + AT_ONCE] = np.sqrt(np.multiply(tile, tile, out=tile).sum(axis=1))
    return norms
