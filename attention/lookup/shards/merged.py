"""Several views as one shard: each is scanned by itself, and the results are merged into one.

All shards use two common values: the thresholds from which rows are listed, and the largest key norm. From the norm
follow the bins of a histogram and the codes of queries. All else is added up, or is the shards' largest or best value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import accumulate
from operator import add

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.kernels import kernels
from attention.lookup.answer import Answer
from attention.lookup.bounds.similarities import Slack
from attention.lookup.codes.moments import Residuals
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Question
from attention.lookup.rescoring.candidates import Candidates, count_heavy
from attention.lookup.scan.thresholds import ThresholdSample, merge_thresholds
from attention.lookup.shards.biased import restore_similarities
from attention.lookup.shards.local import MAX_HISTOGRAM_LOOKUPS, LocalShard
from attention.lookup.shards.scan_result import ScanRequest, ScanResult, Sums, merge_sums
from attention.lookup.shards.stored import StoredRows

MERGED_LIST_FACTOR = 2
"""So many times as many rows are listed as of one part: a sample says only about how many lie above a threshold, and
parts are not to know less together than one would."""


class MergedShards(StoredRows):
    """The runs of a view as one `Shard`; a place in a run follows all places of the runs before.

    Args:
        view, mask: the merged view, and a mask of it.
        shards: one shard for each run, at least one, which all use the facts of the view.

    Attributes:
        facts, method, in_logits, documents, keys, beyond_memory: see `Shard`.
    """

    def __init__(self, view: View, mask: Mask | None, shards: Sequence[LocalShard]) -> None:
        super().__init__(view, mask)
        self._first = min(shards, key=lambda part: part.method == "exact")  # one with codes, if there is any
        starts = accumulate((part.room for part in shards), initial=0)
        self._parts = [(part, start) for part, start in zip(shards, starts, strict=False) if part.keys]
        self._starts = np.array([start for _, start in self._parts], dtype=np.intp)
        self.in_logits = self._first.in_logits
        self.method = "exact" if all(part.method == "exact" for part in shards) else "quantised"
        self.documents, self.keys = sum(part.documents for part in shards), sum(part.keys for part in shards)
        self.beyond_memory = any(part.beyond_memory for part in shards)

    def fits(self, query: F64) -> bool:
        """See `Shard`: as for each of the parts, for all of them know how long a key is."""
        return self._first.fits(query)

    def scan_question(self, question: Question) -> Question:
        """See `Shard`."""
        return question.in_logits(self.keys) if self.in_logits else question

    def restore(self, question: Question, answer: Answer) -> Answer:
        """See `Shard`."""
        return restore_similarities(question, answer, self.keys) if self.in_logits else answer

    def slack(self, query: F64) -> Slack:
        """See `Shard`."""
        return self._first.slack(query)

    def codes(self, request: ScanRequest) -> QueryCodes:
        """See `Shard`."""
        return self._first.codes(request)

    def gather(self, request: ScanRequest) -> ScanResult:
        """What all parts gathered. What they looked up is kept; what is missing is asked for."""
        parts = [part for part, _ in self._parts]
        sampling = ThresholdSample.of(
            max(part.sample_stride for part in parts), self.facts.n, MERGED_LIST_FACTOR * request.listed
        )
        thresholds = merge_thresholds([part.sample_similarities(request, sampling) for part in parts], sampling.count)
        found = [part.gather(request, thresholds) for part in parts]
        placed = [
            replace(each, places=each.places + start) for each, start in zip(found, self._starts.tolist(), strict=True)
        ]
        return merge_results(placed, request, self.documents, self.keys, partial(self.similarities_at, request.vectors))

    @property
    def value_residuals(self) -> Residuals:
        """Of all parts' rows, see `LocalShard`."""
        return reduce(add, [part.value_residuals for part, _ in self._parts])

    def residuals_at(self, places: I64) -> Residuals:
        """Of the rows at `places`."""
        return reduce(add, [part.residuals_at(places[here] - start) for part, start, here in self._among(places)])

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """float64[m]: the similarity of query `queries[i]` with the row at `places[i]`, copies of a row alike."""
        found = np.empty(len(places))
        for part, start, here in self._among(places):
            found[here] = part.similarities_at(vectors, places[here] - start, queries[here])
        return found

    def raw(self, query: F64, places: I64) -> Callable[[Index], F64] | None:
        """The similarities themselves of a query and of some of the rows at `places`, where others are compared."""
        if not self.in_logits:
            return None

        def similarities(at: Index) -> F64:
            found = np.empty(len(at))
            for part, start, here in self._among(places[at]):
                own = part.raw(query, places[at][here] - start)
                assert own is not None
                found[here] = own(np.arange(len(here)))
            return found

        return similarities

    def add_values(self, places: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """outputs float64[q, d_v] [query] += weight·value, for every place, its query and its weight."""
        for part, start, here in self._among(places):
            part.add_values(places[here] - start, queries[here], weights[here], outputs)

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`."""
        found = np.empty(len(places), dtype=np.int64)
        for part, start, here in self._among(places):
            found[here] = part.numbers(places[here] - start)
        return found

    def order(self, places: I64) -> I64:
        """Rows that tie stand in the order of their numbers, in whichever part."""
        return self.numbers(places)

    def owners(self, places: Index) -> I64:
        """The documents that the rows at `places` are keys of."""
        found = np.empty(len(places), dtype=np.int64)
        for part, start, here in self._among(places):
            found[here] = part.owners(places[here] - start)
        return found

    def key_counts(self, documents: I64) -> I64:
        """int64[m]: how many rows each of the documents int64[m] has, in all parts."""
        return reduce(np.add, [part.key_counts(documents) for part, _ in self._parts])

    def rows_of(self, documents: I64) -> I64:
        """Where all rows of some documents, ascending, stand that pass."""
        return np.concatenate([part.rows_of(documents) + start for part, start in self._parts])

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key: each part tells a digest of its own."""
        digests = {part.digest(places[here] - start) for part, start, here in self._among(places)}
        return None not in digests and len(digests) < 2

    def _among(self, places: Index) -> Iterator[tuple[LocalShard, int, Index]]:
        """Each part that has some of the places: where its own begin, and which of them these are, in their order."""
        whose = np.searchsorted(self._starts, places, side="right") - 1
        for index, (part, start) in enumerate(self._parts):
            here = np.flatnonzero(whose == index)
            if len(here):
                yield part, start, here


def merge_results(
    found: Sequence[ScanResult], request: ScanRequest, documents: int, keys: int, looked_up: Callable[[I64, I64], F64]
) -> ScanResult:
    """What all parts gathered. What they looked up is kept; what is missing is asked for.

    A row that a part looked up stands in the list by what it is, not by what it was scanned at: also that is within the
    error of what is scanned.

    Args:
        found: at least one, whose places are those among the rows of all.
        documents, keys: how many documents pass, and how many rows, of all parts.
        looked_up: float64[m] of places int64[m] and queries int64[m]: the similarity of each with its query.
    """
    none = np.zeros(len(request.ks))
    inverse = np.ones(len(none)) if request.temperatures is None else 1 / np.maximum(request.temperatures, 1e-30)
    totals = merge_sums([each.totals for each in found], inverse)
    starts, places, similarities, known = _sort_candidates(found)
    errors = np.array([each.errors for each in found])
    errors = np.stack([errors[:, :, 0].max(0), errors[:, :, 1].sum(0), errors[:, :, 2].max(0)], axis=1)
    weighty = _heavy_counts(similarities, starts, inverse, totals, request.temperatures is None)
    best = np.array(request.ks)
    candidates = Candidates(best, none, starts, places, similarities, totals.thresholds, errors[:, 0].copy())
    counts = np.maximum(candidates.initial_counts(weighty, request.most), _known_counts(starts, known))
    known_starts, first, whose = candidates.first_rows(counts)
    missing = np.flatnonzero(~known[first])
    similar = similarities[first]
    if len(missing):
        similar[missing] = looked_up(places[first[missing]], whose[missing])
    histograms = [each.histogram for each in found if each.histogram is not None]
    return ScanResult(
        documents=documents,
        keys=keys,
        thresholds=totals.thresholds,
        levels=totals.levels,
        sums=totals.sums,
        starts=starts,
        places=places,
        similarities=similarities,
        known_starts=known_starts,
        known=similar,
        errors=errors,
        outputs=totals.outputs,
        value_errors=totals.value_errors,
        bits=min(each.bits for each in found),
        histogram=reduce(np.add, histograms) if histograms else None,
        bin_widths=np.max([each.bin_widths for each in found], axis=0),
    )


def candidate_similarities(gathered: ScanResult) -> F64:
    """float64[m]: of the candidates that were looked up what they are, of the others what they were scanned at."""
    found = gathered.similarities.copy()
    for query in range(len(gathered.starts) - 1):
        known, first = gathered.exact_similarities(query), gathered.starts[query]
        found[first : first + len(known)] = known
    return found


def _sort_candidates(found: Sequence[ScanResult]) -> tuple[I64, I64, F64, np.ndarray]:
    """All rows that the parts listed, each query's best first.

    Returns:
        Where each query's begin int64[q + 1], places, similarities, and bool[m], which were looked up.
    """
    starts = np.sum([each.starts for each in found], axis=0)
    places, similarities = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    known = np.empty(starts[-1], dtype=np.bool_)
    listed = [candidate_similarities(each) for each in found]
    for query in range(len(starts) - 1):
        here = slice(starts[query], starts[query + 1])
        runs = [slice(each.starts[query], each.starts[query + 1]) for each in found]
        own = np.concatenate([similar[run] for similar, run in zip(listed, runs, strict=True)])
        order = np.argsort(-own, kind="stable")
        similarities[here] = own[order]
        places[here] = np.concatenate([each.places[run] for each, run in zip(found, runs, strict=True)])[order]
        told = [
            np.arange(run.stop - run.start) < len(each.exact_similarities(query))
            for each, run in zip(found, runs, strict=True)
        ]
        known[here] = np.concatenate(told)[order]
    return starts, places, similarities, known


def _known_counts(starts: I64, known: np.ndarray) -> I64:
    """int64[q]: how many of each query's first candidates were looked up, one after another."""
    runs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return np.array([int(np.append(known[first:last], False).argmin()) for first, last in runs], dtype=np.int64)


def _heavy_counts(similarities: F64, starts: I64, inverse: F64, totals: Sums, histogram: bool) -> I64:
    """int64[q], how many candidates of each query weigh much, see `heavy`; fewer where the scan was for a histogram."""
    counts = np.empty(len(inverse), dtype=np.int64)
    squares = totals.sums[:, 2].copy()
    count_heavy(kernels(), similarities, starts, inverse, totals.levels, squares, 0, len(inverse), counts)
    return np.minimum(counts, MAX_HISTOGRAM_LOOKUPS) if histogram else counts
