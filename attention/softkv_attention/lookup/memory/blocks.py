"""Blocks of rows: rows are appended at the end; rows that a view can see never change.

The float32 originals of a block lie in memory, or in a file of this process that has no name.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from softkv_attention.aligned import file_of, private
from softkv_attention.arrays import F32, F64, I64, Index
from softkv_attention.forked import cached_property
from softkv_attention.kernels import one_blas_thread, pool, workers
from softkv_attention.kernels.layout import CHUNK
from softkv_attention.lookup.codes.moments import Moments
from softkv_attention.lookup.codes.quantisation import CODING_BATCH, MAX_WIDTH, CodedVectors, Codes, ValueCodes
from softkv_attention.lookup.limits import Limits
from softkv_attention.lookup.memory.rows import Rows

PRODUCTS = frozenset({"cosine", "dot", "scaled_dot"})
"""The similarities that are a product of query and key, which codes in 8 bits approximate."""


class OriginalsCheck(Protocol):
    """A check of keys and values in a file: they are compared with their checksums before their first use.

    Each method raises a ValueError if the content of the file differs from what was written.
    """

    @property
    def done(self) -> bool:
        """Whether all keys and values were checked."""

    def check_size(self) -> None:
        """See that the file still has all the bytes that are mapped: reading others would end the process."""

    def check_keys(self, rows: slice | Index) -> None:
        """Compare the keys of these rows with their checksums before they are used."""

    def check_values(self, rows: slice | Index) -> None:
        """Compare the values of these rows with their checksums before they are used."""

    def check_next(self, size: int) -> None:
        """Compare about `size` more bytes of keys and values, which were not checked yet, with their checksums."""


def allocate_originals(rows: int, width: int, directory: Path | None, min_file_bytes: int) -> F32:
    """Return a new array float32[rows, width] for keys or values, in memory or in a file without a name.

    The file exists only while it is mapped. The operating system caches the parts of it that are read, and frees them
    when memory runs short.

    The file never has a name, so nothing is left behind however the process ends: its rows can be read again from their
    source. Its disk space is reserved at once, because writing to a mapped file on a full disk would end the process.
    If the disk is full, memory is used instead: the rows were acknowledged already.

    Args:
        rows, width: the shape of the array.
        directory: the directory of the file; None to use memory.
        min_file_bytes: an array of fewer bytes stays in memory.
    """
    size = rows * width * np.dtype(np.float32).itemsize
    if directory is not None and size >= min_file_bytes:
        with suppress(OSError), tempfile.TemporaryFile(dir=directory, prefix="originals-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    return private((rows, width), np.float32)


def bytes_in_file(vectors: F32) -> int:
    """Return the number of bytes of an array if it lies in a file; 0 if it lies in memory."""
    return vectors.nbytes if file_of(vectors) is not None else 0


def machine_memory() -> int:
    """Return the size of the machine's memory in bytes.

    Return `sys.maxsize` on Windows, which does not read ahead either.
    """
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_ahead(vectors: F32, rows: Index) -> None:
    """Ask the operating system to read rows from a file into memory before they are needed.

    Do nothing if the array lies in memory.

    Args:
        vectors: float32[n, d], an array in a mapped file.
        rows: int64[r]; only rows that are not in memory yet are read from disk.
    """
    mapped = file_of(vectors)
    if mapped is None or not hasattr(mmap, "MADV_WILLNEED"):
        return
    size = vectors.strides[0]
    starts = rows * size + _address_of(vectors) - _address_of(np.ndarray(1, np.uint8, mapped))
    first = starts // mmap.PAGESIZE * mmap.PAGESIZE
    for start, length in zip(first.tolist(), (starts + size - first).tolist(), strict=True):
        mapped.madvise(mmap.MADV_WILLNEED, start, length)


def lies_in_memory(array: NDArray[Any]) -> bool:
    """Return whether the system reads an array without waiting for a disk: it lies in memory, or all its pages do now.

    The system may free pages of a file at any time. False if it does not tell, as outside Linux.

    Args:
        array: a contiguous array.
    """
    if file_of(array) is None or not array.nbytes:
        return True
    page_states = _page_states()
    if page_states is None:
        return False
    address = _address_of(array)
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    size = address + array.nbytes - start
    states = np.empty(-(-size // mmap.PAGESIZE), dtype=np.uint8)
    failed = page_states(start, size, _address_of(states))
    return not failed and bool(np.bitwise_and.reduce(states) & 1)


@cache
def _page_states() -> Any:
    """Return Linux's `mincore`, which fills a byte for each page of a range; None on other systems."""
    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "mincore", None)
    if function is not None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return function


def _address_of(array: NDArray[Any]) -> int:
    """Return the memory address of the array's first byte."""
    return int(array.__array_interface__["data"][0])


