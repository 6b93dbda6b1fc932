"""The rows of a view in this process as a shard, which is scanned by its codes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from attention.dtypes import F32, F64, I64, Index
from attention.kernels import CandidateLists, kernels, run_in_parallel
from attention.lookup.bounds.similarities import quantisation_errors
from attention.lookup.codes.moments import Residuals
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.rows import document_ranges, expand_ranges
from attention.lookup.memory.statistics import BlockStatistics, sum_row_residuals
from attention.lookup.memory.tiles import are_copies
from attention.lookup.memory.view import Mask, View
from attention.lookup.rescoring.candidates import Candidates, count_heavy
from attention.lookup.rescoring.originals import add_rows, compute_similarities
from attention.lookup.scan.scan import all_rows, fits_float32, scan
from attention.lookup.scan.thresholds import ThresholdSample, sample_best, sample_stride
from attention.lookup.shards.scan_result import Scanned, ScanRequest, ScanResult, Sums, add_accumulators
from attention.lookup.shards.shard import SimilarityShard
from attention.lookup.shards.stored import StoredRows

MAX_HISTOGRAM_LOOKUPS = 256
"""So many rows a query, which need not decide a head, are looked up where a scan is for many temperatures."""


class LocalShard(StoredRows, SimilarityShard):
    """The rows of a view that a mask lets through, with codes.

    Attributes:
        facts: statistics of the view, or of all shards if this is one of several.
        method, in_logits, documents, keys, beyond_memory: see `Shard`.
    """

    method = "quantised"

    def __init__(
        self, view: View, mask: Mask | None, bias: Bias | None = None, facts: BlockStatistics | None = None
    ) -> None:
        super().__init__(view, mask, facts)
        self._bias = bias
        self._rows = all_rows(view)
        self.beyond_memory = view.beyond_memory
        self.keys = view.n if mask is None else mask.n
        self.documents = self.keys
        if self.facts.several:
            self.documents = view.documents if mask is None else mask.documents

    @property
    def room(self) -> int:
        """How many places there are, those of rows that do not pass included."""
        return self._rows.tiles[-1].stop if self._rows.tiles else 0

    def fits(self, query: F64) -> bool:
        """Whether a scan can hold the products of its keys with a query."""
        return fits_float32(self.facts, query)

    def gather(self, request: ScanRequest, thresholds: F32 | None = None) -> ScanResult:
        """Scan every row that passes, and look up in float64 the candidates that weigh much.

        Args:
            thresholds: float32[q], where lists open, as the asker tells each of several parts; None for one alone.
        """
        queries = self.codes(request)
        found = self._scan(request, queries, thresholds)
        totals, starts, places, similarities = found.totals, found.starts, found.places, found.similarities
        none, best = np.zeros(len(request.ks)), np.array(request.ks)
        if thresholds is not None:  # what it lists may be fewer, for others list the rest
            best = np.minimum(best, np.diff(starts))
        candidates = Candidates(best, none, starts, places, similarities, totals.thresholds, found.errors[:, 0].copy())
        weighty = found.weighty
        if request.temperatures is None:  # at none of them does it help much to know more
            weighty = np.minimum(weighty, MAX_HISTOGRAM_LOOKUPS)
        known_starts, first, asked = candidates.first_rows(candidates.initial_counts(weighty, request.most))
        return ScanResult(
            documents=self.documents,
            keys=self.keys,
            thresholds=totals.thresholds,
            levels=totals.levels,
            sums=totals.sums,
            starts=starts,
            places=places,
            similarities=similarities,
            known_starts=known_starts,
            known=self.similarities_at(request.vectors, places[first], asked),
            errors=found.errors,
            outputs=totals.outputs,
            bits=16 if queries.fine else 8,
            value_errors=totals.value_errors,
            histogram=found.histogram,
            bin_widths=found.bin_widths,
        )

    def _scan(self, request: ScanRequest, queries: QueryCodes, thresholds: F32 | None) -> Scanned:
        """What a scan of the queries, which are also in codes, brings home; see `gather`."""
        begun = (self._view, self._mask, self._rows, queries, request.listed, request.temperatures, self._bias)
        under_way = scan(*begun, outputs=request.outputs, key_norm=self.facts.key_norm, thresholds=thresholds)
        errors = self._quantisation_errors(queries)
        accumulators = under_way.finish()
        totals = add_accumulators(accumulators)
        inverse = accumulators[0].inverse.astype(np.float64)
        starts, places, similarities, weighty = _sort_candidates(under_way.lists, inverse, totals, request.little)
        errors = self._widen_errors(errors, totals.thresholds, starts, similarities)
        histograms = [each.histogram for each in accumulators if each.histogram is not None]
        return Scanned(
            totals,
            errors,
            starts,
            places,
            similarities,
            weighty,
            sum(histograms[1:], histograms[0]) if histograms else None,
            # The outermost bins also hold what rounding carries past their ends.
            1.01 / accumulators[0].finer.astype(np.float64),
        )

    @property
    def sample_stride(self) -> int:
        """One row in so many at least can be drawn as a sample."""
        return sample_stride(self._view, self._mask)

    def sample_similarities(self, request: ScanRequest, sampling: ThresholdSample) -> tuple[F32, int]:
        """What a sample says of where lists are to open, see `thresholds.sample_best`."""
        return sample_best(self._view, self._mask, self._bias, self.codes(request), sampling)

    def _quantisation_errors(self, queries: QueryCodes) -> F64:
        """float64[q, 3], how far scanned similarities can be off, see `QuantisationError`."""
        return quantisation_errors(self._view, queries)

    def _widen_errors(self, errors: F64, thresholds: F64, starts: I64, similarities: F64) -> F64:
        """Errors float64[q, 3] of codes, and of what a scan adds to their products: here nothing."""
        return errors

    @property
    def value_residuals(self) -> Residuals:
        """What the codes of the values of all these rows leave out together, where their spread is known."""
        return self._view.value_residuals if self._mask is None else self._mask.value_residuals

    def residuals_at(self, places: I64) -> Residuals:
        """The same of the rows at `places`."""
        sums = [sum_row_residuals(tile.load_values(), tile.indices) for _, tile in self._rows.iterate_tiles(places)]
        return Residuals(len(places), np.sum(sums, axis=0))

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """float64[m]: the similarity of query `queries[i]` with the row at `places[i]`, copies of a row alike."""
        return compute_similarities(self._view.similarity, self._rows, vectors, places, queries)

    def add_values(self, places: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """outputs float64[q, d_v] [query] += weight·value, for every place, its query and its weight."""
        add_rows(self._rows, places, queries, weights, outputs)

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`, which may stand in any order."""
        return self._rows.numbers(places)

    def order(self, places: I64) -> I64:
        """int64[m], by which rows at `places` that tie are told apart."""
        return places

    def owners(self, places: Index) -> I64:
        """The documents that the rows at `places` are keys of."""
        return self._rows.owners(places)

    def key_counts(self, documents: I64) -> I64:
        """int64[m]: how many rows each of the documents int64[m] has; none where it does not pass."""
        counts = np.zeros(len(documents), dtype=np.int64)
        for first, last in self._ranges(documents):
            counts += last - first
        return counts

    def rows_of(self, documents: I64) -> I64:
        """Where all rows of some documents, ascending, stand that pass; they ascend within a segment."""
        return np.concatenate([expand_ranges(first, last) for first, last in self._ranges(documents)])

    def _ranges(self, documents: I64) -> Iterator[tuple[Index, Index]]:
        starts = {id(tile.segment): tile.start for tile in self._rows.tiles}
        for segment, passes in self._view.passing(self._mask):
            first, last = document_ranges(segment.owners, documents, passes)
            yield first + starts[id(segment)], last + starts[id(segment)]

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key."""
        return are_copies(self._rows, places)

    def digest(self, places: Index) -> bytes | None:
        """Of the key that the rows at `places`, ascending, hold copies of; None where they do not.

        Two parts have the same digest where they hold copies of one key.
        """
        if not self.alike(places):
            return None
        (first,) = (tile.keys() for _, tile in self._rows.iterate_ascending(places[:1]))
        return hashlib.blake2b((first + 0.0).tobytes()).digest()  # −0.0 is 0.0


def _sort_candidates(lists: CandidateLists, inverse: F64, totals: Sums, little: float) -> tuple[I64, I64, F64, I64]:
    """All rows that the workers listed, each query's best first.

    Returns:
        Where each query's begin int64[q + 1], places, scanned similarities, and how many of each query are heavy.
    """
    running = kernels()
    starts = np.append(0, lists.counts.sum(axis=0).cumsum())
    places, similarities = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    weighty, squares = np.empty(len(inverse), dtype=np.int64), totals.sums[:, 2].copy()

    def put(first: int, last: int) -> None:
        running.sort_candidates(
            lists.places, lists.similarities, lists.counts, starts, first, last, places, similarities
        )
        count_heavy(running, similarities, starts, inverse, totals.levels, squares, first, last, weighty, little)

    run_in_parallel(put, len(inverse), len(places))
    return starts, places, similarities, weighty
