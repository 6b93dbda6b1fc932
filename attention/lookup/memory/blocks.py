"""Blocks of rows in memory: rows are appended at the end; rows that a view can see never change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from attention.dtypes import F32, F64, I64, Index
from attention.kernels import one_blas_thread, pool, workers
from attention.kernels.layout import CHUNK
from attention.lookup.codes.moments import Moments
from attention.lookup.codes.quantisation import CODING_BATCH, MAX_WIDTH, CodedVectors, Codes, ValueCodes
from attention.lookup.memory.originals import OriginalsCheck, allocate_originals
from attention.lookup.memory.rows import Rows
from attention.shared_memory import private


@dataclass(frozen=True)
class BlockFormat:
    """What there is room for in a block, beside the originals.

    Attributes:
        similarity: what rows are compared by; cosine has directions in codes, gaussian has no codes.
        directory: where the float32 originals lie in files; None for memory.
        codes_later: whether there are none yet, see `Memory`.
    """

    similarity: str
    directory: Path | None = None
    codes_later: bool = False

    def codes(self, width: int) -> bool:
        """Whether keys of that width are kept in codes."""
        return self.similarity != "gaussian" and width <= MAX_WIDTH and not self.codes_later


SINGLE_THREAD_CHUNKS = 2
"""Rows of so many chunks at most are written in the thread that has them: others would hardly be faster."""

Result = TypeVar("Result")


def write_chunks(write: Callable[[int, int], Result], start: int, end: int) -> Iterator[Result]:
    """What `write` returns of rows `start` to `end`, called with the first and the end of what lies in one chunk.

    In order. None is at work any more where one raises.
    """
    runs = list(_split_at_chunks(start, end))
    if len(runs) > SINGLE_THREAD_CHUNKS:
        yield from _write_in_threads(write, runs)
        return
    with one_blas_thread():
        results = [write(*run) for run in runs]
    yield from results


def _write_in_threads(write: Callable[[int, int], Result], runs: Sequence[tuple[int, int]]) -> Iterator[Result]:
    begun: deque[Future[Result]] = deque()
    try:
        with one_blas_thread():
            for run in runs:
                begun.append(pool().submit(write, *run))
                # One more than there are threads, so that none waits while the caller adds up a result.
                if len(begun) > workers():
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        wait(begun)


def _split_at_chunks(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, start - start % CHUNK + CHUNK)
        yield start, stop
        start = stop


BLOCK_ROWS = 131_072
FIRST_ROWS = 64

ChunkSums: TypeAlias = tuple[F64 | F32 | None, Moments | None]
"""What is added up of the keys and of the values of a chunk."""


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
        normalised: whether the keys' directions are what is coded, as cosine wants them.
        unread: what checks originals that lie in a file; None where there is nothing to check. Who reads `keys` or
            `values` does so by `read_keys` and `read_values`, or a segment's own.
    """

    numbers: I64
    owners: I64
    keys: F32
    values: F32 | None
    norms: F64
    value_norms: F64
    codes: Codes | None
    value_codes: ValueCodes | None
    normalised: bool
    unread: OriginalsCheck | None = None

    @classmethod
    def allocate(cls, rows: int, dimension: int, value_dimension: int | None, layout: BlockFormat) -> Block:
        """An empty block for so many rows; `value_dimension` None: the values are the keys."""
        norms = private((rows,), np.float64)
        return cls(
            private((rows,), np.int64),
            private((rows,), np.int64),
            allocate_originals(rows, dimension, layout.directory),
            None if value_dimension is None else allocate_originals(rows, value_dimension, layout.directory),
            norms,
            norms if value_dimension is None else private((rows,), np.float64),
            *_allocate_codes(rows, dimension, value_dimension or dimension, layout),
            layout.similarity == "cosine",
        )

    @property
    def capacity(self) -> int:
        """How many rows it can hold in all."""
        return len(self.numbers)

    @property
    def dimension(self) -> int:
        """The keys' width."""
        return int(self.keys.shape[1])

    @property
    def value_dimension(self) -> int:
        """The values' width."""
        return self.dimension if self.values is None else int(self.values.shape[1])

    @property
    def unchecked(self) -> bool:
        """Whether originals are left that were not held against their checksums."""
        return self.unread is not None and not self.unread.done

    def read_keys(self, rows: slice | Index) -> F32:
        """float32[capacity, d], of which these rows are what was written."""
        if self.unread is not None:
            self.unread.check_keys(rows)
        return self.keys

    def read_values(self, rows: slice | Index) -> F32:
        """float32[capacity, d_v], of which these rows are what was written; the keys where the values are they."""
        if self.unread is not None:
            self.unread.check_values(rows)
        return self.keys if self.values is None else self.values

    def grown(self, count: int, rows: int, layout: BlockFormat) -> Block:
        """A copy of the first `count` rows, with room for `rows`."""
        width = None if self.values is None else self.value_dimension
        grown = Block.allocate(rows, self.dimension, width, layout)
        grown.numbers[:count] = self.numbers[:count]
        grown.owners[:count] = self.owners[:count]
        grown.keys[:count] = self.read_keys(slice(0, count))[:count]
        grown.norms[:count] = self.norms[:count]
        if self.values is not None and grown.values is not None:
            grown.values[:count] = self.read_values(slice(0, count))[:count]
            grown.value_norms[:count] = self.value_norms[:count]
        if self.codes is not None and grown.codes is not None:
            grown.codes.copy_from(self.codes, count)
        if self.value_codes is not None and grown.value_codes is not None:
            grown.value_codes.copy_from(self.value_codes, count)
        if self.bare:
            grown.code(0, count)
        return grown

    @property
    def bare(self) -> bool:
        """Whether there is room for no codes."""
        return self.codes is None

    def coded(self, count: int, layout: BlockFormat) -> Block:
        """A block of the same originals, with the codes of the first `count` rows beside them."""
        self.read_keys(slice(0, count))
        self.read_values(slice(0, count))
        dimension, width = self.dimension, self.value_dimension
        codes, value_codes = _allocate_codes(self.capacity, dimension, width, layout)
        made = replace(self, codes=codes, value_codes=value_codes)
        made.code(0, count)
        return made

    def write(self, start: int, rows: Rows) -> None:
        """Put `rows` at `start`, behind everything that a view can see."""
        end = start + len(rows)
        self.numbers[start:end] = rows.numbers
        self.owners[start:end] = rows.numbers if rows.owners is None else rows.owners
        for sums in write_chunks(partial(self._write_run, start, rows), start, end):
            self._add_sums(sums)

    def code(self, start: int, end: int) -> None:
        """Put rows `start` to `end`, whose originals are there, into what codes there is room for."""
        for sums in write_chunks(self._code_run, start, end):
            self._add_sums(sums)

    def _add_sums(self, sums: ChunkSums) -> None:
        """Here, in the order of rows, so that sums are the same each time."""
        if self.codes is not None and self.value_codes is not None:
            self.codes.add_sums(sums[0])
            self.value_codes.add_sums(sums[1])

    def _write_run(self, start: int, rows: Rows, first: int, stop: int) -> ChunkSums:
        """Put those of `rows` that come at `first` to `stop`, in one chunk → what is summed of keys and values."""
        here, part = slice(first, stop), slice(first - start, stop - start)
        keys = rows.keys[part]
        self.keys[here] = keys
        self.norms[here] = row_norms(keys)
        if self.values is not None:
            self.values[here] = values = keys if rows.values is None else rows.values[part]
            self.value_norms[here] = row_norms(values)
        return self._code_run(first, stop)

    def _code_run(self, first: int, stop: int) -> ChunkSums:
        """Code rows `first` to `stop`, in one chunk → what is summed of keys and values."""
        here = slice(first, stop)
        norms = self.norms[here] if self.normalised else None
        if self.codes is None or self.value_codes is None:
            return None, None
        coded = CodedVectors.of(self.keys[here], norms)
        coded_values = coded if self.values is None else CodedVectors.of(self.values[here])
        return self.codes.write(first, coded), self.value_codes.write(first, coded_values)


def _allocate_codes(
    rows: int, width: int, value_width: int, layout: BlockFormat
) -> tuple[Codes | None, ValueCodes | None]:
    """What a block of so many rows has room for, see there."""
    if not layout.codes(width):
        return None, None
    return Codes.allocate(rows, width), ValueCodes.allocate(rows, value_width)


def row_norms(vectors: F32) -> F64:
    """The Euclidean norms of `vectors` float32[n, d] in float64, each row summed alike wherever it stands."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), CODING_BATCH):
        tile = vectors[start : start + CODING_BATCH].astype(np.float64)
        norms[start : start + CODING_BATCH] = np.sqrt(np.multiply(tile, tile, out=tile).sum(axis=1))
    return norms
