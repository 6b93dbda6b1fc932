"""The kernels of candidates in C: arrays are checked here, and their addresses passed to `native/candidates.c`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from softkv_attention.arrays import F32, F64, I64
from softkv_attention.kernels.interface import TOTALS
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.native.pointers import address, output, packers_of, refusal, scratch

RADIX_BYTES = 28
"""Scratch memory of `sort_candidates` for each row of the longest run."""

STRUCTURES = {
    "sort_candidates": (
        "row_numbers similarities counts starts ordered descending memory",
        "workers queries room m longest first last",
    ),
    "heavy_counts": ("similarities starts inverse levels squares counts", "m queries first last", "few negligible"),
    "initial_counts": ("similarities starts heavy ks margins counts", "m queries maximum times"),
    "first_rows": ("starts counts edges indices runs", "queries room"),
    "decisive_counts": (
        "similarities starts rescored counts ks supports thresholds errors needed heap",
        "m known queries maximum times",
    ),
    "softmax_weights": (
        "values starts counts temperatures thresholds sums nulls weights factors totals",
        "m cases bands first last",
    ),
    "select_top": ("similarities row_numbers starts counts ks edges rows runs heap", "m queries room"),
}
"""The structure that each function in C gets: the names of addresses, of sizes and integers, and of float64."""
_pack = packers_of(STRUCTURES)


class CandidatesInC:
    """The kernels of candidates, of a library for one kind of processor.

    `interface.CandidateKernels` documents each method.

    Args:
        functions: the functions of the library.
    """

    def __init__(self, functions: SimpleNamespace) -> None:
        self._c = functions

    def sort_candidates(
        self,
        row_numbers: I64,
        similarities: F32,
        counts: I64,
        starts: I64,
        first: int,
        last: int,
        ordered: I64,
        descending: F64,
    ) -> None:
        """Merge and sort the lists of workers; see `Kernels.sort_candidates`."""
        workers, queries, room = row_numbers.shape
        m = len(ordered)
        longest = min(workers * room, m)
        call = _pack.sort_candidates(
            address(row_numbers, pointers.I64, workers * queries * room),
            address(similarities, pointers.F32, workers * queries * room),
            address(counts, pointers.I64, workers * queries),
            address(starts, pointers.I64, queries + 1),
            output(ordered, pointers.I64, m),
            output(descending, pointers.F64, m),
            scratch.of(RADIX_BYTES * longest),
            workers,
            queries,
            room,
            m,
            longest,
            first,
            last,
        )
        refused = self._c.sort_candidates(call)
        if refused >= 0:
            raise refusal("sort_candidates", refused)

    def heavy_counts(
        self,
        similarities: F64,
        starts: I64,
        inverse: F64,
        levels: F64,
        squares: F64,
        few: float,
        negligible: float,
        first: int,
        last: int,
        counts: I64,
    ) -> None:
        """Count the candidates that hold nearly all squared weight; see `Kernels.heavy_counts`."""
        m, queries = len(similarities), len(inverse)
        call = _pack.heavy_counts(
            address(similarities, pointers.F64, m),
            address(starts, pointers.I64, queries + 1),
            address(inverse, pointers.F64, queries),
            address(levels, pointers.F64, queries),
            address(squares, pointers.F64, queries),
            output(counts, pointers.I64, queries),
            m,
            queries,
            first,
            last,
            few,
            negligible,
        )
        refused = self._c.heavy_counts(call)
        if refused >= 0:
            raise refusal("heavy_counts", refused)

    def initial_counts(
        self, similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, maximum: int, times: int
    ) -> I64:
        """Count the candidates to compute first; see `Kernels.initial_counts`."""
        m, queries = len(similarities), len(heavy)
        counts = np.empty(queries, pointers.I64)
        call = _pack.initial_counts(
            address(similarities, pointers.F64, m),
            address(starts, pointers.I64, queries + 1),
            address(heavy, pointers.I64, queries),
            address(ks, pointers.I64, queries),
            address(margins, pointers.F64, queries),
            output(counts, pointers.I64),
            m,
            queries,
            maximum,
            times,
        )
        refused = self._c.initial_counts(call)
        if refused >= 0:
            raise refusal("initial_counts", refused)
        return counts

    def first_rows(self, starts: I64, counts: I64) -> tuple[I64, I64, I64]:
        """Select the first rows of each run; see `Kernels.first_rows`."""
        queries = len(starts)
        room = int(np.add.reduce(counts))
        edges = np.empty(queries + 1, pointers.I64)
        indices, runs = np.empty(room, pointers.I64), np.empty(room, pointers.I64)
        call = _pack.first_rows(
            address(starts, pointers.I64, queries),
            address(counts, pointers.I64, queries),
            output(edges, pointers.I64),
            output(indices, pointers.I64),
            output(runs, pointers.I64),
            queries,
            room,
        )
        refused = self._c.first_rows(call)
        if refused >= 0:
            raise refusal("first_rows", refused)
        return edges, indices, runs

    def decisive_counts(
        self,
        similarities: F64,
        starts: I64,
        rescored: F64,
        counts: I64,
        ks: I64,
        supports: F64,
        thresholds: F64,
        errors: F64,
        maximum: int,
        times: int,
    ) -> I64:
        """Count the candidates to compute to know the best rows; see `Kernels.decisive_counts`."""
        m = len(similarities)
        size = len(rescored)
        queries = len(counts)
        needed = np.empty(queries, pointers.I64)
        call = _pack.decisive_counts(
            address(similarities, pointers.F64, m),
            address(starts, pointers.I64, queries + 1),
            address(rescored, pointers.F64, size),
            address(counts, pointers.I64, queries),
            address(ks, pointers.I64, queries),
            address(supports, pointers.F64, queries),
            address(thresholds, pointers.F64, queries),
            address(errors, pointers.F64, queries),
            output(needed, pointers.I64),
            scratch.of(pointers.F64.itemsize * (size // 2 + 1)),
            m,
            size,
            queries,
            maximum,
            times,
        )
        refused = self._c.decisive_counts(call)
        if refused >= 0:
            raise refusal("decisive_counts", refused)
        return needed

    def softmax_weights(
        self,
        values: F64,
        starts: I64,
        counts: I64,
        temperatures: F64,
        thresholds: F64,
        sums: F64,
        nulls: F64,
        first: int,
        last: int,
        weights: F64,
        factors: F64,
        totals: F64,
    ) -> None:
        """Compute softmax weights over candidates, sums and the null key; see `Kernels.softmax_weights`."""
        m = len(values)
        cases, bands = thresholds.shape
        call = _pack.softmax_weights(
            address(values, pointers.F64, m),
            address(starts, pointers.I64, cases + 1),
            address(counts, pointers.I64, cases),
            address(temperatures, pointers.F64, cases),
            address(thresholds, pointers.F64, cases * bands),
            address(sums, pointers.F64, cases * bands * 3),
            address(nulls, pointers.F64, cases * 2),
            output(weights, pointers.F64, m),
            output(factors, pointers.F64, cases * bands),
            output(totals, pointers.F64, cases * TOTALS),
            m,
            cases,
            bands,
            first,
            last,
        )
        refused = self._c.softmax_weights(call)
        if refused >= 0:
            raise refusal("softmax_weights", refused)

    def top_rows(self, similarities: F64, row_numbers: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
        """Select the best rows of each run, and those that tie; see `Kernels.top_rows`."""
        m, queries = len(similarities), len(counts)
        room = int(np.add.reduce(counts))
        edges = np.empty(queries + 1, pointers.I64)
        rows, runs = np.empty(room, pointers.I64), np.empty(room, pointers.I64)
        call = _pack.select_top(
            address(similarities, pointers.F64, m),
            address(row_numbers, pointers.I64, m),
            address(starts, pointers.I64, queries + 1),
            address(counts, pointers.I64, queries),
            address(ks, pointers.I64, queries),
            output(edges, pointers.I64),
            output(rows, pointers.I64),
            output(runs, pointers.I64),
            scratch.of(pointers.F64.itemsize * (room // 2 + 1)),
            m,
            queries,
            room,
        )
        refused = self._c.select_top(call)
        if refused >= 0:
            raise refusal("select_top", refused)
        end = int(edges[-1])
        return edges, rows[:end].copy(), runs[:end].copy()