@dataclass(frozen=True)
class BlockFormat:
    """The format of a block: which 8-bit codes it stores, and where the float32 originals are.

    Attributes:
        similarity: the similarity of queries and rows; cosine codes directions, gaussian has no codes.
        directory: the directory of the files with float32 originals; None keeps them in memory.
        codes_later: whether rows are stored without codes for now; `Memory.code` makes the codes later.
        limits: the limits of the memory that the block belongs to.
        codes_from: the only block of a memory has codes if it has room for this many components.
    """

    similarity: str
    directory: Path | None = None
    codes_later: bool = False
    limits: Limits = Limits()
    codes_from: int = 0

    def codes(self, width: int) -> bool:
        """Return whether keys of this width are stored as 8-bit codes beside their float32 originals."""
        return self.similarity in PRODUCTS and width <= MAX_WIDTH and not self.codes_later

    def of_only_block(self, rows: int, width: int) -> BlockFormat:
        """Return the format of a memory's only block, which has no codes as long as it is small.

        The sums over codes take 32·d² bytes, however few rows there are.

        Args:
            rows: the capacity of the block.
            width: the width of its keys.
        """
        return self if rows * width >= self.codes_from else replace(self, codes_later=True)


SINGLE_THREAD_CHUNKS = 2
"""Up to this many chunks are written by the calling thread: more threads would hardly be faster."""

Result = TypeVar("Result")


