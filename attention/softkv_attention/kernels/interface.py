"""The interface of the kernels, implemented by the class `in_c.KernelsInC` and the module `in_numpy`.

C computes the same bits on every kind of processor that needs no other codes, see `Kernels.WIDE`. C and NumPy list the
same rows, and their sums agree except in the last digits, because they add in other orders. Functions with arguments
`first` and `last` process only these queries, so several threads may call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from softkv_attention.arrays import F32, F64, I8, I16, I64, Bools, Bytes


class Totals(NamedTuple):
    """Sums over all rows for one query, such as the entropy of its weights.

    Weights are normalised over all rows and the null key, the additional key that means "none of these". The tail is
    all rows whose similarity was not computed in float64. The scan listed some of them as candidates, and summed the
    others.

    Attributes:
        best: the largest similarity.
        null_weight: the null key's weight.
        log_partition: logsumexp of all logits.
        entropy: the entropy of the rows' weights in nats, without the null key.
        mean_gap: the weighted mean distance of the logits from the largest logit.
        tail: the weight of the tail.
        log_tail: the logarithm of `tail`, finite even if `tail` underflows.
        tail_gap: the tail's part of `mean_gap`, before the null key is added.
        tail_square: the sum of the squared weights of the tail.
        summed_square: the part of `tail_square` from rows that the scan summed.
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

MIN_LOGIT = -745.0
"""The logarithm of the smallest positive float64."""


