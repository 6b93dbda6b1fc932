"""The scan of 8-bit codes for one query by the kernels in C: five calls, in the place of many for several queries."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from ctypes import byref, c_int64, c_void_p
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from softkv_attention.arrays import F32, F64, I32, I64, Bools, Bytes
from softkv_attention.kernels.interface import TOTALS, Totals
from softkv_attention.kernels.layout import DEEP, LANES, OFFSET, PANEL, fine_levels
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.native.library import Library
from softkv_attention.kernels.native.pointers import address, output


class CodedBlock(NamedTuple):
    """Rows of one block, as a scan for one query reads them.

    Attributes:
        base: the index of the first row among the rows of all blocks.
        codes, scales, allowed: uint8[groups, words, 16, 4], float32[n] and bool[n], the codes of n keys, see
            `CodedKeys`.
        sample_codes, sample_scales, sample_allowed: the same of a sample of these keys.
        keys: float32[≥ n, d], the keys that the codes stand for.
        norms: float64[≥ n], the lengths of the keys; None if products are not divided by them.
    """

    base: int
    codes: Bytes
    scales: F32
    allowed: Bools
    sample_codes: Bytes
    sample_scales: F32
    sample_allowed: Bools
    keys: F32
    norms: F64 | None


@dataclass(frozen=True)
class ScanOptions:
    """The options of a scan for one query.

    Attributes:
        divisor: products of the query with keys are divided by it, and by the lengths of keys if blocks have them.
        temperature: above 0.
        null: the similarity of the null key (−∞ for none), and the logarithm of its count.
        k: how many best rows must be known.
        cap: how many of the known rows are listed, apart from ties with the last.
        sampled: how many rows of the samples reach the first threshold.
        room: how many candidates a list holds.
        height: rows of a tile, a multiple of 64.
        lookups, times: the most rows that are looked up for their weight, and how many times as many for the k best.
        share, least: the largest sum of squared weights of candidates without a lookup, see `count_heavy`.
        margin: rows within this number of errors below the k-th candidate are looked up at once.
    """

    divisor: float
    temperature: float
    null: tuple[float, float]
    k: int
    cap: int
    sampled: int
    room: int
    height: int
    lookups: int
    times: int
    share: float
    least: float
    margin: float


class ScannedRows(NamedTuple):
    """The result of a scan for one query; rows are indices among those of all blocks.

    Attributes:
        rows, similarities, weights: int64[h], float64[h] and float64[h], the best rows, best first.
        heavy_rows, heavy_weights: int64[m] and float64[m], the heaviest rows, if several may share half of the weight.
        known: how many rows were looked up in float64.
        heaviest: the largest weight.
        totals: sums over all rows.
    """

    rows: I64
    similarities: F64
    weights: F64
    heavy_rows: I64
    heavy_weights: F64
    known: int
    heaviest: float
    totals: Totals


class _Queries(ctypes.Structure):
    _fields_ = pointers.fields("planes offsets steps", "lines count lines_of_query")


class _QueryCode(ctypes.Structure):
    _fields_ = (
        *pointers.fields("vector planes coded left", "width words levels added", "divisor scale norm square"),
        ("queries", _Queries),
        ("offset", ctypes.c_int32),
        ("step", ctypes.c_float),
    )


class CodedQuery:
    """A query x in the form that a scan multiplies with coded keys: scale·code, called x̂, with codes of 16 bits.

    Args:
        vector: float64[d].
        divisor: x is the vector divided by it; 0 for its length.
        signed: whether the codes of keys are made signed, so that nothing was added to them.

    Attributes:
        width: d.
        words: the words of four components of a key.
        code: the structure that C fills.
        coded: float64[1, d], x̂.
    """

    def __init__(self, vector: F64, divisor: float, *, signed: bool) -> None:
        self.width = width = vector.size
        self.words = words = -(-width // DEEP)
        self._vector, self._memory = vector, np.empty(words + 2 * width)
        begin = output(self._memory, pointers.F64)
        self.coded: F64 = self._memory[words : words + width].reshape(1, width)
        size = pointers.F64.itemsize
        self.code = _QueryCode(
            address(vector, pointers.F64, width),
            *(begin, begin + size * words, begin + size * (words + width), width, words),
            *(fine_levels(width), 0 if signed else OFFSET, divisor),
        )

    @property
    def planes(self) -> I32:
        """int32[2 · words], the code as the scan reads it."""
        return self._memory[: self.words].view(np.int32)

    @property
    def divisor(self) -> float:
        """The vector divided by it is x."""
        divisor: float = self.code.divisor
        return divisor

    @property
    def norm(self) -> float:
        """‖x‖."""
        length: float = self.code.norm
        return length

    @property
    def squared_residual(self) -> float:
        """‖x − x̂‖²."""
        square: float = self.code.square
        return square


_INTEGERS = "workers room height best_sampled k cap maximum times"
_REALS = "divisor temperature inverse null_similarity null_log_count few negligible margin error"


class _Keys(ctypes.Structure):
    _fields_ = pointers.fields("codes scales allowed addends", "rows length base")


class _Block(ctypes.Structure):
    _fields_ = (("codes", _Keys), ("sample", _Keys), ("originals", c_void_p), ("norms", c_void_p))


class _Coded(ctypes.Structure):
    _fields_ = pointers.fields("blocks", "count width sampled")


class _Scan(ctypes.Structure):
    _fields_ = (
        *pointers.fields("codes vector memory", _INTEGERS, _REALS),
        *pointers.fields("", "next listed known wanted heads heavy", "threshold level factor heaviest"),
        ("sums", ctypes.c_double * 3),
        ("totals", ctypes.c_double * TOTALS),
    )


class CodedRows:
    """The rows of several blocks in the form that `OneScan` reads. Threads may share them.

    Args:
        blocks: the rows, by `base`.
    """

    def __init__(self, blocks: Sequence[CodedBlock]) -> None:
        self.width, self._blocks = blocks[0].keys.shape[1], list(blocks)
        self._table = (_Block * len(blocks))(*(_block(block, self.width) for block in blocks))
        sampled = sum(int(np.count_nonzero(block.sample_allowed)) for block in blocks)
        self.structure = _Coded(ctypes.addressof(self._table), len(blocks), self.width, sampled)


class _Memory(threading.local):
    """Memory of each thread for the scans that it begins; it grows to the largest that was asked for."""

    def __init__(self) -> None:
        self._reals = np.empty(0)

    def of(self, size: int) -> F64:
        """Return float64[≥ size]."""
        if size > len(self._reals):
            self._reals = np.empty(size)
        return self._reals


class OneScan:
    """The scan for one query by a library for one kind of processor.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: Library) -> None:
        self._signed = library.kind.signed
        self._code = library.function("code_query", None, c_void_p)
        self._begin = library.function("begin_scan", None, c_void_p, c_void_p)
        self._tiles = library.function("scan_tiles", None, c_void_p, c_void_p, c_int64)
        self._sort = library.function("sort_scan", c_int64, c_void_p)
        self._weigh = library.function("weigh_scan", c_int64, c_void_p, c_void_p)
        self._size = library.function("scan_memory", c_int64, c_int64, c_int64)
        self._memory = _Memory()

    def code(self, vector: F64, divisor: float) -> CodedQuery:
        """Return the code of a query; see `CodedQuery`."""
        query = CodedQuery(vector, divisor, signed=self._signed)
        self._code(byref(query.code))
        return query

    def scan(
        self,
        rows: CodedRows,
        query: CodedQuery,
        vector: F64,
        options: ScanOptions,
        workers: int,
        pool: Executor,
        bound_error: Callable[[], float],
        check: Callable[[I64], None] | None,
    ) -> ScannedRows | None:
        """Return the softmax of one query over all rows; None if the scan leaves open which rows are the best.

        Args:
            rows: the rows.
            query: the query as `code` returns it.
            vector: float64[d], the query.
            options: what it asks.
            workers: how many threads scan, the caller among them.
            pool: the other threads.
            bound_error: returns a bound on the errors of scanned similarities; called while other threads scan.
            check: called with int64[m], the rows whose keys are read next; None to read all unchecked.

        Raises:
            ValueError: the query has another width than the rows.
        """
        if query.width != rows.width:
            raise ValueError(f"wanted a query of {rows.width} components, got {query.width}")
        memory, width = self._memory.of(self._size(workers, options.room)), rows.width
        state = _Scan(
            ctypes.addressof(query.code.queries),
            address(vector, pointers.F64, width),
            output(memory, pointers.F64),
            *(workers, options.room, options.height, options.sampled, options.k, options.cap),
            *(options.lookups, options.times, options.divisor, options.temperature),
            *(float(np.float32(1 / options.temperature)), *options.null, options.share, options.least, options.margin),
        )
        coded, scan = byref(rows.structure), byref(state)
        self._begin(coded, scan)
        futures = [pool.submit(self._tiles, coded, scan, worker) for worker in range(1, workers)]
        try:
            state.error = bound_error()
            self._tiles(coded, scan, 0)
        finally:
            # No tile is left. So a thread that has not begun, because the pool has other work, is not waited for; the
            # others write into the memory.
            errors = [future.exception() for future in futures if not future.cancel()]
        for error in errors:
            if error is not None:
                raise error
        lookups: int = self._sort(scan)
        while lookups > 0:
            if check is not None:
                check(_integers(memory, state, 1)[state.known : lookups])
            lookups = self._weigh(coded, scan)
            if lookups == 0:
                return _result(memory, state)
        return None


