"""A shard of rows in other processes: one message to each host scans its rows, a second one looks up more of them.

A place is the row's number. Every replica finds a row by its number, so a message may go to any replica.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from softkv_attention.aligned import Array
from softkv_attention.arrays import F32, F64, I64, Index
from softkv_attention.errors import ParameterError
from softkv_attention.forked import cached_property
from softkv_attention.lookup import Question
from softkv_attention.lookup.shards import (
    MERGED_LIST_FACTOR,
    UNIT_ROUNDOFF,
    DocumentGrouping,
    Residuals,
    ScanRequest,
    ScanResult,
    Shard,
    Slack,
    ThresholdSample,
    bound_similarity,
    candidate_similarities,
    fits_float32,
    fits_logits,
    merge_results,
    merge_thresholds,
    open_shard,
    similarity_slack,
)
from softkv_cluster.lookup.view import (
    DocumentArrays,
    Message,
    RemoteBias,
    RemoteMask,
    RemoteView,
    residuals_of,
    selection_of,
)
from softkv_cluster.lookup.wire import exact_positions, join_result, split_record

LOOKUP_FACTOR = 4
"""A host looks up as many rows as if its limit for rows that are only scanned were this many times smaller.

The weight of all hosts' rows decides, which no host knows, and a row that was not looked up costs a second message.
"""


@dataclass(frozen=True, eq=False)
class HostSums:
    """Weighted sums of values that one host computed over its candidates, the rows that its scan listed.

    A host is a process with some of the rows.

    Attributes:
        starts, rows: int64[q + 1] and int64[m]; the rows of query i are from starts[i] to starts[i + 1], by ascending
            number.
        weights: float64[m], relative to that of the query's best row on this host, which has 1.
        logits: float64[m], the logarithms of the weights.
        sums: float64[q, d_v], Σ weight·value.
    """

    starts: I64
    rows: I64
    weights: F64
    logits: F64
    sums: F64


class RemoteShard:
    """The rows of a `RemoteView` that pass a mask; other processes, the hosts, store them and answer messages.

    A row is identified by its permanent number, not by an index.

    Attributes:
        facts, limits: statistics of all rows of the view, and its limits.
        method: "exact" if all similarities are computed in float64, otherwise "quantised".
        in_logits: whether `similarities_at` returns logits similarity/T + bias instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: False, because only the hosts know whether originals are on disk.
        term_count: the most numbers that are added one by one in a component of `sum_values`; rounding errors grow with
            it. Available after `read_similarities`.
        key_norm, value_norm: the largest length ‖k‖ of a key and ‖v‖ of a value that passes the mask. Available after
            `read_similarities`.
    """

    beyond_memory = False
    in_logits = False

    def __init__(self, view: RemoteView, mask: RemoteMask | None) -> None:
        self._view, self._mask, self._hosts = view, mask, view.hosts
        self.facts, self.limits = view.facts, view.limits
        self.method = "quantised" if view.coded else "exact"
        self.keys = view.n if mask is None else mask.n
        self.documents = self.keys
        if self.facts.several:
            self.documents = view.documents if mask is None else mask.documents
        self._all_host_sums: Sequence[HostSums] = ()
        self._numbers = self._owners = np.empty(0, dtype=np.int64)
        self.term_count, self.key_norm, self.value_norm = 0, 0.0, 0.0

    @property
    def rows(self) -> I64:
        """int64[keys], the numbers of the rows that pass the mask, ascending.

        Available after `read_similarities`.
        """
        return self._numbers

    @property
    def row_order(self) -> I64 | None:
        """int64[keys], the row numbers, by which rows that tie are sorted."""
        return self._numbers

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """The document of each row of `rows`; None if no document that passes has several rows.

        Available after `read_similarities`.
        """
        return DocumentGrouping(self._owners) if self.documents < self.keys else None

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """Return for each question float64[keys], the bias of each row that passes the mask; None without a bias.

        The processes that hold the rows compute it. Questions with the same bias get the same array.
        """
        biases: dict[int, F64] = {}
        for bias in (question.bias for question in questions):
            if bias is not None and id(bias) not in biases:
                assert isinstance(bias, RemoteBias)
                biases[id(bias)] = self._read_bias(bias)
        return [biases.get(id(question.bias)) for question in questions]

    def _read_bias(self, bias: RemoteBias) -> F64:
        if not self.keys:
            return np.empty(0)
        replies = [arrays for _, arrays in self._ask_all("biases", {"terms": bias.terms}, {}, bias.addends)]
        numbers, biases = (np.concatenate([arrays[name] for arrays in replies]) for name in ("numbers", "biases"))
        return np.asarray(biases[np.argsort(numbers, kind="stable")])

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """Return float64[q, keys], the similarity of each query with each row that passes the mask.

        The processes that hold the rows compute the similarities. They add the products of components in one fixed
        order, so that copies of a key tie exactly.

        Args:
            questions: q questions.
            biases: not used.
        """
        if not self.keys:
            return np.empty((len(questions), 0))
        vectors = np.array([question.vector for question in questions])
        messages = self._ask_all("rows", {}, {"vectors": vectors})
        # In whatever order the rows are added, so that the bound does not tell which host has which rows.
        self.term_count = self.keys
        self.key_norm, self.value_norm = (
            max(fields[name] for fields, _ in messages) for name in ("key_norm", "value_norm")
        )
        replies = [arrays for _, arrays in messages]
        numbers, owners = (np.concatenate([arrays[name] for arrays in replies]) for name in ("numbers", "owners"))
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._owners = numbers[order], owners[order]
        return np.concatenate([arrays["similarities"] for arrays in replies], axis=1)[:, order]

    def recompute(self, question: Question, similarities: F64) -> F64:
        """Return the similarities unchanged, because each process that holds rows summed them in one fixed order."""
        return similarities

    def sum_values(self, weights: F64) -> F64:
        """Return float64[q, d_v], for each query the weighted sum of the values of all rows that pass the mask.

        The processes that hold the rows compute it.

        Args:
            weights: float64[q, keys].
        """
        total = np.zeros((len(weights), self._view.value_dimension or 0))
        for _, arrays in self._ask_about("sums", self._numbers, lambda positions: {"weights": weights[:, positions]}):
            total += arrays["outputs"]
        return total

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys, which a scan computes.

        A scan is one pass over the 8-bit codes of all keys.
        """
        return not self._view.coded or fits_float32(self.facts, query)

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return None: `similarities_at` already returns similarities, so no other function for them is needed."""
        return None

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of the similarities of a query in float64."""
        return similarity_slack(self.facts.similarity, query, self.facts.key_norm)

    def gather(self, request: ScanRequest) -> ScanResult:
        """Ask each host (a process with some of the rows) to scan its rows, and merge the results into one.

        Each host looks up a few more rows in float64 than it would as the only host.

        Args:
            request: the queries, and what to compute for them.
        """
        fields, arrays = self._message(replace(request, scanned_share=request.scanned_share / LOOKUP_FACTOR))
        arrays = {**arrays, "thresholds": self._thresholds(request)}
        replies = self._ask_all("gather", {**fields, **self._bias_fields}, arrays, self._addends)
        replies = [reply for reply in replies if reply[0]["keys"]]
        results = [join_result(*reply) for reply in replies]
        for result, (_, arrays) in zip(results, replies, strict=True):
            self._note_known(request.vectors, result, arrays)
        compute_similarities = partial(self.similarities_at, request.vectors)
        merged = merge_results(results, request, self.documents, self.keys, compute_similarities)
        if request.outputs and request.temperatures is not None:
            self._all_host_sums = [
                _host_sums(result, arrays["candidate sums"], request.temperatures)
                for result, (_, arrays) in zip(results, replies, strict=True)
            ]
        return merged

    def _thresholds(self, request: ScanRequest) -> F32:
        """Return float32[q], for each query the similarity from which a scan lists a row as a candidate.

        It comes from the local sample of keys, if there is one and no mask, or else from samples of the hosts, the
        processes that hold the rows.
        """
        listed, sample = MERGED_LIST_FACTOR * request.listed, self._view.sample
        if self._mask is None and sample is not None and not self.in_logits:
            return sample.thresholds(request.vectors, self.keys, listed)
        stride = self._view.sample_stride if self._mask is None else self._mask.stride
        sampling = ThresholdSample.of(stride, self.facts.n, listed)
        fields, arrays = self._message(request)
        fields = {**fields, **self._bias_fields, "stride": sampling.stride, "count": sampling.count}
        replies = self._ask_all("sampled", fields, arrays, self._addends)
        return merge_thresholds([(arrays["best"], fields["seen"]) for fields, arrays in replies], sampling.count)

    def _message(self, request: ScanRequest) -> Message:
        """Return a scan request as a message: JSON fields and arrays, with the statistics of all rows."""
        fields, arrays = split_record(request)
        statistics = {name: getattr(self.facts, name) for name in ("n", "documents", "key_norm")}
        return {**fields, "head_sizes": list(map(int, request.head_sizes)), "all": statistics}, arrays

    @property
    def value_residuals(self) -> Residuals:
        """The sum over all passing rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""
        return self._view.value_residuals if self._mask is None else self._mask.value_residuals

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        Args:
            rows: int64[m], row numbers.
        """
        return residuals_of(self._view, None, rows)

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity in float64 of query `queries[i]` with the row `rows[i]`, for every i.

        The hosts, which are the processes that hold the rows, compute it. In a shard with a bias, it is the logit.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], row numbers and indices of queries.
        """
        used, query_indices = np.unique(queries, return_inverse=True)
        similarities = np.empty(len(rows))

        def arrays_for(positions: Index) -> dict[str, Array]:
            return {"vectors": vectors[used], "queries": query_indices[positions]}

        replies = self._ask_about("similarities", rows, arrays_for, self._addends, **self._bias_fields)
        for positions, arrays in replies:
            similarities[positions] = arrays["similarities"]
            self._note_similarities(vectors, rows[positions], queries[positions], arrays)
        return similarities

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each of m rows to the output float64[q, d_v] of its query, in place.

        Sums that a host computed with its scan are used if their weights agree. The other values are summed by the
        hosts on request.

        Args:
            rows, queries, weights: int64[m], int64[m] and float64[m].
            outputs: float64[q, d_v], added to.
        """
        remaining = weights.copy()
        for host_sums in self._all_host_sums:
            _add_host_sums(host_sums, rows, queries, remaining, outputs)
        rest = np.flatnonzero(remaining)
        if not len(rest):
            return
        used, query_indices = np.unique(queries[rest], return_inverse=True)

        def arrays_for(positions: Index) -> dict[str, Array]:
            return {"weights": remaining[rest[positions]], "queries": query_indices[positions]}

        for _, arrays in self._ask_about("values", rows[rest], arrays_for, queries=len(used)):
            outputs[used] += arrays["outputs"]

    def numbers(self, rows: Index) -> I64:
        """Return int64[m], the rows themselves, because this shard identifies a row by its number."""
        return np.asarray(rows, dtype=np.int64)

    def order(self, rows: I64) -> I64:
        """Return int64[m], numbers by which these rows are sorted if they tie: their row numbers."""
        return rows

    def owners(self, rows: Index) -> I64:
        """Return int64[m], the document that each of these rows is a key of.

        The processes that hold the rows are asked, unless each row is a document.
        """
        if not self.facts.several:
            return self.numbers(rows)
        if rows is self._numbers:
            return self._owners
        owners = np.empty(len(rows), dtype=np.int64)
        for positions, arrays in self._ask_about("owners", self.numbers(rows), _no_arrays):
            owners[positions] = arrays["owners"]
        return owners

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many rows of each document pass the mask.

        The processes that hold the rows count them.
        """
        counts = np.zeros(len(documents), dtype=np.int64)
        for positions, arrays in self._ask_about("key counts", documents, _no_arrays):
            counts[positions] = arrays["counts"]
        return counts

    def rows_of(self, documents: I64) -> I64:
        """Return the numbers of all rows of some documents that pass the mask, ascending."""
        numbers = [arrays["numbers"] for _, arrays in self._ask_about("rows of", documents, _no_arrays)]
        return np.sort(np.concatenate(numbers))

    def alike(self, rows: Index) -> bool:
        """Return whether these rows are all copies of one key, by a hash from each process that holds some of them."""
        numbers = self.numbers(rows)
        fields = {"call": "digest", "condition": None, **self._bias_fields}

        def message(positions: Index) -> Message:
            return fields, {"numbers": numbers[positions]}

        replies = self._hosts.ask_about(numbers, message, self._addends)
        digests = {reply["digest"] for _, (reply, _) in replies}
        return None not in digests and len(digests) < 2

    @property
    def _bias_fields(self) -> Mapping[str, Any]:
        """The JSON fields of a message by which other processes compare rows by logits; empty for similarities."""
        return {}

    @property
    def _addends(self) -> DocumentArrays | None:
        """For some documents a number to add to the bias that hosts compute; None without a bias.

        Messages carry it to the hosts.
        """
        return None

    def _note_known(self, vectors: F64, result: ScanResult, arrays: Mapping[str, Array]) -> None:
        """Remember the similarities without bias that a host sent with a scan's result; do nothing without a bias.

        A host is a process with some of the rows.

        Args:
            vectors: float64[q, d], the queries.
            result, arrays: the result of the host's scan, and the arrays of its reply.
        """

    def _note_similarities(self, vectors: F64, rows: I64, queries: I64, arrays: Mapping[str, Array]) -> None:
        """Remember the similarities without bias that a host sent for rows it looked up; do nothing without a bias.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], the row numbers, and the query of each.
            arrays: the arrays of the host's reply.
        """

    def _ask_all(
        self,
        call: str,
        fields: Mapping[str, Any],
        arrays: Mapping[str, Array],
        document_arrays: DocumentArrays | None = None,
    ) -> Sequence[Message]:
        return self._hosts.ask_all(({"call": call, **selection_of(self._mask), **fields}, arrays), document_arrays)

    def _ask_about(
        self,
        call: str,
        numbers: I64,
        arrays_for: Callable[[Index], Mapping[str, Array]],
        document_arrays: DocumentArrays | None = None,
        **more_fields: Any,
    ) -> list[tuple[Index, Mapping[str, Array]]]:
        """Send each host, a process with some rows, a message about its rows or documents among `numbers`.

        Args:
            call: the kind of the message.
            numbers: int64[m], of rows or documents.
            arrays_for: returns the arrays that a message carries besides the numbers, for the numbers at some
                positions.
            document_arrays: further arrays with an element for each document; each host gets those of its documents.
            more_fields: further JSON fields of each message.

        Returns:
            For each host, the positions of its rows in `numbers` and the arrays of its reply.
        """
        fields = {"call": call, **selection_of(self._mask), **more_fields}

        def message(positions: Index) -> Message:
            return fields, {**arrays_for(positions), "numbers": numbers[positions]}

        return [
            (positions, arrays) for positions, (_, arrays) in self._hosts.ask_about(numbers, message, document_arrays)
        ]


class BiasedRemoteShard(RemoteShard):
    """The rows of a `RemoteView` that pass a mask, for questions that share one bias and one temperature T.

    Everything is computed in logits similarity/T + bias, for softmax at temperature 1. Each host scans its rows as a
    `BiasedShard`.
    """

    in_logits = True

    def __init__(self, view: RemoteView, mask: RemoteMask | None, bias: RemoteBias, temperature: float) -> None:
        super().__init__(view, mask)
        self._bias, self._temperature = bias, temperature
        self._known: dict[bytes, list[tuple[I64, F64]]] = {}

    @property
    def _bias_fields(self) -> Mapping[str, Any]:
        return {"terms": self._bias.terms, "temperature": self._temperature}

    @property
    def _addends(self) -> DocumentArrays | None:
        return self._bias.addends

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the logits of a query, which a scan of 8-bit codes computes."""
        return fits_logits(self.facts, query, self._temperature, self._bias.largest)

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of the logits of a query in float64."""
        return super().slack(query).in_logits(self._temperature, bound_similarity(self.facts, query))

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that gives similarities without temperature and bias, for the rows at some positions.

        It sends no message, because the hosts sent the similarities together with the logits.

        Args:
            query: float64[d].
            rows: int64[m], row numbers, which the positions refer to.
        """
        parts = self._known.get(query.tobytes(), [(np.empty(0, dtype=np.int64), np.empty(0))])
        numbers, similarities = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
        order = np.argsort(numbers, kind="stable")
        numbers, similarities = numbers[order], similarities[order]

        def compute(positions: Index) -> F64:
            indices = np.searchsorted(numbers, rows[positions])
            assert (numbers[indices] == rows[positions]).all()  # a row has a logit only if a host looked it up
            return np.asarray(similarities[indices])

        return compute

    def _note_known(self, vectors: F64, result: ScanResult, arrays: Mapping[str, Array]) -> None:
        rows = result.rows[exact_positions(result.starts, result.known_starts)]
        for query, (first, last) in enumerate(pairwise(result.known_starts.tolist())):
            pair = rows[first:last], arrays["known similarities"][first:last]
            self._known.setdefault(vectors[query].tobytes(), []).append(pair)

    def _note_similarities(self, vectors: F64, rows: I64, queries: I64, arrays: Mapping[str, Array]) -> None:
        for query in np.unique(queries).tolist():
            of_query = queries == query
            pair = rows[of_query], arrays["unbiased"][of_query]
            self._known.setdefault(vectors[query].tobytes(), []).append(pair)