def write_chunks(write: Callable[[int, int], Result], start: int, end: int) -> Iterator[Result]:
    """Call `write` for each chunk of the rows `start` to `end`, and yield its results in the order of the rows.

    A chunk is a fixed number of consecutive rows of a block; the first and the last one may be cut. Threads may run the
    calls in parallel. If a call raises, the error is raised here when all calls have ended.

    Args:
        write: takes the first row of a chunk and the end of the chunk.
        start, end: the first row, and the end of the rows.
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


ChunkSums: TypeAlias = tuple[F64 | F32 | None, Moments | None]
"""Sums over the keys and over the values of a chunk."""


@dataclass(frozen=True, eq=False)
class Block:
    """A block of rows (keys with their values): arrays with free capacity at the end.

    A view reads the first rows. The writer appends after the last row that any view reads.

    Attributes:
        numbers: int64[capacity], ascending over the rows in use.
        owners: int64[capacity], the document that each row is a key of, ascending. A document is identified by the
            number of its first row.
        keys: float32[capacity, d].
        values: float32[capacity, d_v], or None if the values are the keys.
        norms: float64[capacity], the length ‖k‖ of each key.
        value_norms: float64[capacity], the length ‖v‖ of each value; the same array if the values are the keys.
        codes: the keys as 8-bit codes; None if the block has no codes.
        value_codes: the values as 8-bit codes; None if `codes` is None.
        normalised: whether the codes are those of the directions k/‖k‖, which cosine needs.
        unread: the check of originals in a file before their first use; None if they need no check. Read `keys` and
            `values` through `read_keys` and `read_values`, or through a segment.
        process: the number of the process that allocated the arrays.
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
    process: int = field(default_factory=os.getpid)

    @classmethod
    def allocate(cls, rows: int, dimension: int, value_dimension: int | None, layout: BlockFormat) -> Block:
        """Return an empty block with capacity for `rows`.

        Args:
            rows: the number of rows that fit into the block.
            dimension: the width of the keys.
            value_dimension: the width of the values; None if the values are the keys.
            layout: the similarity, which codes to store, and where the originals are.
        """
        norms, min_file_bytes = private((rows,), np.float64), layout.limits.min_file_bytes
        return cls(
            private((rows,), np.int64),
            private((rows,), np.int64),
            allocate_originals(rows, dimension, layout.directory, min_file_bytes),
            None
            if value_dimension is None
            else allocate_originals(rows, value_dimension, layout.directory, min_file_bytes),
            norms,
            norms if value_dimension is None else private((rows,), np.float64),
            *_allocate_codes(rows, dimension, value_dimension or dimension, layout),
            layout.similarity == "cosine",
        )

    @cached_property
    def capacity(self) -> int:
        """The number of rows that fit into the block."""
        return len(self.numbers)

    @property
    def dimension(self) -> int:
        """The width of the keys."""
        return int(self.keys.shape[1])

    @property
    def value_dimension(self) -> int:
        """The width of the values."""
        return self.dimension if self.values is None else int(self.values.shape[1])

    @property
    def memory_bytes(self) -> int:
        """The bytes of its arrays, including free capacity; arrays in mapped files do not count."""
        arrays: list[NDArray[Any]] = [self.numbers, self.owners, self.keys, self.norms]
        if self.values is not None:
            arrays += [self.values, self.value_norms]
        if self.codes is not None:
            arrays += [self.codes.codes, self.codes.scales, self.codes.residuals]
            arrays += [] if self.codes.grams is None else [self.codes.grams]
        if self.value_codes is not None:
            arrays += [self.value_codes.codes, self.value_codes.scales, self.value_codes.residuals]
            arrays += [] if self.value_codes.moments is None else [self.value_codes.moments.grams]
        return sum(array.nbytes for array in arrays if file_of(array) is None)

    @property
    def writable(self) -> bool:
        """Whether rows may be appended: not to a file of the process that forked this one, which both would write."""
        in_file = any(file_of(array) is not None for array in (self.keys, self.values) if array is not None)
        return not in_file or self.process == os.getpid()

    @property
    def unchecked(self) -> bool:
        """Whether some keys or values in a file were not yet compared with their checksums."""
        return self.unread is not None and not self.unread.done

    def read_keys(self, rows: slice | Index) -> F32:
        """Check the keys of these rows against their checksums, and return all keys float32[capacity, d].

        Only the checked rows of the result may be used.
        """
        if self.unread is not None:
            self.unread.check_keys(rows)
        return self.keys

    def read_values(self, rows: slice | Index) -> F32:
        """Check the values of these rows against their checksums, and return all values float32[capacity, d_v].

        Only the checked rows of the result may be used. If the values are the keys, return the keys.
        """
        if self.unread is not None:
            self.unread.check_values(rows)
        return self.keys if self.values is None else self.values

    def reallocate(self, count: int, rows: int, layout: BlockFormat) -> Block:
        """Return a copy of the first `count` rows in a new block with capacity for `rows`.

        The rows of the copy have 8-bit codes if `layout` asks for codes, even if this block has none.
        """
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
        """Whether the block has no 8-bit codes."""
        return self.codes is None

    def with_codes(self, count: int, layout: BlockFormat) -> Block:
        """Return a block with the same keys and values, and with 8-bit codes of its first `count` rows."""
        self.read_keys(slice(0, count))
        self.read_values(slice(0, count))
        dimension, width = self.dimension, self.value_dimension
        codes, value_codes = _allocate_codes(self.capacity, dimension, width, layout)
        made = replace(self, codes=codes, value_codes=value_codes)
        made.code(0, count)
        return made

    def write(self, start: int, rows: Rows) -> None:
        """Write `rows` from index `start` on, which must lie after all rows that a view can read."""
        end = start + len(rows)
        self.numbers[start:end] = rows.numbers
        self.owners[start:end] = rows.numbers if rows.owners is None else rows.owners
        for sums in write_chunks(partial(self._write_run, start, rows), start, end):
            self._add_sums(sums)

    def code(self, start: int, end: int) -> None:
        """Compute the 8-bit codes of the rows `start` to `end`, whose keys and values are already written.

        Do nothing if the block stores no codes.
        """
        for sums in write_chunks(self._code_run, start, end):
            self._add_sums(sums)

    def _add_sums(self, sums: ChunkSums) -> None:
        """Add the sums over one chunk's keys and values to the block's totals.

        The caller adds the chunks in the order of the rows, so that rounding gives the same totals each time.
        """
        if self.codes is not None and self.value_codes is not None:
            self.codes.add_sums(sums[0])
            self.value_codes.add_sums(sums[1])

    def _write_run(self, start: int, rows: Rows, first: int, stop: int) -> ChunkSums:
        """Write the part of `rows` that belongs at the indices `first` to `stop`, which lie in one chunk.

        A chunk is CHUNK consecutive rows.

        Args:
            start: the index in the block at which `rows` begin.
            rows: all rows of the write.
            first, stop: the indices in the block at which this part begins and ends.

        Returns:
            The Gram matrices of the keys and the moments of the values, see `ChunkSums`.
        """
        target, source = slice(first, stop), slice(first - start, stop - start)
        keys = rows.keys[source]
        self.keys[target] = keys
        self.norms[target] = row_norms(keys)
        if self.values is not None:
            self.values[target] = values = keys if rows.values is None else rows.values[source]
            self.value_norms[target] = row_norms(values)
        return self._code_run(first, stop)

    def _code_run(self, first: int, stop: int) -> ChunkSums:
        """Compute and store the 8-bit codes of the rows `first` to `stop`, and return sums over these rows.

        The rows lie in one chunk (CHUNK consecutive rows). If the block stores no codes, nothing is computed.

        Returns:
            The Gram matrix of the keys and the moments of the values, see `ChunkSums`; None for both if the block
            stores no codes.
        """
        target = slice(first, stop)
        norms = self.norms[target] if self.normalised else None
        if self.codes is None or self.value_codes is None:
            return None, None
        coded = CodedVectors.of(self.keys[target], norms)
        coded_values = coded if self.values is None else CodedVectors.of(self.values[target])
        return self.codes.write(first, coded), self.value_codes.write(first, coded_values)


def _allocate_codes(
    rows: int, width: int, value_width: int, layout: BlockFormat
) -> tuple[Codes | None, ValueCodes | None]:
    """Return empty 8-bit codes for keys and for values; None for both if the format stores no codes.

    Args:
        rows: the capacity.
        width, value_width: the widths of keys and values.
        layout: the format of the block.
    """
    if not layout.codes(width):
        return None, None
    return Codes.allocate(rows, width), ValueCodes.allocate(rows, value_width)


def row_norms(vectors: F32) -> F64:
    """Return float64[n], the Euclidean norms of vectors float32[n, d].

    Each row is summed in the same order, so equal vectors have equal norms.
    """
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), CODING_BATCH):
        tile = vectors[start : start + CODING_BATCH].astype(np.float64)
        norms[start : start + CODING_BATCH] = np.sqrt(np.multiply(tile, tile, out=tile).sum(axis=1))
    return norms