def _result(memory: F64, state: _Scan) -> ScannedRows:
    rows, values, weights = _integers(memory, state, 1), _array(memory, state, 3), _array(memory, state, 4)
    chosen = _integers(memory, state, 5)
    heads, heavy = chosen[: state.heads], chosen[state.heads : state.heads + state.heavy]
    return ScannedRows(
        rows[heads],
        values[heads],
        weights[heads],
        rows[heavy],
        weights[heavy],
        state.known,
        state.heaviest,
        Totals(*state.totals),
    )


def _array(memory: F64, state: _Scan, index: int) -> F64:
    """Return one of the arrays of all candidates, in the order of scan.c, and what follows it."""
    return memory[5 * state.workers + index * state.workers * state.room :]


def _integers(memory: F64, state: _Scan, index: int) -> I64:
    return _array(memory, state, index).view(np.int64)


def _block(block: CodedBlock, width: int) -> _Block:
    count = len(block.scales)
    if len(block.keys) < count:
        raise ValueError(f"wanted the keys of {count} codes, got {len(block.keys)}")
    address(block.keys, pointers.F32, len(block.keys) * width)
    if block.norms is not None and len(block.norms) < count:
        raise ValueError(f"wanted the lengths of {count} keys, got {len(block.norms)}")
    return _Block(
        _key_codes(block.codes, block.scales, block.allowed, width, block.base),
        _key_codes(block.sample_codes, block.sample_scales, block.sample_allowed, width, 0),
        address(block.keys, pointers.F32),
        None if block.norms is None else address(block.norms, pointers.F64),
    )


def _key_codes(codes: Bytes, scales: F32, allowed: Bools, width: int, base: int) -> _Keys:
    (groups, words), rows = codes.shape[:2], len(scales)
    if rows > groups * LANES or groups % (PANEL // LANES) or words != -(-width // DEEP):
        raise ValueError(f"wanted codes of {rows} keys of {width} components, got {codes.shape}")
    return _Keys(
        address(codes, pointers.U8, groups * words * LANES * DEEP),
        address(scales, pointers.F32, rows),
        address(allowed, pointers.BOOL, rows),
        None,
        *(rows, words, base),
    )