@open_shard.register
def _(view: RemoteView, mask: RemoteMask | None, bias: RemoteBias | None = None, temperature: float = 0.0) -> Shard:
    if mask is not None and mask.view is not view:
        raise ParameterError("the mask belongs to another view: make it with this view's where(condition)")
    return RemoteShard(view, mask) if bias is None else BiasedRemoteShard(view, mask, bias, temperature)


def _no_arrays(positions: Index) -> Mapping[str, Array]:
    return {}


def relative_weights(result: ScanResult, temperatures: F64) -> tuple[F64, F64]:
    """Return the weights float64[m] of the listed rows of a scan, and their logarithms float64[m].

    They are exp((s − best)/T), relative to the best row of each query.

    Args:
        result: the result of the scan of q queries.
        temperatures: float64[q].
    """
    similarities, counts = candidate_similarities(result), np.diff(result.starts)
    divisors = np.maximum(temperatures, 1e-30)
    best = np.array([similarities[first:last].max(initial=-np.inf) for first, last in pairwise(result.starts.tolist())])
    logits = (similarities - np.repeat(best, counts)) / np.repeat(divisors, counts)
    return np.exp(np.maximum(logits, -745.0)), logits


def _host_sums(result: ScanResult, sums: F64, temperatures: F64) -> HostSums:
    weights, logits = relative_weights(result, temperatures)
    rows = result.rows.copy()
    for first, last in pairwise(result.starts.tolist()):
        order = np.argsort(rows[first:last])
        for array in (rows, weights, logits):
            array[first:last] = array[first:last][order]
    return HostSums(result.starts, rows, weights, logits, sums)


