"""Several views as one shard: each view is scanned by itself, and the results are merged into one.

All shards use two common values: the thresholds from which rows are listed, and the largest key norm. From the norm
follow the bins of a histogram and the codes of queries. All else is added up, or is the shards' largest or best value.

The proofs of `softkv_attention.lookup.bounds` do not depend on where a row lies, so the answer has one tail and one
bound. The bounds Q = (√a + √b)² on the sums of squared errors are added: (√a₁ + √b₁)² + (√a₂ + √b₂)² ≤ (√(a₁ + a₂) +
√(b₁ + b₂))² by Minkowski, so their sum is no larger than that of one shard with all rows. Copies of one vector have one
true similarity in two shards, too: equal digests of 512 bits mean equal keys. The chance of an accident is ignored, as
a fault of the memory is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import accumulate
from operator import add

import numpy as np

from softkv_attention.arrays import F64, I64, Bools, Index
from softkv_attention.kernels import kernels
from softkv_attention.lookup.bounds.similarities import Slack
from softkv_attention.lookup.codes.moments import Residuals
from softkv_attention.lookup.memory.view import Mask, View
from softkv_attention.lookup.rescoring.candidates import Candidates, count_heavy
from softkv_attention.lookup.scan import ThresholdSample, merge_thresholds
from softkv_attention.lookup.shards.local import MAX_HISTOGRAM_LOOKUPS, LocalShard, StoredRows
from softkv_attention.lookup.shards.scan_result import ScanRequest, ScanResult, Sums, merge_sums

MERGED_LIST_FACTOR = 2
"""Lists are this many times as long as those of one shard. A sample tells only roughly how many rows lie above a
threshold, and several shards must not know less than one would."""


class MergedShards(StoredRows):
    """Several views in this process as one `Shard`, whose rows are those of the first view, then the second, and so on.

    Args:
        view, mask: the view that merges all of them, and a mask of that view.
        shards: one shard for each view of `View.runs`, at least one, all with the statistics of the merged view.

    Attributes:
        facts, limits: statistics of all rows of the merged view, and its limits.
        method: "exact" if all similarities are computed in float64, otherwise "quantised".
        in_logits: whether `similarities_at` returns logits instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: whether the float32 originals are likely to be on disk.
    """

    def __init__(self, view: View, mask: Mask | None, shards: Sequence[LocalShard]) -> None:
        super().__init__(view, mask)
        self._first = min(shards, key=lambda shard: shard.method == "exact")  # one with codes, if there is any
        starts = accumulate((shard.room for shard in shards), initial=0)
        self._shards = [(shard, start) for shard, start in zip(shards, starts, strict=False) if shard.keys]
        self._starts = np.array([start for _, start in self._shards], dtype=np.intp)
        self.in_logits = self._first.in_logits
        self.method = "exact" if all(shard.method == "exact" for shard in shards) else "quantised"
        self.documents, self.keys = sum(shard.documents for shard in shards), sum(shard.keys for shard in shards)
        self.beyond_memory = any(shard.beyond_memory for shard in shards)

    @property
    def row_order(self) -> I64 | None:
        """int64[keys], the row numbers, by which rows that tie are sorted.

        The rows of several views do not ascend by number.
        """
        return self.numbers(self.rows)

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys, which a scan computes.

        All shards give the same result, because all use the largest key norm of the merged view.
        """
        return self._first.fits(query)

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of what `similarities_at` computes in float64."""
        return self._first.slack(query)

    def gather(self, request: ScanRequest) -> ScanResult:
        """Scan each shard, and merge the results into one.

        Args:
            request: the queries, and what to compute for them.
        """
        stride = max(shard.sample_stride for shard, _ in self._shards)
        sampling = ThresholdSample.of(stride, self.facts.n, MERGED_LIST_FACTOR * request.listed)
        samples = [shard.sample_similarities(request, sampling) for shard, _ in self._shards]
        thresholds = merge_thresholds(samples, sampling.count)
        results = [(shard.gather(request, thresholds), start) for shard, start in self._shards]
        shifted = [replace(result, rows=result.rows + start) for result, start in results]
        return merge_results(
            shifted, request, self.documents, self.keys, partial(self.similarities_at, request.vectors)
        )

    @property
    def value_residuals(self) -> Residuals:
        """The sum over all passing rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""
        return reduce(add, [shard.value_residuals for shard, _ in self._shards])

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        Args:
            rows: int64[m], indices of rows in the merged view.
        """
        return reduce(add, [shard.residuals_at(local) for shard, local, _ in self._split(rows)])

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity in float64 of query `queries[i]` with the row `rows[i]`, for every i.

        If `in_logits`, they are logits.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], indices of rows in the merged view, and of queries.
        """
        similarities = np.empty(len(rows))
        for shard, local, positions in self._split(rows):
            similarities[positions] = shard.similarities_at(vectors, local, queries[positions])
        return similarities

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that computes similarities for the rows at some positions; None unless `in_logits`.

        Without logits, `similarities_at` returns similarities already.

        Args:
            query: float64[d].
            rows: int64[m], indices of rows in the merged view, which the positions refer to.
        """
        if not self.in_logits:
            return None

        def compute(selected: Index) -> F64:
            similarities = np.empty(len(selected))
            for shard, local, positions in self._split(rows[selected]):
                compute_local = shard.similarity_function(query, local)
                assert compute_local is not None
                similarities[positions] = compute_local(np.arange(len(positions)))
            return similarities

        return compute

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each of m rows to the output float64[q, d_v] of its query, in place."""
        for shard, local, positions in self._split(rows):
            shard.add_values(local, queries[positions], weights[positions], outputs)

    def numbers(self, rows: Index) -> I64:
        """Return int64[m], the permanent row numbers of the rows with these indices in the merged view."""
        numbers = np.empty(len(rows), dtype=np.int64)
        for shard, local, positions in self._split(rows):
            numbers[positions] = shard.numbers(local)
        return numbers

    def order(self, rows: I64) -> I64:
        """Return int64[m], numbers by which these rows are sorted if they tie: their permanent row numbers."""
        return self.numbers(rows)

    def owners(self, rows: Index) -> I64:
        """Return int64[m], the document that each of these rows is a key of."""
        owners = np.empty(len(rows), dtype=np.int64)
        for shard, local, positions in self._split(rows):
            owners[positions] = shard.owners(local)
        return owners

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many rows of each document pass the mask, over all shards."""
        return reduce(np.add, [shard.key_counts(documents) for shard, _ in self._shards])

    def rows_of(self, documents: I64) -> I64:
        """Return the indices in the merged view of all rows of some documents that pass the mask."""
        return np.concatenate([shard.rows_of(documents) + start for shard, start in self._shards])

    def alike(self, rows: Index) -> bool:
        """Return whether these rows are all copies of one key, by comparing a hash from each shard."""
        digests = {shard.digest(local) for shard, local, _ in self._split(rows)}
        return None not in digests and len(digests) < 2

    def _split(self, rows: Index) -> Iterator[tuple[LocalShard, Index, Index]]:
        """Yield each shard that has any of these rows, with their indices in it and their positions in `rows`."""
        shard_indices = np.searchsorted(self._starts, rows, side="right") - 1
        for index, (shard, start) in enumerate(self._shards):
            positions = np.flatnonzero(shard_indices == index)
            if len(positions):
                yield shard, rows[positions] - start, positions


def merge_results(
    results: Sequence[ScanResult],
    request: ScanRequest,
    documents: int,
    keys: int,
    compute_similarities: Callable[[I64, I64], F64],
) -> ScanResult:
    """Merge the results of scans of several shards (sets of rows) into one.

    Candidates (listed rows) that the merged result needs, and that no shard looked up in float64, are looked up here. A
    candidate that a shard looked up is sorted by its exact similarity. That is allowed, because exact and scanned
    similarities differ by no more than the error of the scan.

    Args:
        results: the results, at least one; their rows are indices of the merged rows.
        request: the request of these scans.
        documents, keys: how many documents and how many rows pass the mask in all shards.
        compute_similarities: returns float64[m], the similarity of each of the rows int64[m] with its query int64[m].
    """
    inverse = (
        np.ones(len(request.head_sizes))
        if request.temperatures is None
        else 1 / np.maximum(request.temperatures, 1e-30)
    )
    totals = merge_sums([result.totals for result in results], inverse)
    starts, rows, similarities, is_exact = _sort_candidates(results)
    all_errors = np.array([result.errors for result in results])
    errors = np.stack([all_errors[:, :, 0].max(0), all_errors[:, :, 1].sum(0), all_errors[:, :, 2].max(0)], axis=1)
    heavy_counts = _heavy_counts(similarities, starts, inverse, totals, request.temperatures is None)
    candidates = Candidates(
        np.array(request.head_sizes),
        np.zeros(len(request.head_sizes)),
        starts,
        rows,
        similarities,
        totals.thresholds,
        errors[:, 0].copy(),
    )
    counts = np.maximum(candidates.initial_counts(heavy_counts, request.max_lookups), _leading_counts(starts, is_exact))
    known_starts, positions, queries = candidates.first_rows(counts)
    exact = similarities[positions]
    missing = np.flatnonzero(~is_exact[positions])
    if len(missing):
        exact[missing] = compute_similarities(rows[positions[missing]], queries[missing])
    histograms = [result.histogram for result in results if result.histogram is not None]
    return ScanResult(
        documents=documents,
        keys=keys,
        thresholds=totals.thresholds,
        levels=totals.levels,
        sums=totals.sums,
        starts=starts,
        rows=rows,
        similarities=similarities,
        known_starts=known_starts,
        known=exact,
        errors=errors,
        outputs=totals.outputs,
        value_errors=totals.value_errors,
        bits=min(result.bits for result in results),
        histogram=reduce(np.add, histograms) if histograms else None,
        bin_widths=np.max([result.bin_widths for result in results], axis=0),
    )


def candidate_similarities(result: ScanResult) -> F64:
    """Return float64[m], the similarity of each candidate (listed row) of a scan.

    It is exact if the row was looked up in float64, otherwise as scanned from 8-bit codes.
    """
    similarities = result.similarities.copy()
    for query in range(len(result.starts) - 1):
        exact, first = result.exact_similarities(query), result.starts[query]
        similarities[first : first + len(exact)] = exact
    return similarities


def _sort_candidates(results: Sequence[ScanResult]) -> tuple[I64, I64, F64, Bools]:
    """Return the candidates (listed rows) of all shards, each query's best first.

    Returns:
        The start of each query int64[q + 1], the rows int64[m], their similarities float64[m], and bool[m], True if the
        similarity is exact.
    """
    starts = np.sum([result.starts for result in results], axis=0)
    rows, similarities = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    is_exact = np.empty(starts[-1], dtype=np.bool_)
    shard_similarities = [candidate_similarities(result) for result in results]
    for query in range(len(starts) - 1):
        span = slice(starts[query], starts[query + 1])
        runs = [slice(result.starts[query], result.starts[query + 1]) for result in results]
        unsorted = np.concatenate([values[run] for values, run in zip(shard_similarities, runs, strict=True)])
        order = np.argsort(-unsorted, kind="stable")
        similarities[span] = unsorted[order]
        rows[span] = np.concatenate([result.rows[run] for result, run in zip(results, runs, strict=True)])[order]
        is_exact[span] = np.concatenate(
            [
                np.arange(run.stop - run.start) < len(result.exact_similarities(query))
                for result, run in zip(results, runs, strict=True)
            ]
        )[order]
    return starts, rows, similarities, is_exact


def _leading_counts(starts: I64, is_exact: Bools) -> I64:
    """Return int64[q], how many of each query's candidates are exact before the first one that is not.

    Args:
        starts: int64[q + 1], where each query's candidates begin.
        is_exact: bool[m], whether the similarity of each candidate is exact.
    """
    spans = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return np.array([int(np.append(is_exact[first:last], False).argmin()) for first, last in spans], dtype=np.int64)


def _heavy_counts(similarities: F64, starts: I64, inverse: F64, totals: Sums, histogram: bool) -> I64:
    """Return int64[q], how many of each query's candidates to look up in float64 because of their weight.

    Args:
        similarities, starts: float64[m] and int64[q + 1], of the candidates, each query's best first.
        inverse: float64[q], 1/T.
        totals: the sums over the rows that were not listed.
        histogram: whether the scan filled a histogram, for which fewer are looked up.
    """
    counts = np.empty(len(inverse), dtype=np.int64)
    squares = totals.sums[:, 2].copy()
    count_heavy(kernels(), similarities, starts, inverse, totals.levels, squares, 0, len(inverse), counts)
    return np.minimum(counts, MAX_HISTOGRAM_LOOKUPS) if histogram else counts
