"""The interface of the kernels, implemented by the modules `in_machine_code` and `in_numpy`.

Both give the same results except in the last digits: float32 sums may be rounded differently, but the listed rows are
the same. Functions with arguments `first` and `last` process only these queries, so several threads may call them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from attention.arrays import F32, F64, I8, I16, I64, Bools, Bytes


class Totals(NamedTuple):
    """Sums over all rows of one query, such as the entropy.

    Weights are normalised over all rows and the null key, the additional key that means "none of these".

    Attributes:
        best: the largest similarity.
        null_weight: the null key's weight.
        log_partition: logsumexp of all logits.
        entropy: the entropy of the rows' weights in nats, without the null key.
        mean_gap: the weighted mean distance of the logits from the largest logit.
        tail: the weight of all rows that are known from the scan only, listed or summed.
        log_tail: the logarithm of `tail`, finite even if `tail` underflows.
        tail_gap: the tail's part of `mean_gap`, before the null key is added.
        tail_square: the sum of the squared weights of the tail.
        summed_square: the part of `tail_square` that comes from sums.
    """

    best: float
    null_weight: float
    log_partition: float
    entropy: float
    mean_gap: float
    tail: float
    log_tail: float
    tail_gap: float
    tail_square: float
    summed_square: float


TOTALS = len(Totals._fields)

VANISHED = -800.0
"""An exponent whose exponential underflows to 0."""

LOWEST = -1e30
"""The lowest logit. Lower ones are clipped to it: their weight is 0 in any case."""

VANISHING = 1e-280
"""Below this a mass has lost digits by underflow, and its logarithm is computed from logits."""

LEAST_LOGIT = -745.0
"""The logarithm of the smallest positive float64."""


class CandidateKernels(Protocol):
    """Kernels over the candidates, the rows that a scan listed for each query.

    The rows of all queries are concatenated: run i holds those of query i, from starts[i] to starts[i + 1].
    """

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
        """Merge the lists of w workers: fill each run of ordered int64[m] and descending float64[m], best row first.

        The sort is stable: rows of equal similarity keep their order, the first worker's before the second's.

        Args:
            row_numbers, similarities: int64[w, q, c] and float32[w, q, c], without NaN.
            counts: int64[w, q], the used length of each list.
            starts: int64[q + 1].
        """

    def heavy_counts(
        self,
        similarities: F64,
        starts: I64,
        inverse: F64,
        levels: F64,
        squares: F64,
        few: float,
        least: float,
        first: int,
        last: int,
        counts: I64,
    ) -> None:
        """Fill counts int64[q] with each run's number of heavy rows: they hold nearly all squared weight.

        It is the length of the shortest prefix of the run beyond which the squared weights are small.

        The squared weights exp(2·(s − best)/T) beyond the prefix sum to at most `few` times those of the summed rows,
        or to at most `least`.

        Args:
            similarities: float64[m], each run descending.
            inverse: float64[q], 1/T.
            levels, squares: float64[q], the similarity that the sums are relative to, and Σe² relative to it.
        """

    def initial_counts(
        self, similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, maximum: int, times: int
    ) -> I64:
        """Return int64[q], how many rows of each run to rescore (compute again in float64) first.

        It is 0 for a run of fewer than k rows.

        A count covers the `heavy` rows (at least k, at most `maximum`), and every row whose scanned similarity is
        within the margin of the k-th. It is at most max(times · maximum, 2k).

        Args:
            similarities: float64[m], each run descending.
            heavy, ks: int64[q].
            margins: float64[q].
        """

    def first_rows(self, starts: I64, counts: I64) -> tuple[I64, I64, I64]:
        """Select the first rows of each run.

        Args:
            starts: int64[≥ q], where runs begin.
            counts: int64[q], how many rows to select.

        Returns:
            (edges int64[q + 1], indices int64[Σ counts], runs int64[Σ counts]): where each run's selection begins, the
            selected indices into all runs, and the run of each.
        """

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
        """Return int64[q], how many rows of each run must be rescored in float64 to decide the k best.

        It is −1 if that is unknown. See `Candidates.decisive_counts`.

        See `Candidates.decisive_counts`.

        Args:
            similarities: float64[m], each run descending.
            rescored: float64[Σ counts], exact similarities of the first rows.
            counts, ks: int64[q].
            supports, thresholds, errors: float64[q], see `Candidates`.
            maximum, times: see `initial_counts`.
        """

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
        """Fill weights float64[m], factors float64[c, b] and totals float64[c, 10] of c cases.

        A case is one query at one temperature. See `Mixture` and `Totals`.

        The error of a sum of n terms is at most (24 + log₂ n)·2⁻⁵³ times the sum of their absolute values.

        Args:
            values: float64[m], similarities.
            starts: int64[c + 1].
            counts: int64[c], how many rows of each run are rescored, at least 1; the best row is one of them.
            temperatures: float64[c], above 0.
            thresholds, sums: float64[c, b] and float64[c, b, 3], see `TailSums`.
            nulls: float64[c, 2], the null key's similarity (−∞ for no null key) and the logarithm of its count.
        """

    def top_rows(self, similarities: F64, row_numbers: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
        """Select the k best of each run's first rows, best first, and all rows that tie with the k-th.

        Ties are ordered by `row_numbers`.

        Args:
            similarities, row_numbers: float64[m] and int64[m].
            starts: int64[q + 1].
            counts, ks: int64[q], 0 or more.

        Returns:
            (edges int64[q + 1], indices int64[h], runs int64[h]), as from `first_rows`.
        """


ABOVE_MEAN = 16.0
"""With 127 levels, rows that weigh more than this multiple of the mean are added one by one."""

NEGLIGIBLE = 1e-7
"""Weighted sums omit tiles whose weight relative to the listed rows is at most this."""

LEAST_STEP = 1e-30

NO_ADDENDS: F32 = np.empty(0, dtype=np.float32)


class CodedKeys(NamedTuple):
    """A tile of keys as 8-bit codes, interleaved as dot-product instructions read them.

    Attributes:
        codes: uint8[groups, words, 16, 4], at least r keys; see `layout`.
        scales: float32[r].
        allowed: bool[r], True where a row may be attended to.
        base: the number of the first of these rows among all rows.
        addends: float32[r], added to the similarities, within ±1e30; float32[0] for no addends.
    """

    codes: Bytes
    scales: F32
    allowed: Bools
    base: int
    addends: F32 = NO_ADDENDS


class CandidateLists(NamedTuple):
    """Lists of candidate rows for q queries, with space for c rows each.

    Attributes:
        thresholds: float32[q]; rows of at least this similarity are listed.
        places: int64[q, c], the listed rows, as indices among all rows.
        similarities: float32[q, c].
        counts: int64[q], the used length of each list.
    """

    thresholds: F32
    places: I64
    similarities: F32
    counts: I64


class CodedValues(NamedTuple):
    """A tile of values as 8-bit codes, transposed. It starts at a multiple of a chunk's rows.

    Attributes:
        codes: uint8[chunks, groups, words, 16, 4], at least r values; see `layout`.
        scales: float32[r].
        values: float32[r, d_v], the originals.
        inverse_squares: float64[chunks], upper bounds of Σ scale⁻².
        residual, length, code_length: upper bounds of ‖v − v̂‖, of ‖v‖ and of the norm of a code.
    """

    codes: Bytes
    scales: F32
    values: F32
    inverse_squares: F64
    residual: float
    length: float
    code_length: float


class Kernels(CandidateKernels, Protocol):
    """All kernels. Shapes: q queries, r rows, width d, values of width d_v."""

    NAME: str
    """The implementation's name, shown to users."""

    AMX: bool
    """Whether the processor's matrix unit (AMX) is used."""

    SCANS: bool
    """Whether scanning codes is faster than an exact pass over the float32 originals."""

    WIDE: bool
    """Whether 16-bit queries and weights cost no more than 8-bit ones, so that all have 16 bits."""

    def pack_queries(self, codes: I16, steps: F32, *, fine: bool) -> Any:
        """Return the queries in the form that the passes over keys need, from codes int16[q, d] and steps float32[q].

        Similarity = product of codes · scale · step + addend. Codes are within −127 to 127 unless `fine`, which means
        16 bits.
        """

    def sample_top(self, keys: CodedKeys, queries: Any, best: F32) -> None:
        """Insert the similarities of these keys into best float32[q, b].

        For each query it holds the largest similarities so far, ascending.
        """

    def accumulate(
        self, keys: CodedKeys, first: int, queries: Any, lists: CandidateLists, inverse: F32, sums: F64, weights: F32
    ) -> int:
        """Scan rows from `first` on: list those at or above a query's threshold, and sum the others.

        Stop early if a query's list may be too short for the next 64 rows.

        Args:
            keys: r keys.
            first: a multiple of 64.
            lists: rows of at least the threshold are appended; others are summed.
            inverse: float32[q], 1/T.
            sums: float64[q, 3], added to: Σe, Σe·x, Σe² with x = (s − threshold)/T, not below −87, and e = exp(x).
            weights: float32[q, ≥ r], contiguous, filled with e, or 0 for rows listed or not allowed; float32[0, 0] to
                skip this.

        Returns:
            The row to continue from; r if all rows are done.
        """

    def fill_histogram(
        self, keys: CodedKeys, first: int, queries: Any, lists: CandidateLists, lows: F32, finer: F32, histogram: F64
    ) -> int:
        """Scan rows like `accumulate`, but count rows below the threshold in a histogram instead of summing them.

        Args:
            lows: float32[q], where the first bin begins.
            finer: float32[q], bins per unit of similarity.
            histogram: float64[q, bins, 2], count and sum of similarities; added to.
        """

    def add_values(
        self, tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool
    ) -> None:
        """Add Σ weight·value over a tile of coded values to the outputs.

        A tile that weighs next to nothing is left out.

        weight·scale is rounded to a multiple of a step. The multiple, an integer, is the level: at most 127, or 16 bits
        if `fine`. With 127 levels, rows that weigh more than ABOVE_MEAN times the mean are added one by one. Rounding
        in float32 changes weight·scale by at most (½ + levels·2⁻²¹)·step, and so the weight by that divided by scale.

        Args:
            tile: r values.
            weights: float32[q, ≥ r], contiguous, relative to a threshold.
            counts: int64[q], the number of listed rows, each of which has a term of at least 1. A tile far below all of
                them is omitted.
            fine: whether weights have 16 bits.
            outputs: float64[q, d_v], added to.
            errors: float64[q, 5], added to; see `scan.accumulator.VALUE_ERRORS`.
            amx: whether the matrix unit may be used.
        """

    def add_rows(self, values: F32, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·values[row] to outputs[query] for each of m rows, with its query and its weight.

        Args:
            values: float32[r, d_v].
            rows, queries: int64[m].
            weights: float64[m].
            outputs: float64[q, d_v], added to.
        """

    def all_products(self, vectors: F32, rows: I64, queries: F64, products: F64) -> None:
        """Fill products float64[q, m] with query·row for every query and each of m rows.

        The queries are float64[q, d], and the rows are taken from vectors float32[n, d].
        """

    def all_sums(self, vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
        """Add the sums of m rows, weighted by float64[q, m], to outputs float64[q, d].

        The rows are taken from vectors float32[n, d].
        """

    def row_products(self, vectors: F32, rows: I64, queries: F64, query_of: I64) -> F64:
        """Return float64[m], the product query·row of each of m pairs.

        All rows are summed in the same order, so copies of a row give equal products.

        Args:
            vectors: float32[n, d].
            rows, query_of: int64[m], the row and the query of each pair.
            queries: float64[q, d].
        """

    def code_rows(self, vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
        """Code the rows of vectors float32[n, d] in 8 bits.

        Every step is in float64 and reproducible to the bit.

        Args:
            vectors: the rows x, contiguous and finite.
            codes: int8[n, d], filled with the nearest integers to x/scale.
            left: float32[n, d], filled with x − x̂, x̂ = code·scale.
            scales: float64[n], filled with max|x_j|/127, 0 for a vector of zeros.
            squares: float64[n], filled with Σ (x_j − x̂_j)², summed in any order.
            total: float64[d], to which Σ (x − x̂) over the rows is added.
        """

    def residual_sum(self, vectors: F32, rows: I64) -> F64:
        """Return float64[d], the sum of x − x̂ over m rows x of vectors float32[n, d].

        x̂ is the row decoded from its 8-bit code.
        """

    def quadratic_forms(self, vectors: F64, matrix: F32) -> tuple[F64, F64]:
        """Return ‖x‖² and xᵀ·M·x/‖x‖² of each vector x of float64[q, d], as float64[q] each.

        M is a symmetric matrix.

        The error of the form is at most d + 8 float32 roundings of |x|ᵀ·|M|·|x|/‖x‖². For the zero vector, the form is
        0.
        """