def _add_host_sums(host_sums: HostSums, rows: I64, queries: I64, remaining: F64, outputs: F64) -> None:
    """Add a host's sums of values to the outputs, and subtract what they contain from the remaining weights.

    The sums are scaled to the weight of the host's best row. The host and this process compute exp((s − best)/T), each
    relative to its own best row. So they agree to a few units in the last place of the logarithm, unless they used
    different similarities. Weights add up to 1, and Σ −w·ln w is at most the logarithm of the number of rows. So the
    disagreement moves the output by less than the bound on summing it.

    Args:
        host_sums: the sums of one host.
        rows, queries: int64[m], row numbers, and the query of each.
        remaining: float64[m], the weight of each row that is not yet added to its output; changed in place.
        outputs: float64[q, d_v], added to.
    """
    for query in np.unique(queries).tolist():
        first, last = host_sums.starts[query : query + 2].tolist()
        of_query = np.flatnonzero(queries == query)
        indices = np.searchsorted(host_sums.rows[first:last], rows[of_query])
        is_listed = indices < last - first
        is_listed[is_listed] = host_sums.rows[first:last][indices[is_listed]] == rows[of_query[is_listed]]
        positions, indices = of_query[is_listed], first + indices[is_listed]
        if not len(positions) or len(positions) < last - first:  # the host listed no row, or rows outside of `rows`
            continue
        best = int(host_sums.weights[indices].argmax())
        scale = float(remaining[positions[best]])
        expected = scale * host_sums.weights[indices]
        difference = np.abs(remaining[positions] - expected)
        if not scale > 0:
            continue
        logits = np.abs(host_sums.logits[indices]) - np.log(min(scale, 1.0))
        agrees = difference <= 4 * UNIT_ROUNDOFF * (logits + 4) * expected
        if 2 * np.count_nonzero(agrees) >= len(positions):
            outputs[query] += scale * host_sums.sums[query]
            remaining[positions] = np.where(agrees, 0.0, remaining[positions] - expected)
