"""Rows that others hold, as a `Shard`: one message to each of them is a scan, and a second one what that left open.

A place is a row's number: whoever holds a row finds it by that, so any message may go to any copy of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from attention.dtypes import F32, F64, I64, Index
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF
from attention.lookup.codes.moments import Residuals
from attention.lookup.question import Question
from attention.lookup.rescoring.ranking import DocumentGrouping
from attention.lookup.scan.scan import fits_float32
from attention.lookup.scan.thresholds import ThresholdSample, merge_thresholds
from attention.lookup.shards.merged import MERGED_LIST_FACTOR, candidate_similarities, merge_results
from attention.lookup.shards.remote.view import Message, RemoteMask, RemoteView, condition_of, residuals_of
from attention.lookup.shards.remote.wire import join_result, split_record
from attention.lookup.shards.scan_result import ScanRequest, ScanResult
from attention.lookup.shards.shard import SimilarityShard
from attention.lookup.shards.stored import TILE_ROWS
from attention.shared_memory import Array

LOOKUP_FACTOR = 4
"""A holder looks up as many rows as if those that it only scans might weigh so many times less: what all of them weigh
decides, which it cannot know, and a row that is missing then costs a second message."""


@dataclass(frozen=True, eq=False)
class HostBlend:
    """The values of the rows that one holder listed, as it weighed them; see `listed_blends`.

    Attributes:
        starts, places: of each query's rows, int64[q + 1] and int64[m], the places ascending.
        weights: float64[m], relative to that of the query's best row there, which has 1.
        logits: float64[m], the logarithms of these.
        sums: float64[q, d_v], Σ weight·value.
    """

    starts: I64
    places: I64
    weights: F64
    logits: F64
    sums: F64


class RemoteShard(SimilarityShard):
    """The rows of an `RemoteView` that a mask lets through.

    Attributes:
        facts, method, in_logits, documents, keys, beyond_memory: see `Shard`.
    """

    beyond_memory = False

    def __init__(self, view: RemoteView, mask: RemoteMask | None) -> None:
        self._view, self._mask, self._hosts = view, mask, view.hosts
        self.facts = view.facts
        self.method = "quantised" if view.coded else "exact"
        self.keys = view.n if mask is None else mask.n
        self.documents = self.keys
        if self.facts.several:
            self.documents = view.documents if mask is None else mask.documents
        self._host_blends: Sequence[HostBlend] = ()
        self._numbers = self._owners = np.empty(0, dtype=np.int64)

    @property
    def term_count(self) -> int:
        """See `Shard`: the last tile of each block may be short, and the hosts' sums are added up."""
        return self.keys // TILE_ROWS + 3 * self.facts.blocks + TILE_ROWS

    @property
    def rows(self) -> I64:
        """See `Shard`; in the order of the hosts' replies, after `read_similarities`."""
        return self._numbers

    @property
    def row_order(self) -> I64 | None:
        """See `Shard`: the row numbers."""
        return self._numbers

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """See `Shard`; after `read_similarities`."""
        return DocumentGrouping(self._owners) if self.facts.several else None

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """See `Shard`; None, for a bias is made of a view whose rows are here."""
        return [None] * len(questions)

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """See `Shard`; all are summed alike."""
        if not self.keys:
            return np.empty((len(questions), 0))
        vectors = np.array([question.vector for question in questions])
        replies = [arrays for _, arrays in self._every("rows", {}, {"vectors": vectors})]
        self._numbers, self._owners = (
            np.concatenate([arrays[name] for arrays in replies]) for name in ("numbers", "owners")
        )
        return np.concatenate([arrays["similarities"] for arrays in replies], axis=1)

    def recompute(self, question: Question, similarities: F64) -> F64:
        """See `Shard`; they are summed alike already."""
        return similarities

    def weighted_sums(self, weights: F64) -> F64:
        """See `Shard`."""
        total = np.zeros((len(weights), self._view.value_dimension or 0))
        for _, _, arrays in self._those("sums", self._numbers, lambda at: {"weights": weights[:, at]}):
            total += arrays["outputs"]
        return total

    def fits(self, query: F64) -> bool:
        """See `Shard`."""
        return not self._view.coded or fits_float32(self.facts, query)

    def gather(self, request: ScanRequest) -> ScanResult:
        """What all holders gathered, each of its own rows, of which it looks up some more than it would for itself."""
        said, arrays = split_record(replace(request, little=request.little / LOOKUP_FACTOR))
        own = {name: getattr(self.facts, name) for name in ("n", "documents", "key_norm")}
        said |= {"ks": list(map(int, request.ks)), "all": own}
        answers = self._every("gather", said, {**arrays, "thresholds": self._thresholds(request)})
        there = [each for each in answers if each[0]["keys"]]
        found = [join_result(*each) for each in there]
        looked_up = partial(self.similarities_at, request.vectors)
        gathered = merge_results(found, request, self.documents, self.keys, looked_up)
        if request.outputs and request.temperatures is not None:
            warmth, blends = request.temperatures, [arrays["listed blends"] for _, arrays in there]
            self._host_blends = [_host_blend(*each, warmth) for each in zip(found, blends, strict=True)]
        return gathered

    def _thresholds(self, request: ScanRequest) -> F32:
        """float32[q], where lists open: by the sample that is here, or one of those that pass."""
        listed, sample = MERGED_LIST_FACTOR * request.listed, self._view.sample
        if self._mask is None and sample is not None:
            return sample.thresholds(request.vectors, self.keys, listed)
        sampling = ThresholdSample.of(1 if self._mask is None else self._mask.stride, self.facts.n, listed)
        said, arrays = split_record(request)
        said |= {"ks": list(map(int, request.ks)), "stride": sampling.stride, "count": sampling.count}
        own = {name: getattr(self.facts, name) for name in ("n", "documents", "key_norm")}
        found = self._every("sampled", {**said, "all": own}, arrays)
        return merge_thresholds([(best["best"], said["seen"]) for said, best in found], sampling.count)

    @property
    def value_residuals(self) -> Residuals:
        """See `Shard`."""
        return self._view.value_residuals if self._mask is None else self._mask.value_residuals

    def residuals_at(self, places: I64) -> Residuals:
        """See `Shard`."""
        return residuals_of(self._view, None, places)

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """See `Shard`."""
        asked, whose = np.unique(queries, return_inverse=True)
        found = np.empty(len(places))
        for at, _, arrays in self._those(
            "similarities", places, lambda at: {"vectors": vectors[asked], "queries": whose[at]}
        ):
            found[at] = arrays["similarities"]
        return found

    def add_values(self, places: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """See `Shard`. What holders have summed is taken; the values of what they weighed otherwise are asked for."""
        left = weights.copy()
        for blended in self._host_blends:
            _add_known(blended, places, queries, left, outputs)
        rest = np.flatnonzero(left)
        if not len(rest):
            return
        asked, whose = np.unique(queries[rest], return_inverse=True)

        def message(at: Index) -> dict[str, Array]:
            return {"weights": left[rest[at]], "queries": whose[at]}

        for _, _, arrays in self._those("values", places[rest], message, queries=len(asked)):
            outputs[asked] += arrays["outputs"]

    def numbers(self, places: Index) -> I64:
        """See `Shard`: a place is a number."""
        return np.asarray(places, dtype=np.int64)

    def order(self, places: I64) -> I64:
        """See `Shard`."""
        return places

    def owners(self, places: Index) -> I64:
        """See `Shard`."""
        if not self.facts.several:
            return self.numbers(places)
        if places is self._numbers:
            return self._owners
        found = np.empty(len(places), dtype=np.int64)
        for at, _, arrays in self._those("owners", self.numbers(places), lambda at: {}):
            found[at] = arrays["owners"]
        return found

    def key_counts(self, documents: I64) -> I64:
        """See `Shard`."""
        counts = np.zeros(len(documents), dtype=np.int64)
        for at, _, arrays in self._those("key counts", documents, lambda at: {}):
            counts[at] = arrays["counts"]
        return counts

    def rows_of(self, documents: I64) -> I64:
        """See `Shard`; they ascend."""
        found = [arrays["numbers"] for _, _, arrays in self._those("rows of", documents, lambda at: {})]
        return np.sort(np.concatenate(found))

    def alike(self, places: Index) -> bool:
        """See `Shard`."""
        return alike(self._view, self.numbers(places))

    def _every(self, call: str, said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Sequence[Message]:
        return self._hosts.every(({"call": call, "condition": condition_of(self._mask), **said}, arrays))

    def _those(
        self, call: str, numbers: I64, arrays: Callable[[Index], Mapping[str, Array]], **said: Any
    ) -> list[tuple[Index, Mapping[str, Any], Mapping[str, Array]]]:
        opening = {"call": call, "condition": condition_of(self._mask), **said}

        def message(at: Index) -> Message:
            return opening, {**arrays(at), "numbers": numbers[at]}

        return [(at, *answer) for at, answer in self._hosts.those(numbers, message)]


def alike(view: RemoteView, numbers: I64) -> bool:
    """Whether the rows with these numbers hold copies of one key: each holder tells a digest of its own."""
    answers = view.hosts.those(numbers, lambda at: ({"call": "digest", "condition": None}, {"numbers": numbers[at]}))
    digests = {said["digest"] for _, (said, _) in answers}
    return None not in digests and len(digests) < 2


def relative_weights(gathered: ScanResult, temperatures: F64) -> tuple[F64, F64]:
    """(weights, logits) float64[m] each: exp((s − best)/T) and its logarithm, best among the query's candidates."""
    similarities, counts = candidate_similarities(gathered), np.diff(gathered.starts)
    warmth = np.maximum(temperatures, 1e-30)
    best = np.array(
        [
            similarities[first:last].max(initial=-np.inf)
            for first, last in zip(gathered.starts[:-1].tolist(), gathered.starts[1:].tolist(), strict=True)
        ]
    )
    logits = (similarities - np.repeat(best, counts)) / np.repeat(warmth, counts)
    return np.exp(np.maximum(logits, -745.0)), logits


def _host_blend(gathered: ScanResult, sums: F64, temperatures: F64) -> HostBlend:
    weights, logits = relative_weights(gathered, temperatures)
    places = gathered.places.copy()
    for first, last in zip(gathered.starts[:-1].tolist(), gathered.starts[1:].tolist(), strict=True):
        order = np.argsort(places[first:last])
        for array in (places, weights, logits):
            array[first:last] = array[first:last][order]
    return HostBlend(gathered.starts, places, weights, logits, sums)


def _add_known(blended: HostBlend, places: I64, queries: I64, left: F64, outputs: F64) -> None:
    """Add the sums that a holder has, as often as its best row weighs; `left` is what that leaves of each weight.

    Both sides take exp((s − best)/T), each from its own best: that agrees to a few units in the last place of the
    logarithm. What is off by more was weighed otherwise. Weights add up to 1, and Σ −w·ln w is at most the logarithm of
    how many rows there are: so what this moves is less than what summing them is taken to move.
    """
    for query in np.unique(queries).tolist():
        first, last = blended.starts[query : query + 2].tolist()
        here = np.flatnonzero(queries == query)
        own = np.searchsorted(blended.places[first:last], places[here])
        inside = own < last - first
        inside[inside] = blended.places[first:last][own[inside]] == places[here[inside]]
        at, own = here[inside], first + own[inside]
        if not len(at) or len(at) < last - first:  # it listed none, or some that are not meant
            continue
        best = int(blended.weights[own].argmax())
        scale = float(left[at[best]])
        expected = scale * blended.weights[own]
        off = np.abs(left[at] - expected)
        if not scale > 0:
            continue
        logits = np.abs(blended.logits[own]) - np.log(min(scale, 1.0))
        same = off <= 4 * UNIT_ROUNDOFF * (logits + 4) * expected
        if 2 * np.count_nonzero(same) >= len(at):
            outputs[query] += scale * blended.sums[query]
            left[at] = np.where(same, 0.0, left[at] - expected)
