"""What kernels are given, and what they do with it: the interface that machine code and NumPy both have.

`in_machine_code` and `in_numpy` are modules with these functions. They give the same to the last digits: what sums in
float32 may be rounded otherwise, what is listed is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from attention.dtypes import F32, F64, I8, I16, I64, Bools, Bytes
from attention.kernels.listed.interface import ListedKernels

ABOVE_MEAN = 16.0
"""With 127 levels, rows that weigh more than so many times the mean are added one by one."""

NEGLIGIBLE = 1e-7
"""So much beside what is listed is left out of a weighted sum."""

LEAST_STEP = 1e-30

NO_ADDENDS: F32 = np.empty(0, dtype=np.float32)


class CodedKeys(NamedTuple):
    """Keys in bytes, side by side.

    Attributes:
        codes: uint8[groups, words, 16, 4], of r keys and more; see `layout`.
        scales: float32[r].
        allowed: bool[r], True = may be attended to.
        base: the place of the first one among all rows.
        addends: float32[r], what is added to each similarity, within ±1e30; float32[0] for nothing.
    """

    codes: Bytes
    scales: F32
    allowed: Bools
    base: int
    addends: F32 = NO_ADDENDS


class CandidateLists(NamedTuple):
    """The rows listed for q queries, as many as their lists have room for.

    Attributes:
        thresholds: float32[q]; similarities from here on are listed.
        places: int64[q, c].
        similarities: float32[q, c].
        counts: int64[q], how much of each list is used.
    """

    thresholds: F32
    places: I64
    similarities: F32
    counts: I64


class CodedValues(NamedTuple):
    """Values in codes, turned, from the beginning of a chunk on.

    Attributes:
        codes: uint8[chunks, groups, words, 16, 4], of r values and more; see `layout`.
        scales: float32[r].
        values: float32[r, d_v], the originals.
        inverse_squares: float64[chunks], Σ scale⁻² of each, at least.
        residual, length, code_length: the most there can be of ‖v − v̂‖, of ‖v‖ and of the length of a code.
    """

    codes: Bytes
    scales: F32
    values: F32
    inverse_squares: F64
    residual: float
    length: float
    code_length: float


class Kernels(ListedKernels, Protocol):
    """The steps of an answer that read many rows; q queries, r rows, width d, values of width d_v."""

    NAME: str
    """What runs, for people to read."""

    AMX: bool
    """Whether the processor's matrix unit is used."""

    SCANS: bool
    """Whether a scan of codes is quicker than reading the originals in float64."""

    WIDE: bool
    """Whether 16 bits of a query or a weight cost no more than 8, so that all have 16."""

    def packed_queries(self, codes: I16, steps: F32, *, fine: bool) -> Any:
        """What the passes over keys read, of codes int16[q, d] and steps float32[q].

        Similarity = product of codes·scale·step, and the key's addend where it has one. Codes that are not fine are
        within −127 to 127.
        """

    def sample_top(self, keys: CodedKeys, queries: Any, best: F32) -> None:
        """Keep in best float32[q, b], ascending, the largest similarities seen."""

    def accumulate(
        self, keys: CodedKeys, first: int, queries: Any, lists: CandidateLists, inverse: F32, sums: F64, weights: F32
    ) -> int:
        """Go through rows from `first` on; stop early where a query's list may be too short for the next 64.

        Args:
            keys: r of them.
            first: a multiple of 64.
            lists: added to; what is not listed is summed.
            inverse: float32[q], 1/T.
            sums: float64[q, 3], added to: Σe, Σe·x, Σe² with x = (s − threshold)/T, not below −87, and e = exp(x).
            weights: float32[q, ≥ r], contiguous, filled with e, 0 where listed or not allowed; float32[0, 0] to leave
                it.

        Returns:
            The row to go on from; r where all is done.
        """

    def fill_histogram(
        self, keys: CodedKeys, first: int, queries: Any, lists: CandidateLists, lows: F32, finer: F32, histogram: F64
    ) -> int:
        """Like `accumulate`, but what lies below the threshold goes into a histogram instead of sums.

        Args:
            lows: float32[q], where the first bin begins.
            finer: float32[q], bins to one of similarity.
            histogram: float64[q, bins, 2], count and sum of similarities, added to.
        """

    def add_values(
        self, tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool
    ) -> None:
        """Add Σ weight·value over some chunks of coded values, or leave them out where they weigh next to nothing.

        A weight times its value's scale is rounded to whole levels of a step, at most 127, or 16 bits of them. Of 127,
        rows that weigh more than ABOVE_MEAN times the mean are added one by one. Rounding weight·scale in float32 moves
        it by at most (½ + levels·2⁻²¹)·step, and so the weight by that over scale.

        Args:
            tile: r of them.
            weights: float32[q, ≥ r], contiguous, relative to a threshold.
            counts: int64[q], rows that were listed; each has a term of 1 at least. What is so far below all of them
                is left out.
            fine: whether weights have 16 bits.
            outputs: float64[q, d_v], added to.
            errors: float64[q, 5], added to; see `scan.accumulator.VALUE_ERRORS`.
            amx: whether the matrix unit may be used.
        """

    def add_rows(self, values: F32, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """outputs[query] += weight·values[row] for each of m triples.

        Args:
            values: float32[r, d_v].
            rows, queries: int64[m].
            weights: float64[m].
            outputs: float64[q, d_v], added to.
        """

    def all_products(self, vectors: F32, rows: I64, queries: F64, products: F64) -> None:
        """Fill products float64[q, m] with query·row of every query float64[q, d] and each of m rows of [n, d]."""

    def all_sums(self, vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
        """outputs float64[q, d] += weights float64[q, m] times m rows of vectors float32[n, d]."""

    def row_products(self, vectors: F32, rows: I64, queries: F64, asked: I64) -> F64:
        """float64[m], query·row for each of m pairs, every row summed alike: copies of a row have the same product.

        Args:
            vectors: float32[n, d].
            rows, asked: int64[m], which row and which query.
            queries: float64[q, d].
        """

    def code_rows(self, vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
        """Code the rows of vectors float32[n, d] in 8 bits; every step is in float64 and the same to the bit.

        Args:
            vectors: x, contiguous and finite.
            codes: int8[n, d], filled with the nearest integers to x/scale.
            left: float32[n, d], filled with x − x̂, x̂ = code·scale.
            scales: float64[n], filled with max|x_j|/127, 0 for a vector of zeros.
            squares: float64[n], filled with Σ (x_j − x̂_j)², summed in any order.
            total: float64[d], to which Σ (x − x̂) over the rows is added.
        """

    def residual_sum(self, vectors: F32, rows: I64) -> F64:
        """float64[d]: Σ (x − x̂) over m rows int64[m] of [n, d], x̂ what the 8-bit code of x says."""

    def quadratic_forms(self, vectors: F64, matrix: F32) -> tuple[F64, F64]:
        """(float64[q], float64[q]): ‖x‖² and xᵀ·M·x/‖x‖² of each of vectors float64[q, d], M symmetric.

        The second is off by no more than d + 8 roundings of float32 carry |x|ᵀ·|M|·|x|/‖x‖²; of a vector 0 it is 0.
        """