class CandidateKernels(Protocol):
    """Kernels over the candidates, the rows that a scan listed for each query.

    Arrays concatenate the candidates of q queries. Run i is the part that belongs to query i: the elements from
    starts[i] to starts[i + 1].
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
        """Merge the candidate lists of w workers into one run per query, sorted by similarity, largest first.

        Only the runs of queries `first` to `last` are filled. The sort is stable: rows of equal similarity keep their
        order, the first worker's before the second's.

        Args:
            row_numbers: int64[w, q, c], the rows of each list.
            similarities: float32[w, q, c], their similarities, without NaN.
            counts: int64[w, q], the used length of each list.
            starts: int64[q + 1], where each run begins.
            ordered: int64[m], filled with row numbers.
            descending: float64[m], filled with their similarities.
        """

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
        """Count the first candidates of each query that hold nearly all of its squared softmax weight.

        A count is the smallest n such that the squared weights of the candidates after the first n are negligible. They
        are if Σ exp(2·(s − best)/T) over them is at most `few` times the same sum over the rows that the scan summed,
        or at most `negligible`.

        Args:
            similarities: float64[m], each run descending.
            starts: int64[q + 1], where each run begins.
            inverse: float64[q], 1/T.
            levels: float64[q], the similarity that each query's sums over summed rows are relative to.
            squares: float64[q], the sum of squares Σe² over summed rows, relative to that level.
            first, last: the range of queries to count.
            counts: int64[q], filled.
        """

    def initial_counts(
        self, similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, maximum: int, times: int
    ) -> I64:
        """Return int64[q], how many of each query's best candidates to compute again in float64 first.

        A run is the candidates of one query, sorted by scanned similarity, best first. A count is 0 if the run has
        fewer than k rows. Otherwise it covers these rows, but is at most max(times · maximum, 2k):

        - the k best rows;
        - the heavy rows, which hold nearly all squared weight, up to `maximum`;
        - all rows whose scanned similarity is within the query's margin of the k-th, which might be among the k best.

        Args:
            similarities: float64[m], the scanned similarities of all runs, one run after the other.
            starts: int64[q + 1], the index at which each run begins; the last one is m.
            heavy: int64[q], the number of heavy rows of each run, from `heavy_counts`.
            ks: int64[q], k of each query: how many best rows it asks for.
            margins: float64[q], differences of similarities.
            maximum: the largest number of rows to compute for their weight alone.
            times: how many times `maximum` a count may be.
        """

    def first_rows(self, starts: I64, counts: I64) -> tuple[I64, I64, I64]:
        """Select the first rows of each run, the part of the arrays that belongs to one query.

        Args:
            starts: int64[q], where runs begin.
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
        """Return int64[q], how many rows of each run must be computed again in float64 to decide the k best.

        A run is the candidates of one query. A result is −1 if the candidates cannot decide.
        `Candidates.decisive_counts` explains why the counts suffice.

        Args:
            similarities: float64[m], from the scan, each run descending.
            starts: int64[q + 1], where each run begins.
            rescored: float64[Σ counts], exact similarities of the first rows of each run.
            counts: int64[q], how many rows of each run have an exact similarity already.
            ks: int64[q], how many best rows each query asks for.
            supports, thresholds, errors: float64[q], attributes of `Candidates`.
            maximum, times: if more than max(times · maximum, 2k) rows are needed, the result is −1.
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
        """Compute softmax weights over the rows that a scan listed, over sums of all other rows, and over the null key.

        A case is one query at one temperature; cases `first` to `last` are computed. The error of a sum of n terms is
        at most (24 + log₂ n)·2⁻⁵³ times the sum of their absolute values.

        Args:
            values: float64[m], the similarities of the listed rows (candidates) of all cases, concatenated.
            starts: int64[c + 1], where each case's candidates begin.
            counts: int64[c], how many first candidates are known in float64, at least 1; the best is one of them.
            temperatures: float64[c], above 0.
            thresholds: float64[c, b], the thresholds below which rows were summed.
            sums: float64[c, b, 3], the sums of these rows, see `TailSums`.
            nulls: float64[c, 2], the null key's similarity (−∞ for no null key) and the logarithm of its count.
            weights: float64[m], filled with the candidates' weights.
            factors: float64[c, b], filled with the factor that turns the mass of each sum into weight.
            totals: float64[c, 10], filled with the fields of `Totals`.
        """

    def top_rows(self, similarities: F64, row_numbers: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
        """Select the k best of each run's first rows, best first, and all rows that tie with the k-th.

        A run is the part of the arrays that belongs to one query. Ties are ordered by row number.

        Args:
            similarities: float64[m], of all runs.
            row_numbers: int64[m].
            starts: int64[q + 1], where each run begins.
            counts: int64[q], how many first rows of each run to consider, 0 or more.
            ks: int64[q], how many to select, 0 or more.

        Returns:
            (edges int64[q + 1], indices int64[h], runs int64[h]): where each run's selection begins, the selected
            indices into all runs, and the run of each.
        """


ABOVE_MEAN = 16.0
"""With 127 levels, rows that weigh more than this multiple of the mean are added one by one."""

NEGLIGIBLE = 1e-7
"""Weighted sums omit tiles whose weight relative to the listed rows is at most this."""

MIN_STEP = 1e-30

NO_ADDENDS: F32 = np.empty(0, dtype=np.float32)


class CodedKeys(NamedTuple):
    """A block of r keys as 8-bit codes, in the order in which dot-product instructions read them.

    Each component of a key is about code·scale, with one scale per key.

    Attributes:
        codes: uint8[groups, words, 16, 4], at least r keys, 16 keys interleaved four components at a time; see
            `layout`.
        scales: float32[r].
        allowed: bool[r], True where a query may attend to the row.
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
        similarities: float32[q, c], the similarities of the listed rows.
        counts: int64[q], the used length of each list.
    """

    thresholds: F32
    places: I64
    similarities: F32
    counts: I64


class CodedValues(NamedTuple):
    """A block of r values as 8-bit codes, transposed. Its first row is at a multiple of CHUNK.

    Each component of a value v is about code·scale, with one scale per value; the decoded value is v̂.

    Attributes:
        codes: uint8[chunks, groups, words, 16, 4], at least r values; see `layout`.
        scales: float32[r].
        values: float32[r, d_v], the originals.
        inverse_squares: float64[chunks], upper bounds of Σ scale⁻².
        residual: the upper bound of ‖v − v̂‖.
        length: the upper bound of ‖v‖.
        code_length: the upper bound of the norm of a row of codes.
    """

    codes: Bytes
    scales: F32
    values: F32
    inverse_squares: F64
    residual: float
    length: float
    code_length: float


HEAVIEST = 128
"""The most rows that are listed by their weight alone."""


class RowRun(NamedTuple):
    """Rows of one block with their float32 originals.

    Attributes:
        keys: float32[c, d], contiguous.
        norms: float64[r], the lengths of the rows' keys, which their products are divided by; None to divide by
            nothing.
        rows: int64[r], the positions of the rows; None for the first r.
        size: r.
    """

    keys: F32
    norms: F64 | None
    rows: I64 | None
    size: int


class SoftmaxOptions(NamedTuple):
    """The options of one query of `softmax_rows`.

    Attributes:
        divisor: the product of query and key is divided by it, and by the length of the key if runs have norms.
        temperature: T, above 0.
        null_similarity: the similarity of the null key, which means "none of these"; −∞ for none.
        null_log_count: the logarithm of the null key's count.
        k: the number of best rows to list.
    """

    divisor: float
    temperature: float
    null_similarity: float
    null_log_count: float
    k: int


class RowMasses(NamedTuple):
    """The softmax of one query over n rows, before it is divided by the sum of its masses.

    A mass is exp((s − best)/T) for a row's similarity s and the query's temperature T.

    Attributes:
        similarities, masses: float64[n].
        totals: float64[3]: the best similarity, Σ mass, and Σ mass·(s − best)/T.
        heads: int64[n], first the indices of the most similar rows and of those that tie with the last of them. They
            are sorted by similarity; rows that tie, by index.
        heavy: int64[128], first the indices of the rows with the largest masses, sorted in the same way.
        counts: int64[2], the number of indices in `heads` and in `heavy`. That in `heavy` is 0 if these rows surely
            have less than half of all weight together, or if one row or the null key surely has more.
    """

    similarities: F64
    masses: F64
    totals: F64
    heads: I64
    heavy: I64
    counts: I64


FLOAT_ROWS, FLOAT_CHUNK = 128, 64
"""In sums over rows, `blend_rows` and `pull_rows` add at most this many numbers of float32 one after the other, then in
float64. Those in C also sum products in such chunks."""

TERM_FLOOR = -60.0
"""Their terms below exp(TERM_FLOOR) are zeros."""


class FloatRows(NamedTuple):
    """Float32 rows of one block: similarity = query·key · factor + addend.

    Attributes:
        keys: float32[n, d], contiguous.
        values: float32[n, d_v], contiguous; the same array as `keys` if the values are the keys.
        rows: int64[r], the positions of the rows among the n; None for all of them.
        factors: float32[r]; None for factors of 1.
        addends: float32[r]; None for addends of 0.
    """

    keys: F32
    values: F32
    rows: I64 | None
    factors: F32 | None
    addends: F32 | None

    @property
    def size(self) -> int:
        """The number of rows, r."""
        return len(self.keys) if self.rows is None else len(self.rows)


class Kernels(CandidateKernels, Protocol):
    """All kernels: the loops over many rows.

    Shapes in this class: q queries, r rows, keys of width d, values of width d_v.
    """

    NAME: str
    """The implementation's name, shown to users."""

    AMX: bool
    """Whether the processor's matrix unit (AMX) is used."""

    SCANS: bool
    """Whether scanning codes is faster than an exact pass over the float32 originals."""

    ORDERED: bool
    """Whether `all_products` sums each row in the order of `row_products`, so that copies have equal products."""

    WIDE: bool
    """Whether 16-bit queries and weights cost no more than 8-bit ones, so that all have 16 bits."""

    @property
    def one_scan(self) -> Any:
        """The scan for one query in a few calls, a `OneScan`; None if it takes those of many queries."""

    def pack_queries(self, codes: I16, steps: F32, *, fine: bool) -> Any:
        """Return coded queries in the form that the scans over coded keys read.

        similarity = (Σ key code · query code) · key scale · step + addend.

        Args:
            codes: int16[q, d], each query as integers, within −127 to 127 unless `fine`.
            steps: float32[q], the size of one unit of each query's codes.
            fine: whether the codes have 16 bits instead of 8.
        """

    def sample_top(self, keys: CodedKeys, queries: Any, best: F32) -> None:
        """Insert the similarities of these keys into each query's list of the b largest similarities.

        Args:
            keys: r keys.
            queries: the result of `pack_queries`.
            best: float32[q, b], the largest similarities so far, ascending; updated.
        """

    def accumulate(
        self, keys: CodedKeys, first: int, queries: Any, lists: CandidateLists, inverse: F32, sums: F64, weights: F32
    ) -> int:
        """Scan rows from `first` on: list rows at or above a query's threshold, and sum softmax terms of the others.

        Stop early if a query's list may be too short for the next 64 rows.

        Args:
            keys: r keys.
            first: a multiple of 64.
            queries: the result of `pack_queries`.
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
        """Scan rows from `first` on: list rows at or above a query's threshold, and count the others in a histogram.

        It stops early like `accumulate`, which sums the other rows instead.

        Args:
            keys, first, queries, lists: those of `accumulate`.
            lows: float32[q], the lower edge of the first bin.
            finer: float32[q], bins per unit of similarity.
            histogram: float64[q, bins, 2], the number of rows and the sum of their similarities in each bin; added to.

        Returns:
            The row to continue from; r if all rows are done.
        """

    def add_values(
        self, tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool
    ) -> None:
        """Add Σ weight·value over a block of coded values to the outputs, and bounds on the error to `errors`.

        weight·scale is rounded to a multiple of a step. The multiple, an integer, is the level: at most 127, or 16 bits
        if `fine`. With 127 levels, rows that weigh more than ABOVE_MEAN times the mean are added one by one. Rounding
        in float32 changes weight·scale by at most (½ + levels·2⁻²¹)·step, and so the weight by that divided by scale. A
        block that weighs next to nothing is left out.

        Args:
            tile: r values.
            weights: float32[q, ≥ r], contiguous, relative to a threshold.
            counts: int64[q], the number of listed rows, each of which has a weight of at least 1. A block whose weights
                are far below that is left out.
            fine: whether levels have 16 bits.
            outputs: float64[q, d_v], added to.
            errors: float64[q, 5], added to; see `lookup.scan.VALUE_ERRORS`.
            amx: whether AMX, the matrix unit, may be used.
        """

    def add_rows(self, values: F32, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each of m rows to the output of one query.

        Args:
            values: float32[r, d_v].
            rows: int64[m], the rows to add.
            queries: int64[m], the query that each row is added to.
            weights: float64[m].
            outputs: float64[q, d_v], added to.
        """

    def all_products(self, vectors: F32, rows: I64, queries: F64, products: F64) -> None:
        """Fill products float64[q, m] with the dot product of every query with each of m rows.

        Args:
            vectors: float32[n, d], from which the rows are taken.
            rows: int64[m], the indices of the rows.
            queries: float64[q, d].
            products: filled.
        """

    def all_sums(self, vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
        """Add the weighted sum of m rows to the output of each query.

        Args:
            vectors: float32[n, d], from which the rows are taken.
            rows: int64[m], the indices of the rows.
            weights: float64[q, m].
            outputs: float64[q, d], added to.
        """

    def row_products(self, vectors: F32, rows: I64, queries: F64, query_of: I64) -> F64:
        """Return float64[m], the dot product of query and row for each of m pairs.

        All rows are summed in the same order, so copies of a row give equal products.

        Args:
            vectors: float32[n, d], from which the rows are taken.
            rows: int64[m], the index of each pair's row.
            queries: float64[q, d].
            query_of: int64[m], the index of each pair's query.
        """

    def pack_rows(self, runs: Sequence[RowRun]) -> Any:
        """Return rows of blocks in the form that `softmax_rows` reads.

        Args:
            runs: at least one. All keys have one width.

        Raises:
            IndexError: a position is not one of a row.
        """

    def softmax_rows(self, rows: Any, queries: F64, options: F64) -> list[RowMasses]:
        """Return for each of q queries the softmax masses of all rows, their sums and the best rows.

        Copies of a key have equal similarities if they are among the best. The error of a similarity is within
        `lookup.bounds.similarities`, that of a sum within `lookup.bounds.weights`.

        Args:
            rows: the result of `pack_rows`.
            queries: float64[q, d].
            options: float64[q, 5], the fields of `SoftmaxOptions`.
        """

    def softmax_masses(self, similarities: F64, temperature: float) -> tuple[F64, F64]:
        """Return `masses` and `totals` of `RowMasses` for similarities float64[n], n ≥ 1, at a temperature above 0."""

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
        """Add the softmax terms of some rows to the sums of q queries, in float32.

        A term is exp((similarity − peak)/T). Sums are scaled anew if the peak rises. Terms below e⁻⁶⁰ count as 0.
        `softkv_attention.torch.bounds` has the rounding errors.

        Args:
            rows: the rows.
            queries: float32[q, d]
            inverse: float32[q], 1/T.
            by_factor: whether values are multiplied by the rows' factors.
            peaks: float32[q], the largest similarity so far, at first −∞.
            sums: float64[q, 2], to which Σ term and Σ term·similarity are added.
            outputs: float64[q, d_v], to which Σ term·value is added.
            stored: float32[r, similarity_columns(q)], filled with the similarities in an order of the implementation's
                own; None not to store them.
        """

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
        """Add the gradients of q queries that some rows cause, in float32.

        The share of a row is c = term·(gradient·value − level), with the terms of `blend_rows`.

        Args:
            rows, queries, inverse: as in `blend_rows`.
            peaks: float32[q], the largest similarity of all rows.
            gradients: float32[q, d_v], of the outputs.
            levels: float32[q]
            sums: float64[q, 3], to which Σ c, Σ c·similarity and Σ |c| are added.
            outputs: float64[q, d], to which Σ c·factor·key is added.
            stored: what `blend_rows` has stored of these rows and queries; None to compute the similarities again.
        """

    def code_rows(self, vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
        """Code n vectors in 8 bits: each component x becomes the integer nearest to x/scale.

        Every step is in float64 and reproducible to the bit. x̂ = code·scale is the decoded vector.

        Args:
            vectors: float32[n, d], the rows x, contiguous and finite.
            codes: int8[n, d], filled with the nearest integers to x/scale.
            left: float32[n, d], filled with the residuals x − x̂.
            scales: float64[n], filled with max|x_j|/127, 0 for a vector of zeros.
            squares: float64[n], filled with Σ (x_j − x̂_j)², summed in any order.
            total: float64[d], to which Σ (x − x̂) over the rows is added.
        """

    def residual_sum(self, vectors: F32, rows: I64) -> F64:
        """Return float64[d], the sum of the residuals x − x̂ over m rows x.

        x̂ is the row decoded from its 8-bit code; see `code_rows`.

        Args:
            vectors: float32[n, d], from which the rows are taken.
            rows: int64[m], the indices of the rows.
        """

    def quadratic_forms(self, vectors: F64, matrix: F32) -> tuple[F64, F64]:
        """Return ‖x‖² and xᵀ·M·x/‖x‖² of each vector x, as float64[q] each.

        The error of the form is at most d + 8 float32 roundings of |x|ᵀ·|M|·|x|/‖x‖². For the zero vector, the form is
        0.

        Args:
            vectors: float64[q, d], the vectors x.
            matrix: float32[d, d], M, symmetric.
        """
