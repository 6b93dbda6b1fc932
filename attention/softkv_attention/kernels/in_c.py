"""The implementation of `Kernels` in C: arrays are checked here, and their addresses passed to `native/`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_int, c_int64, c_void_p
from types import SimpleNamespace
from typing import Any

import numpy as np

from softkv_attention.arrays import F32, F64, I8, I16, I32, I64
from softkv_attention.forked import cached_property
from softkv_attention.kernels import candidates_in_c
from softkv_attention.kernels.candidates_in_c import CandidatesInC
from softkv_attention.kernels.interface import (
    HEAVIEST,
    CandidateLists,
    CodedKeys,
    CodedValues,
    FloatRows,
    RowMasses,
    RowRun,
    SoftmaxOptions,
)
from softkv_attention.kernels.layout import DEEP, LANES, OFFSET, PANEL, pack, similarity_columns
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.native.library import Library
from softkv_attention.kernels.native.pointers import address, output, packer_of, packers_of, refusal, scratch
from softkv_attention.kernels.one_scan import OneScan

FEW_QUERIES, TILE = 4, 16
"""More queries than this are multiplied by AMX, the matrix unit, 16 at a time."""

_P, _N = c_void_p, c_int64

STRUCTURES = {
    "add_rows": ("values rows queries weights outputs", "n width m q"),
    "all_products": ("vectors rows queries products", "n width m q"),
    "all_sums": ("vectors rows weights outputs", "n width m q"),
    "row_products": ("vectors rows queries query_of products", "n width m q"),
    "residual_sum": ("vectors rows total", "n width m"),
    "code_rows": ("vectors codes left scales squares total", "n width"),
    "quadratic_forms": ("vectors matrix squares forms side", "q width"),
    "softmax_masses": ("similarities masses totals", "n", "temperature"),
}
"""The structure that each of these functions gets: the names of addresses, of sizes and integers, and of float64."""
_pack = packers_of(STRUCTURES)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "accumulate": (_N, _P, _N, _P, _P, _P, _P, _P, _N),
    "fill_histogram": (_N, _P, _N, _P, _P, _P, _P, _P, _N),
    "sample_top": (None, _P, _P, _P, _N),
    "add_values": (None, _P, _P, _P, _P, _P),
    "values_scratch": (_N, _P, _N, c_int),
    "gradients_scratch": (_N, _P, _N),
    "blend_rows": (None, _P, _P, _P),
    "pull_rows": (None, _P, _P, _P),
    "softmax_rows": (None, _P, _P, _P, _N, _P, _P, _P),
    **dict.fromkeys([*STRUCTURES, *candidates_in_c.STRUCTURES], (_N, _P)),
}
"""The functions of the library: the type of the result, then those of the arguments."""


class _Queries(ctypes.Structure):
    _fields_ = pointers.fields("planes offsets steps", "lines count each")


class _Rows(ctypes.Structure):
    _fields_ = pointers.fields("runs", "run_count rows width")


_pack_keys = packer_of("codes scales allowed addends", "rows length base")
_pack_lists = packer_of("thresholds places similarities counts", "room")
_pack_values = packer_of(
    "codes scales originals inverse_squares", "rows chunks groups length width", "residual size code_length"
)
_pack_weights = packer_of("weights counts", "count width fine")
_pack_floats = packer_of("keys values rows factors addends", "count width value_width")
_pack_batch = packer_of("queries inverse peaks gradients levels sums outputs stored", "q by_factor")


class Packed:
    """Coded queries in the form that the scans multiply with coded keys. Threads may share them.

    Attributes:
        planes: int32[lines, words], the queries' codes.
        words: the number of words of four components of a key that these queries fit.
        lines_of_query: 1, or 2 if a 16-bit code is split into bytes, of which the first counts 256 times.
        offsets: int32[q], the part of a product that comes from the 128 added to each key byte.
        steps: float32[q]; similarity = product·scale·step.
        structure: the addresses of these arrays, for C.
    """

    def __init__(self, planes: I32, words: int, lines_of_query: int, offsets: I32, steps: F32) -> None:
        self.planes, self.words, self.lines_of_query = planes, words, lines_of_query
        self.offsets, self.steps = offsets, steps
        lines, count = len(planes), len(steps)
        if lines < lines_of_query * count:
            raise ValueError(f"wanted {lines_of_query} lines for each of {count} queries, got {lines}")
        self.structure = _Queries(
            address(planes, pointers.I32),
            address(offsets, pointers.I32, count),
            address(steps, pointers.F32, count),
            lines,
            count,
            lines_of_query,
        )


class PackedRows:
    """Rows of blocks in the form that `softmax_rows` reads. Threads may share them.

    Args:
        runs: the rows, see `Kernels.pack_rows`.
    """

    def __init__(self, runs: Sequence[RowRun]) -> None:
        self.width, self.size, self._runs = runs[0].keys.shape[1], sum(run.size for run in runs), list(runs)
        self._table = np.array([_run(run, self.width) for run in runs], dtype=np.uint64)
        self.structure = _Rows(address(self._table, pointers.U64), len(runs), self.size, self.width)


class KernelsInC(CandidatesInC):
    """The kernels of a library for one kind of processor; `interface.Kernels` documents each method.

    Args:
        library: the loaded library.
    """

    SCANS = ORDERED = True

    def __init__(self, library: Library) -> None:
        self._library = library
        super().__init__(
            SimpleNamespace(**{name: library.function(name, *kinds) for name, kinds in SIGNATURES.items()})
        )
        self.AMX, self.WIDE = library.amx, library.kind.wide
        self.NAME = " + ".join(["C", library.kind.instruction] + ["AMX"] * self.AMX)

    @cached_property
    def one_scan(self) -> OneScan:
        """The scan for one query in a few calls; see `Kernels.one_scan`."""
        return OneScan(self._library)

    # Queries

    def pack_queries(self, codes: I16, steps: F32, *, fine: bool) -> Packed:
        """Return coded queries in the form that the scans read; see `Kernels.pack_queries`."""
        added = 0 if self._library.kind.signed else OFFSET
        offsets = (added * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
        planes = _pairs(codes) if self.WIDE else _bytes(codes, fine=fine)
        if self.AMX and len(planes) > FEW_QUERIES and planes.shape[1] % TILE == 0:
            padded = np.zeros((-(-len(planes) // TILE) * TILE, planes.shape[1]), dtype=np.int32)
            padded[: len(planes)] = planes
            planes = padded
        lines = 1 if self.WIDE or not fine else 2
        words = -(-codes.shape[1] // DEEP)
        return Packed(
            np.ascontiguousarray(planes), words, lines, offsets, np.ascontiguousarray(steps, dtype=np.float32)
        )

    # Codes of keys

    def accumulate(
        self, keys: CodedKeys, first: int, queries: Packed, lists: CandidateLists, inverse: F32, sums: F64, weights: F32
    ) -> int:
        """List rows and sum softmax terms of the others; see `Kernels.accumulate`."""
        count, rows, width = len(queries.steps), len(keys.scales), weights.shape[1]
        if len(weights) and width < rows:
            raise ValueError(f"wanted weights of at least {rows} rows, got {width}")
        _check_first(first)
        reached: int = self._c.accumulate(
            _keys(keys, queries),
            first,
            byref(queries.structure),
            _lists(lists, count),
            address(inverse, pointers.F32, count),
            output(sums, pointers.F64, count * 3),
            output(weights, pointers.F32, count * width) if len(weights) else None,
            width,
        )
        _check_reached(reached)
        return reached

    def fill_histogram(
        self, keys: CodedKeys, first: int, queries: Packed, lists: CandidateLists, lows: F32, finer: F32, histogram: F64
    ) -> int:
        """List rows and count the others in a histogram; see `Kernels.fill_histogram`."""
        count, bins = len(queries.steps), histogram.shape[1]
        _check_first(first)
        _check_room(bins)
        reached: int = self._c.fill_histogram(
            _keys(keys, queries),
            first,
            byref(queries.structure),
            _lists(lists, count),
            address(lows, pointers.F32, count),
            address(finer, pointers.F32, count),
            output(histogram, pointers.F64, count * bins * 2),
            bins,
        )
        _check_reached(reached)
        return reached

    def sample_top(self, keys: CodedKeys, queries: Packed, best: F32) -> None:
        """Insert similarities into lists of the largest; see `Kernels.sample_top`."""
        count, room = len(queries.steps), best.shape[1]
        _check_room(room)
        into = output(best, pointers.F32, count * room)
        self._c.sample_top(_keys(keys, queries), byref(queries.structure), into, room)

    # Codes of values

    def add_values(
        self, tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool
    ) -> None:
        """Add weighted sums of coded values; see `Kernels.add_values`."""
        chunks, groups, length, lanes, deep = tile.codes.shape
        rows, (count, width) = len(tile.scales), outputs.shape
        fits = rows <= min(chunks * length * DEEP, weights.shape[1]) and width <= groups * LANES
        if not fits or (groups % (PANEL // LANES), lanes, deep) != (0, LANES, DEEP):
            raise ValueError(f"wanted codes and weights of {rows} rows, got {tile.codes.shape} and {weights.shape}")
        values = _pack_values(
            address(tile.codes, pointers.U8),
            address(tile.scales, pointers.F32),
            address(tile.values, pointers.F32, rows * width),
            address(tile.inverse_squares, pointers.F64),
            rows,
            len(tile.inverse_squares),
            groups,
            length,
            width,
            tile.residual,
            tile.length,
            tile.code_length,
        )
        memory = scratch.of(self._c.values_scratch(values, count, fine))
        weighted = _pack_weights(
            address(weights, pointers.F32, count * weights.shape[1]),
            address(counts, pointers.I64, count),
            *(count, weights.shape[1], fine),
        )
        self._c.add_values(
            values,
            weighted,
            output(outputs, pointers.F64, count * width),
            output(errors, pointers.F64, count * 5),
            memory,
        )

    # Float32 rows

    def add_rows(self, values: F32, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of rows to the outputs of queries; see `Kernels.add_rows`."""
        (n, width), m, q = values.shape, len(rows), len(outputs)
        call = _pack.add_rows(
            address(values, pointers.F32, n * width),
            address(rows, pointers.I64, m),
            address(queries, pointers.I64, m),
            address(weights, pointers.F64, m),
            output(outputs, pointers.F64, q * width),
            n,
            width,
            m,
            q,
        )
        refused = self._c.add_rows(call)
        if refused >= 0:
            raise refusal("add_rows", refused)

    def all_products(self, vectors: F32, rows: I64, queries: F64, products: F64) -> None:
        """Fill the dot products of all queries and rows; see `Kernels.all_products`."""
        (n, width), m, q = vectors.shape, len(rows), len(queries)
        call = _pack.all_products(
            address(vectors, pointers.F32, n * width),
            address(rows, pointers.I64, m),
            address(queries, pointers.F64, q * width),
            output(products, pointers.F64, q * m),
            n,
            width,
            m,
            q,
        )
        refused = self._c.all_products(call)
        if refused >= 0:
            raise refusal("all_products", refused)

    def all_sums(self, vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
        """Add weighted sums of rows to the outputs; see `Kernels.all_sums`."""
        (n, width), m, q = vectors.shape, len(rows), len(weights)
        call = _pack.all_sums(
            address(vectors, pointers.F32, n * width),
            address(rows, pointers.I64, m),
            address(weights, pointers.F64, q * m),
            output(outputs, pointers.F64, q * width),
            n,
            width,
            m,
            q,
        )
        refused = self._c.all_sums(call)
        if refused >= 0:
            raise refusal("all_sums", refused)

    def row_products(self, vectors: F32, rows: I64, queries: F64, query_of: I64) -> F64:
        """Return the dot products of pairs of rows and queries; see `Kernels.row_products`."""
        (n, width), m, q = vectors.shape, len(rows), len(queries)
        products = np.empty(m)
        call = _pack.row_products(
            address(vectors, pointers.F32, n * width),
            address(rows, pointers.I64, m),
            address(queries, pointers.F64, q * width),
            address(query_of, pointers.I64, m),
            output(products, pointers.F64),
            n,
            width,
            m,
            q,
        )
        refused = self._c.row_products(call)
        if refused >= 0:
            raise refusal("row_products", refused)
        return products

    def blend_rows(
        self,
        rows: FloatRows,
        queries: F32,
        inverse: F32,
        by_factor: bool,
        peaks: F32,
        sums: F64,
        outputs: F64,
        stored: F32 | None = None,
    ) -> None:
        """Add the softmax terms of some rows to the sums of queries; see `Kernels.blend_rows`."""
        count, floats = len(queries), _floats(rows)
        memory = scratch.of(self._c.gradients_scratch(floats, count))
        batch = _pack_batch(
            address(queries, pointers.F32, count * rows.keys.shape[1]),
            address(inverse, pointers.F32, count),
            output(peaks, pointers.F32, count),
            *(0, 0),
            output(sums, pointers.F64, count * 2),
            output(outputs, pointers.F64, count * rows.values.shape[1]),
            _similarity_address(stored, rows, count),
            *(count, by_factor),
        )
        self._c.blend_rows(floats, batch, memory)

    def pull_rows(
        self,
        rows: FloatRows,
        queries: F32,
        inverse: F32,
        peaks: F32,
        gradients: F32,
        levels: F32,
        sums: F64,
        outputs: F64,
        stored: F32 | None = None,
    ) -> None:
        """Add the gradients of queries that some rows cause; see `Kernels.pull_rows`."""
        count, floats = len(queries), _floats(rows)
        memory = scratch.of(self._c.gradients_scratch(floats, count))
        batch = _pack_batch(
            address(queries, pointers.F32, count * rows.keys.shape[1]),
            address(inverse, pointers.F32, count),
            address(peaks, pointers.F32, count),
            address(gradients, pointers.F32, count * rows.values.shape[1]),
            address(levels, pointers.F32, count),
            output(sums, pointers.F64, count * 3),
            output(outputs, pointers.F64, count * rows.keys.shape[1]),
            _similarity_address(stored, rows, count),
            *(count, False),
        )
        self._c.pull_rows(floats, batch, memory)

    def residual_sum(self, vectors: F32, rows: I64) -> F64:
        """Return the sum of the residuals of rows; see `Kernels.residual_sum`."""
        (n, width), m = vectors.shape, len(rows)
        total = np.empty(width)
        call = _pack.residual_sum(
            address(vectors, pointers.F32, n * width),
            address(rows, pointers.I64, m),
            output(total, pointers.F64),
            n,
            width,
            m,
        )
        refused = self._c.residual_sum(call)
        if refused >= 0:
            raise refusal("residual_sum", refused)
        return total

    def code_rows(self, vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
        """Code vectors in 8 bits; see `Kernels.code_rows`."""
        n, width = vectors.shape
        call = _pack.code_rows(
            address(vectors, pointers.F32, n * width),
            output(codes, pointers.I8, n * width),
            output(left, pointers.F32, n * width),
            output(scales, pointers.F64, n),
            output(squares, pointers.F64, n),
            output(total, pointers.F64, width),
            n,
            width,
        )
        refused = self._c.code_rows(call)
        if refused >= 0:
            raise refusal("code_rows", refused)

    def quadratic_forms(self, vectors: F64, matrix: F32) -> tuple[F64, F64]:
        """Return squared lengths and quadratic forms; see `Kernels.quadratic_forms`."""
        q, width = vectors.shape
        squares, forms = np.empty(q), np.empty(q)
        call = _pack.quadratic_forms(
            address(vectors, pointers.F64, q * width),
            address(matrix, pointers.F32, width * width),
            output(squares, pointers.F64),
            output(forms, pointers.F64),
            scratch.of(pointers.F32.itemsize * width * LANES),
            q,
            width,
        )
        refused = self._c.quadratic_forms(call)
        if refused >= 0:
            raise refusal("quadratic_forms", refused)
        return squares, forms

    def softmax_masses(self, similarities: F64, temperature: float) -> tuple[F64, F64]:
        """Return softmax masses and their sums; see `Kernels.softmax_masses`."""
        n = len(similarities)
        masses, totals = np.empty(n), np.empty(3)
        call = _pack.softmax_masses(
            address(similarities, pointers.F64, n),
            output(masses, pointers.F64),
            output(totals, pointers.F64),
            n,
            temperature,
        )
        refused = self._c.softmax_masses(call)
        if refused >= 0:
            raise refusal("softmax_masses", refused)
        return masses, totals

    def pack_rows(self, runs: Sequence[RowRun]) -> PackedRows:
        """Return rows in the form that `softmax_rows` reads; see `Kernels.pack_rows`."""
        return PackedRows(runs)

    def softmax_rows(self, rows: PackedRows, queries: F64, options: F64) -> list[RowMasses]:
        """Return the softmax masses of queries over rows; see `Kernels.softmax_rows`."""
        count, n = len(queries), rows.size
        reals, indices = np.empty((count, 2 * n + 3)), np.empty((count, n + HEAVIEST + 2), dtype=np.int64)
        self._c.softmax_rows(
            byref(rows.structure),
            address(queries, pointers.F64, count * rows.width),
            address(options, pointers.F64, count * len(SoftmaxOptions._fields)),
            count,
            scratch.of(16 * (n + 1)),
            output(reals, pointers.F64),
            output(indices, pointers.I64),
        )
        counts = n + HEAVIEST  # the attributes of `RowMasses` lie one after another, in their order
        return [
            RowMasses(real[:n], real[n : 2 * n], real[2 * n :], index[:n], index[n:counts], index[counts:])
            for real, index in zip(reals, indices, strict=True)
        ]


def _pairs(codes: I16) -> I32:
    """Pack int16[q, d] into int32[q, 2·words]: four components become the pairs (0, 2) and (1, 3)."""
    words = -(-codes.shape[1] // DEEP)
    whole = np.zeros((len(codes), words * DEEP), dtype=np.int16)
    whole[:, : codes.shape[1]] = codes
    pairs = np.ascontiguousarray(whole.reshape(-1, DEEP // 2, 2).transpose(0, 2, 1))
    return pairs.reshape(len(codes), words * DEEP).view(np.int32)


def _bytes(codes: I16, *, fine: bool) -> I32:
    """Pack int16[q, d] as bytes, int32[planes·q, words]: one plane, or with `fine` upper bytes and lower ones."""
    low = ((codes + OFFSET) & 255) - OFFSET
    planes = [(codes - low) >> 8, low] if fine else [codes]
    return pack(np.stack(planes, axis=1).reshape(len(planes) * len(codes), codes.shape[1]).astype(np.int8))


def _keys(keys: CodedKeys, queries: Packed) -> bytes:
    groups, words = keys.codes.shape[:2]
    rows = len(keys.scales)
    if rows > groups * LANES or groups % (PANEL // LANES) or words != queries.words:
        raise ValueError(f"wanted codes of {rows} rows in {queries.words} words, got {keys.codes.shape}")
    return _pack_keys(
        address(keys.codes, pointers.U8, groups * words * LANES * DEEP),
        address(keys.scales, pointers.F32, rows),
        address(keys.allowed, pointers.BOOL, rows),
        address(keys.addends, pointers.F32, rows) if len(keys.addends) else 0,
        rows,
        words,
        keys.base,
    )


def _run(run: RowRun, width: int) -> tuple[int, ...]:
    """Return the addresses of a run's arrays, and its number of rows."""
    count, rows, norms = len(run.keys), run.rows, run.norms
    least, last = (0, run.size - 1) if rows is None else (int(rows.min(initial=0)), int(rows.max(initial=-1)))
    if least < 0 or last >= count or run.size < 0:
        raise IndexError(f"wanted some of {count} rows, got {run.size}, from {least} to {last}")
    return (
        address(run.keys, pointers.F32, count * width),
        0 if norms is None else address(norms, pointers.F64, run.size),
        0 if rows is None else address(rows, pointers.I64, run.size),
        run.size,
    )


def _lists(lists: CandidateLists, count: int) -> bytes:
    room = lists.places.shape[1]
    return _pack_lists(
        address(lists.thresholds, pointers.F32, count),
        output(lists.places, pointers.I64, count * room),
        output(lists.similarities, pointers.F32, count * room),
        output(lists.counts, pointers.I64, count),
        room,
    )


def _check_first(first: int) -> None:
    if first < 0 or first % PANEL:
        raise ValueError(f"wanted a first row that is a multiple of {PANEL}, got {first}")


def _check_room(room: int) -> None:
    if room < 1:
        raise ValueError(f"wanted room for 1 number of each query at least, got {room}")


def _similarity_address(stored: F32 | None, rows: FloatRows, queries: int) -> int:
    """Return the address of the similarities stored of some rows and queries; 0 if none are."""
    return 0 if stored is None else output(stored, pointers.F32, rows.size * similarity_columns(queries))


def _floats(rows: FloatRows) -> bytes:
    count, n = rows.size, len(rows.keys)
    if len(rows.values) != n or (rows.rows is not None and count and not 0 <= rows.rows.min() <= rows.rows.max() < n):
        raise IndexError(f"wanted values and positions of {n} rows, got {len(rows.values)} values, or another position")
    return _pack_floats(
        address(rows.keys, pointers.F32),
        address(rows.values, pointers.F32),
        0 if rows.rows is None else address(rows.rows, pointers.I64),
        0 if rows.factors is None else address(rows.factors, pointers.F32, count),
        0 if rows.addends is None else address(rows.addends, pointers.F32, count),
        count,
        rows.keys.shape[1],
        rows.values.shape[1],
    )


def _check_reached(reached: int) -> None:
    if reached < 0:
        raise ValueError("wanted lists of 0 rows or more, got a negative count")
