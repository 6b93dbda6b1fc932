"""A shard of rows in this process: a scan reads their 8-bit codes, the exact path reads them row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from softkv_attention.arrays import F32, F64, I64, Index, norm
from softkv_attention.forked import cached_property
from softkv_attention.kernels import CandidateLists, kernels, run_in_parallel
from softkv_attention.lookup.bounds.similarities import Slack, quantisation_errors, similarity_slack, widen_for_addends
from softkv_attention.lookup.codes.moments import Residuals
from softkv_attention.lookup.codes.quantisation import QueryCodes, code_queries
from softkv_attention.lookup.memory.bias import Bias
from softkv_attention.lookup.memory.rows import document_ranges, expand_ranges
from softkv_attention.lookup.memory.statistics import BlockStatistics, sum_row_residuals
from softkv_attention.lookup.memory.tiles import PassingRows, RowIndices, all_rows, are_copies
from softkv_attention.lookup.memory.view import Mask, View
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.rescoring.candidates import Candidates, count_heavy
from softkv_attention.lookup.rescoring.originals import (
    add_rows,
    compute_all_similarities,
    compute_all_sums,
    compute_similarities,
)
from softkv_attention.lookup.rescoring.ranking import DocumentGrouping, refine_similarities
from softkv_attention.lookup.scan import RowTerms, ThresholdSample, fits_float32, sample_best, sample_stride, scan
from softkv_attention.lookup.shards.scan_result import RawScan, ScanRequest, ScanResult, Sums, add_accumulators
from softkv_attention.lookup.softmax.distribution import relative_logits

TILE_ROWS = 2_048
"""The most rows of a tile that is read in float64."""

MAX_HISTOGRAM_LOOKUPS = 256
"""The most rows of a query that a scan for many temperatures looks up for their weight."""


class StoredRows:
    """The methods of a `Shard` that read every key in float64, for rows whose originals this process can read.

    Attributes:
        facts: statistics of all rows of the view, or of all shards if this is one of several.
        limits: the limits of the view.
    """

    def __init__(self, view: View, mask: Mask | None, facts: BlockStatistics | None = None) -> None:
        self._view, self._mask = view, mask
        self.facts, self.limits = facts or view.facts, view.limits

    @cached_property
    def _passing(self) -> PassingRows:
        return PassingRows(self._view, self._mask, TILE_ROWS)

    @cached_property
    def rows(self) -> I64:
        """int64[keys], the indices in the view of the rows that pass the mask, ascending."""
        segments, passing = self._view.segments, self._passing
        if passing.n == sum(segment.count for segment in segments):
            return np.arange(passing.n)
        starts, start = dict[int, int](), 0
        for segment in segments:
            starts[id(segment)] = start
            start += segment.count
        rows = [starts[id(tile.segment)] + tile.indices for tile in passing.tiles]
        return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)

    @property
    def row_order(self) -> I64 | None:
        """None, because rows that tie are sorted by their index."""
        return None

    @property
    def term_count(self) -> int:
        """The most numbers that are added one by one in a component of `sum_values`; rounding errors grow with it."""
        return self._passing.term_count

    @property
    def key_norm(self) -> float:
        """The largest length ‖k‖ of a key that passes the mask, so that no bound depends on a hidden one."""
        return self._passing.key_norm

    @property
    def value_norm(self) -> float:
        """The largest length ‖v‖ of a value that passes the mask, so that no bound depends on a hidden one."""
        return self._passing.value_norm

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """The document of each row of `rows`; None if no document that passes has several rows."""
        mask = self._mask
        several = self.facts.several and (mask is None or mask.documents < mask.n)
        return DocumentGrouping(self._passing.owners()) if several else None

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """Return for each question float64[keys], the bias of each passing row; None for a question without a bias.

        Questions with the same bias get the same array.
        """
        addends: dict[int, F64] = {}
        for bias in (question.bias for question in questions):
            if bias is not None and id(bias) not in addends:
                assert isinstance(bias, Bias)
                addends[id(bias)] = bias.all_of(self._passing.row_indices)
        return [addends.get(id(question.bias)) for question in questions]

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """Return float64[q, keys], the similarity of each query with each row that passes the mask.

        They are computed tile by tile. If the kernels do not sum all rows in one order, those that can be among the
        best are computed again, so that copies tie exactly.

        Args:
            questions: q questions.
            biases: the result of `read_biases` for them; with a bias, the logits decide which rows are the best.
        """
        queries = np.array([question.vector for question in questions])
        view, similarity, passing = self._view, self._view.similarity, self._passing
        similarities = compute_all_similarities(similarity, passing.tiles, queries, beyond_memory=view.beyond_memory)
        if passing.n and not kernels().ORDERED:
            for row, question, addends in zip(similarities, questions, biases, strict=True):
                temperature, k = question.temperature, max(question.cap, 1)
                rounding = similarity_slack(similarity, question.vector, self.key_norm)
                if addends is None or not temperature:
                    error = rounding.at(float(row.max()))
                    refine_similarities(passing, similarity, question.vector, row, k, error)
                else:
                    assert not isinstance(temperature, Auto)
                    logits, _ = relative_logits(row, addends, temperature)
                    error = rounding.in_logits(temperature, float(np.abs(row).max())).at(float(np.abs(logits).max()))
                    refine_similarities(passing, similarity, question.vector, row, k, error, logits)
        return similarities

    def recompute(self, question: Question, similarities: F64) -> F64:
        """Return float64[keys], the similarities computed again in one fixed order of summation.

        Copies of a key then have equal similarities.

        Args:
            question: the question.
            similarities: float64[keys], the result of `read_similarities` for it.
        """
        if kernels().ORDERED:
            return similarities
        refined = similarities.copy()
        if self._passing.n:
            refine_similarities(self._passing, self._view.similarity, question.vector, refined, self._passing.n, 0.0)
        return refined

    def sum_values(self, weights: F64) -> F64:
        """Return float64[q, d_v], for each query the weighted sum of the values of all rows that pass the mask.

        Args:
            weights: float64[q, keys].
        """
        view = self._view
        return compute_all_sums(
            self._passing.groups, weights, view.value_dimension or 0, beyond_memory=view.beyond_memory
        )


class LocalShard(StoredRows):
    """The rows of a view that pass a mask, stored in this process, which a scan reads as 8-bit codes.

    Attributes:
        facts: statistics of all rows of the view, or of all shards if this is one of several.
        limits: the limits of the view.
        method: "quantised", because most similarities come from 8-bit codes.
        in_logits: whether `similarities_at` returns logits instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: whether the float32 originals are likely to be on disk.
        row_terms: learns the term of each row that a scan for one query sums; None if they are not needed.
    """

    method = "quantised"
    in_logits = False

    def __init__(
        self, view: View, mask: Mask | None, bias: Bias | None = None, facts: BlockStatistics | None = None
    ) -> None:
        super().__init__(view, mask, facts)
        self._bias = bias
        self.row_terms: RowTerms | None = None
        self.beyond_memory = view.beyond_memory
        self.keys = view.n if mask is None else mask.n
        self.documents = self.keys
        if self.facts.several:
            self.documents = view.documents if mask is None else mask.documents

    @cached_property
    def _rows(self) -> RowIndices:
        return all_rows(self._view)

    @property
    def room(self) -> int:
        """The number of rows of the view, including removed rows and those that do not pass the mask."""
        return self._rows.tiles[-1].stop if self._rows.tiles else 0

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys, which a scan computes.

        A scan is one pass over the 8-bit codes of all keys.
        """
        return fits_float32(self.facts, query)

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return None: `similarities_at` already returns similarities, so no other function for them is needed."""
        return None

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of the similarities of a query in float64."""
        return similarity_slack(self.facts.similarity, query, self.facts.key_norm)

    def codes(self, request: ScanRequest) -> QueryCodes:
        """Return the queries of a request as integer codes of 8 or 16 bits."""
        return code_queries(
            self.facts.similarity,
            request.vectors,
            outputs=request.outputs,
            temperatures=None if request.fine else request.temperatures,
            key_norm=self.facts.key_norm,
            fine=request.fine,
        )

    def gather(self, request: ScanRequest, thresholds: F32 | None = None) -> ScanResult:
        """Scan every row that passes the mask, and look up the best candidates in float64.

        Args:
            request: the queries, and what to compute for them.
            thresholds: float32[q], the similarity from which a row is listed at first, if this is one of several
                shards; None if it is the only one.
        """
        queries = self.codes(request)
        raw = self._scan(request, queries, thresholds)
        totals, head_sizes = raw.totals, np.array(request.head_sizes)
        if thresholds is not None:  # it may list fewer, because other shards list the rest
            head_sizes = np.minimum(head_sizes, np.diff(raw.starts))
        candidates = Candidates(
            head_sizes,
            np.zeros(len(request.head_sizes)),
            raw.starts,
            raw.rows,
            raw.similarities,
            totals.thresholds,
            raw.errors[:, 0].copy(),
        )
        heavy_counts = raw.heavy_counts
        if request.temperatures is None:  # more exact rows improve no temperature much
            heavy_counts = np.minimum(heavy_counts, MAX_HISTOGRAM_LOOKUPS)
        counts = candidates.initial_counts(heavy_counts, request.max_lookups)
        known_starts, positions, query_indices = candidates.first_rows(counts)
        return ScanResult(
            documents=self.documents,
            keys=self.keys,
            thresholds=totals.thresholds,
            levels=totals.levels,
            sums=totals.sums,
            starts=raw.starts,
            rows=raw.rows,
            similarities=raw.similarities,
            known_starts=known_starts,
            known=self.similarities_at(request.vectors, raw.rows[positions], query_indices),
            errors=raw.errors,
            outputs=totals.outputs,
            bits=16 if queries.fine else 8,
            value_errors=totals.value_errors,
            histogram=raw.histogram,
            bin_widths=raw.bin_widths,
        )

    def _scan(self, request: ScanRequest, queries: QueryCodes, thresholds: F32 | None) -> RawScan:
        """Scan every row that passes the mask, and return the result before any row is looked up in float64.

        Args:
            request: the queries, and what to compute for them.
            queries: the queries as integer codes.
            thresholds: float32[q], the similarity from which a row is listed at first; None to choose it from a sample.
        """
        state = scan(
            self._view,
            self._mask,
            self._rows,
            queries,
            request.listed,
            request.temperatures,
            self._bias,
            outputs=request.outputs,
            key_norm=self.facts.key_norm,
            thresholds=thresholds,
            row_terms=self.row_terms,
        )
        errors = quantisation_errors(self._view, queries)
        accumulators = state.finish()
        totals = add_accumulators(accumulators)
        inverse = accumulators[0].inverse.astype(np.float64)
        starts, rows, similarities, heavy_counts = _sort_candidates(state.lists, inverse, totals, request.scanned_share)
        errors = self._widen_errors(errors, totals.thresholds, starts, similarities)
        histograms = [accumulator.histogram for accumulator in accumulators if accumulator.histogram is not None]
        return RawScan(
            totals,
            errors,
            starts,
            rows,
            similarities,
            heavy_counts,
            sum(histograms[1:], histograms[0]) if histograms else None,
            # The outermost bins also contain similarities that rounding moves past their ends.
            1.01 / accumulators[0].finer.astype(np.float64),
        )

    @property
    def sample_stride(self) -> int:
        """The sampling rate of the segment with the fewest samples: one row in this many."""
        return sample_stride(self._view, self._mask)

    def sample_similarities(self, request: ScanRequest, sampling: ThresholdSample) -> tuple[F32, int]:
        """Return float32[q, count], each query's best similarities in a sample of rows, and the size of the sample.

        Args:
            request: the queries.
            sampling: which rows to sample, and `count`.
        """
        return sample_best(self._view, self._mask, self._bias, self.codes(request), sampling)

    def _widen_errors(self, errors: F64, thresholds: F64, starts: I64, similarities: F64) -> F64:
        """Return the bounds on the errors of a scan's similarities with the error that adding a bias causes.

        Without a bias, they stay the same.

        Args:
            errors: float64[q, 3], the bounds without the bias, see `QuantisationError`.
            thresholds: float64[q], an upper bound on the scanned similarity of unlisted rows.
            starts, similarities: int64[q + 1] and float64[m], of the listed rows, each query's best first.
        """
        return errors

    @property
    def value_residuals(self) -> Residuals:
        """The sum over all passing rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""
        return self._view.value_residuals if self._mask is None else self._mask.value_residuals

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        Args:
            rows: int64[m], indices of rows in the view.
        """
        sums = [sum_row_residuals(tile.load_values(), tile.indices) for _, tile in self._rows.split_tiles(rows)]
        return Residuals(len(rows), np.sum(sums, axis=0))

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity in float64 of query `queries[i]` with the row `rows[i]`, for every i.

        Copies of a key have equal similarities.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], indices of rows in the view, and of queries.
        """
        return compute_similarities(self._view.similarity, self._rows, vectors, rows, queries)

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each of m rows to the output float64[q, d_v] of its query, in place."""
        add_rows(self._rows, rows, queries, weights, outputs)

    def numbers(self, rows: Index) -> I64:
        """Return int64[m], the permanent row numbers of the rows with these indices in the view."""
        return self._rows.numbers(rows)

    def order(self, rows: I64) -> I64:
        """Return int64[m], numbers by which these rows are sorted if they tie: their indices."""
        return rows

    def owners(self, rows: Index) -> I64:
        """Return int64[m], the document that each of these rows is a key of."""
        return self._rows.owners(rows)

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many rows of each document pass the mask."""
        counts = np.zeros(len(documents), dtype=np.int64)
        for first, last in self._ranges(documents):
            counts += last - first
        return counts

    def rows_of(self, documents: I64) -> I64:
        """Return the indices in the view of all rows of some documents that pass the mask, ascending within a block."""
        return np.concatenate([expand_ranges(first, last) for first, last in self._ranges(documents)])

    def _ranges(self, documents: I64) -> Iterator[tuple[Index, Index]]:
        starts = {id(tile.segment): tile.start for tile in self._rows.tiles}
        for segment, passes in self._view.passing(self._mask):
            first, last = document_ranges(segment.owners, documents, passes)
            yield first + starts[id(segment)], last + starts[id(segment)]

    def alike(self, rows: Index) -> bool:
        """Return whether these rows are all copies of one key."""
        return are_copies(self._rows, rows)

    def digest(self, rows: Index) -> bytes | None:
        """Return a hash of the key that all these rows share; None if they have different keys.

        Two shards that have copies of one key compute the same hash.

        Args:
            rows: int64[m], indices of rows in the view, ascending.
        """
        if not self.alike(rows):
            return None
        (keys,) = (tile.keys() for _, tile in self._rows.iterate_ascending(rows[:1]))
        return hashlib.blake2b((keys + 0.0).tobytes()).digest()  # −0.0 is 0.0


def _sort_candidates(
    lists: CandidateLists, inverse: F64, totals: Sums, scanned_share: float
) -> tuple[I64, I64, F64, I64]:
    """Return the candidates (listed rows) of all worker threads, each query's best first.

    Args:
        lists: the lists of all threads.
        inverse: float64[q], 1/T.
        totals: the sums over the rows that were not listed.
        scanned_share: how much squared weight the candidates that are not looked up in float64 may have, relative to
            that of the rows that were not listed, see `count_heavy`.

    Returns:
        The start of each query int64[q + 1], the rows int64[m], their scanned similarities float64[m], and int64[q],
        how many rows of each query to look up because of their weight.
    """
    pinned = kernels()
    starts = np.append(0, lists.counts.sum(axis=0).cumsum())
    rows, similarities = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    heavy_counts, squares = np.empty(len(inverse), dtype=np.int64), totals.sums[:, 2].copy()

    def sort(first: int, last: int) -> None:
        pinned.sort_candidates(lists.places, lists.similarities, lists.counts, starts, first, last, rows, similarities)
        count_heavy(
            pinned, similarities, starts, inverse, totals.levels, squares, first, last, heavy_counts, scanned_share
        )

    run_in_parallel(sort, len(inverse), len(rows))
    return starts, rows, similarities, heavy_counts


MAX_LOGIT, MIN_QUERY_LENGTH = 1e30, 1e-30
"""The largest logit that float32 adds safely; and the least length of a query over its temperature that has codes."""


class BiasedShard(LocalShard):
    """The rows of a view that pass a mask, for questions that share one bias and one temperature T.

    Everything is computed in logits similarity/T + bias, for softmax at temperature 1: the sums, lists and bounds of a
    scan, and the values in float64. So the rest of the code needs no special case for a bias. See `Question.in_logits`.
    """

    in_logits = True

    def __init__(
        self, view: View, mask: Mask | None, bias: Bias, temperature: float, facts: BlockStatistics | None = None
    ) -> None:
        super().__init__(view, mask, bias, facts)
        self._addends, self._temperature = bias, temperature

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the logits of a query, which a scan of 8-bit codes computes.

        At temperature 0 logits are not defined, so the result is False.
        """
        return fits_logits(self.facts, query, self._temperature, self._addends.largest)

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that computes similarities without temperature and bias, for the rows at some positions.

        Args:
            query: float64[d].
            rows: int64[m], indices of rows in the view, which the positions refer to.
        """

        def compute(positions: Index) -> F64:
            queries = np.zeros(len(positions), dtype=np.int64)
            return self.similarities_without_bias_at(query[None], rows[positions], queries)

        return compute

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of the logits of a query in float64."""
        return super().slack(query).in_logits(self._temperature, bound_similarity(self.facts, query))

    def codes(self, request: ScanRequest) -> QueryCodes:
        """Return the queries of a request as integer codes of 8 or 16 bits, divided by the temperature."""
        temperatures = np.full(len(request.vectors), self._temperature)
        return super().codes(replace(request, temperatures=temperatures)).over(self._temperature)

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the logit similarity/T + bias of query `queries[i]` with the row `rows[i]`, for every i.

        Copies of a key with the same bias have equal logits.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], indices of rows in the view, and of queries.
        """
        similarities = self.similarities_without_bias_at(vectors, rows, queries)
        return np.asarray(similarities / self._temperature + self._addends.at(self._rows, rows))

    def similarities_without_bias_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity of query `queries[i]` with the row `rows[i]`, without temperature and bias.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], indices of rows in the view, and of queries.
        """
        return super().similarities_at(vectors, rows, queries)

    def alike(self, rows: Index) -> bool:
        """Return whether these rows are all copies of one key and have the same bias."""
        biases = self._addends.at(self._rows, rows)
        return bool((biases == biases[0]).all()) and super().alike(rows)

    def digest(self, rows: Index) -> bytes | None:
        """Return a hash of the key and the bias that all these rows share; None if they have different ones.

        Two shards that have copies of one key with the same bias compute the same hash.

        Args:
            rows: int64[m], indices of rows in the view, ascending.
        """
        key_digest = super().digest(rows)
        return None if key_digest is None else key_digest + (self._addends.at(self._rows, rows[:1]) + 0.0).tobytes()

    def _widen_errors(self, errors: F64, thresholds: F64, starts: I64, similarities: F64) -> F64:
        return widen_for_addends(errors, thresholds, starts, similarities)


def bound_similarity(facts: BlockStatistics, query: F64) -> float:
    """Return an upper bound on the absolute similarity of a query with any key.

    Args:
        facts: the statistics of the rows, which have the largest key norm.
        query: float64[d].
    """
    longest = norm(query) * facts.key_norm * (1 + 1e-9)
    return 1.0 if facts.similarity == "cosine" else longest


def fits_logits(facts: BlockStatistics, query: F64, temperature: float, largest: float) -> bool:
    """Return whether float32 can hold the logits similarity/T + bias of a query; False at temperature 0.

    Args:
        facts: the statistics of the rows.
        query: float64[d].
        temperature: T.
        largest: an upper bound on |bias|.
    """
    if not (fits_float32(facts, query) and temperature > 0):
        return False
    length = 1.0 if facts.similarity == "cosine" else norm(query)
    reach = bound_similarity(facts, query) / temperature + largest
    return length / temperature >= MIN_QUERY_LENGTH and reach <= MAX_LOGIT
