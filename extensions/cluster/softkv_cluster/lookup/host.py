"""The replies of a host to the messages of a `RemoteView` and its shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from softkv_attention.aligned import Array
from softkv_attention.arrays import F64, I64
from softkv_attention.errors import ParameterError
from softkv_attention.kernels import pin_kernels
from softkv_attention.lookup import Bias, BlockStatistics, Mask, View, summary_of
from softkv_attention.lookup.shards import (
    TILE_ROWS,
    BiasedShard,
    LocalShard,
    PassingRows,
    ScanRequest,
    ScanResult,
    ThresholdSample,
    compute_all_sums,
    open_local,
)
from softkv_cluster.lookup.shard import relative_weights
from softkv_cluster.lookup.wire import (
    MutableMessage,
    exact_positions,
    join_record,
    pack_messages,
    split_result,
    split_statistics,
)

SCANNING_CALLS = frozenset({"gather", "sampled", "rows", "sums"})
"""The calls that read every row."""


def respond(
    views: Sequence[View],
    mask: Mask | None,
    view: View,
    fields: Mapping[str, Any],
    arrays: Mapping[str, Array],
    bias: Bias | None = None,
) -> MutableMessage:
    """Return a host's reply to one message of a `RemoteView` or a `RemoteShard`.

    A host is a process that stores some shards (ranges of rows).

    Args:
        views: the views of the shards that the message is about.
        mask: the rows of `view` that pass; None for all.
        view: the same shards as one view.
        fields, arrays: the message; fields["call"] names its kind.
        bias: the bias of `view` that the message names; None if it names no bias.

    Raises:
        KeyError: an unknown kind of message, or a row that is not in these shards.
        ParameterError: a scan with a bias, of rows that have no 8-bit codes.
    """
    if fields["call"] == "facts":
        return _facts(views)
    if fields["call"] == "summary":
        return pack_messages([summary_of(shard_view).message() for shard_view in views])
    if fields["call"] == "sample":
        return _sample(view, fields["stride"])
    with pin_kernels():
        return _MessageHandler(view, mask, fields, bias).reply(fields["call"], arrays)


def _facts(views: Sequence[View]) -> MutableMessage:
    """Return the reply with the statistics of each shard, its key width, and a number above its largest row number."""
    messages = []
    for view in views:
        statistics, arrays = split_statistics(view.facts)
        ends = (int(segment.numbers[-1]) + 1 for segment in view.segments if segment.count)
        more = {"dimension": view.dimension, "end": max(ends, default=0), "coded": not view.bare}
        messages.append(({"facts": statistics, **more}, arrays))
    return pack_messages(messages)


def _sample(view: View, stride: int) -> MutableMessage:
    """Return the reply with the keys of about one row in `stride`, without removed rows."""
    samples = []
    for segment in view.segments:
        rows = np.arange(stride // 2 if segment.count > stride else 0, segment.count, stride)
        if segment.live is not None:
            rows = rows[segment.live[rows]]
        samples.append(segment.load_keys(rows)[rows])
    keys = np.concatenate(samples) if samples else np.empty((0, view.dimension or 0), dtype=np.float32)
    return {}, {"keys": keys}


class _MessageHandler:
    """The rows that one message from another process is about, with one method for each kind of message.

    Args:
        view: the rows that this host has.
        mask: the rows that pass; None for all.
        fields: the JSON fields of the message.
        bias: the bias that the message names; None if it names no bias.
    """

    def __init__(self, view: View, mask: Mask | None, fields: Mapping[str, Any], bias: Bias | None) -> None:
        self._view, self._mask, self._fields, self._bias = view, mask, fields, bias
        self._shard = _open_shard(view, mask, fields, bias)
        self._calls: dict[str, Callable[[Mapping[str, Array]], MutableMessage]] = {
            "counts": self._counts,
            "bias": self._describe_bias,
            "biases": self._biases,
            "documents among": self._count_documents,
            "sampled": self._sample_similarities,
            "gather": self._gather,
            "similarities": self._similarities,
            "values": self._values,
            "owners": self._owners,
            "key counts": self._key_counts,
            "rows of": self._rows_of,
            "residuals": self._residuals,
            "residuals at": self._residuals_at,
            "digest": self._digest,
            "rows": self._every_row,
            "sums": self._sums,
        }

    def reply(self, call: str, arrays: Mapping[str, Array]) -> MutableMessage:
        """Return the reply to the message.

        Args:
            call: the kind of the message.
            arrays: the arrays of the message.
        """
        return self._calls[call](arrays)

    def _counts(self, _: Mapping[str, Array]) -> MutableMessage:
        mask, view = self._mask, self._view
        counts = {"n": view.n, "scanned": view.n, "documents": view.documents}
        if mask is not None:
            counts = {"n": mask.n, "scanned": mask.scanned, "documents": mask.documents}
        return {**counts, "stride": self._shard.sample_stride}, {}

    def _describe_bias(self, arrays: Mapping[str, Array]) -> MutableMessage:
        assert self._bias is not None
        mask = self._bias.mask
        counts, _ = _MessageHandler(self._view, mask, self._fields, None).reply("counts", arrays)
        return {**counts, "largest": self._bias.largest, "forbids": mask is not None}, {}

    def _biases(self, _: Mapping[str, Array]) -> MutableMessage:
        assert self._bias is not None
        passing = PassingRows(self._view, self._mask, TILE_ROWS)
        numbers = passing.row_indices.numbers(np.arange(passing.n))
        return {}, {"numbers": numbers, "biases": self._bias.all_of(passing.row_indices)}

    def _count_documents(self, arrays: Mapping[str, Array]) -> MutableMessage:
        return {"documents": int(np.count_nonzero(self._shard.key_counts(arrays["numbers"])))}, {}

    def _request(self, arrays: Mapping[str, Array]) -> ScanRequest:
        return join_record(ScanRequest, self._fields, arrays)

    def _sample_similarities(self, arrays: Mapping[str, Array]) -> MutableMessage:
        sampling = ThresholdSample(self._fields["stride"], self._fields["count"])
        best, seen = self._shard.sample_similarities(self._request(arrays), sampling)
        return {"seen": seen}, {"best": best}

    def _gather(self, arrays: Mapping[str, Array]) -> MutableMessage:
        if not self._shard.keys:
            return {"keys": 0}, {}
        request = self._request(arrays)
        result = self._shard.gather(request, arrays["thresholds"])
        fields, result_arrays = split_result(result)
        if request.outputs and request.temperatures is not None:
            result_arrays["candidate sums"] = self._sum_candidate_values(result, request.temperatures)
        if isinstance(self._shard, BiasedShard):
            result_arrays["known similarities"] = self._similarities_without_bias(self._shard, request, result)
        return fields, {**result_arrays, "rows": self._shard.numbers(result.rows)}

    @staticmethod
    def _similarities_without_bias(shard: BiasedShard, request: ScanRequest, result: ScanResult) -> F64:
        """Return float64[h], the similarities of the candidates that were looked up, without temperature and bias.

        Args:
            shard: the scanned rows.
            request, result: the request and the result of the scan.
        """
        queries = np.repeat(np.arange(len(result.starts) - 1), np.diff(result.known_starts))
        rows = result.rows[exact_positions(result.starts, result.known_starts)]
        return shard.similarities_without_bias_at(request.vectors, rows, queries)

    def _sum_candidate_values(self, result: ScanResult, temperatures: F64) -> F64:
        """Return float64[q, d_v], for each query the weighted sum of its candidates' values.

        Candidates are the rows that the scan listed. A query's best candidate has weight 1.

        Args:
            result: the result of the scan.
            temperatures: float64[q].
        """
        weights, _ = relative_weights(result, temperatures)
        queries = np.repeat(np.arange(len(result.starts) - 1), np.diff(result.starts))
        outputs = np.zeros((len(result.starts) - 1, self._view.value_dimension or 0))
        self._shard.add_values(result.rows, queries, weights, outputs)
        return outputs

    def _similarities(self, arrays: Mapping[str, Array]) -> MutableMessage:
        rows, vectors, queries = self._find_rows(arrays["numbers"]), arrays["vectors"], arrays["queries"]
        similarities = {"similarities": self._shard.similarities_at(vectors, rows, queries)}
        if isinstance(self._shard, BiasedShard):
            similarities["unbiased"] = self._shard.similarities_without_bias_at(vectors, rows, queries)
        return {}, similarities

    def _values(self, arrays: Mapping[str, Array]) -> MutableMessage:
        order = np.argsort(arrays["queries"], kind="stable")
        outputs = np.zeros((self._fields["queries"], self._view.value_dimension or 0))
        rows, queries, weights = self._find_rows(arrays["numbers"]), arrays["queries"], arrays["weights"]
        self._shard.add_values(rows[order], queries[order], weights[order], outputs)
        return {}, {"outputs": outputs}

    def _owners(self, arrays: Mapping[str, Array]) -> MutableMessage:
        return {}, {"owners": self._shard.owners(self._find_rows(arrays["numbers"]))}

    def _key_counts(self, arrays: Mapping[str, Array]) -> MutableMessage:
        return {}, {"counts": self._shard.key_counts(arrays["numbers"])}

    def _rows_of(self, arrays: Mapping[str, Array]) -> MutableMessage:
        return {}, {"numbers": self._shard.numbers(self._shard.rows_of(arrays["numbers"]))}

    def _residuals(self, _: Mapping[str, Array]) -> MutableMessage:
        residuals = self._shard.value_residuals
        return {"count": residuals.count}, {"total": residuals.total}

    def _residuals_at(self, arrays: Mapping[str, Array]) -> MutableMessage:
        residuals = self._shard.residuals_at(self._find_rows(arrays["numbers"]))
        return {"count": residuals.count}, {"total": residuals.total}

    def _digest(self, arrays: Mapping[str, Array]) -> MutableMessage:
        digest = self._shard.digest(np.sort(self._find_rows(arrays["numbers"])))
        return {"digest": None if digest is None else digest.hex()}, {}

    def _every_row(self, arrays: Mapping[str, Array]) -> MutableMessage:
        vectors = arrays["vectors"]
        passing = PassingRows(self._view, self._mask, TILE_ROWS)
        numbers = passing.row_indices.numbers(np.arange(passing.n))
        rows, similarities = self._find_rows(numbers), np.empty((len(vectors), passing.n))
        for query, row in enumerate(similarities):
            row[:] = self._shard.similarities_at(vectors, rows, np.full(len(rows), query))
        fields = {name: getattr(passing, name) for name in ("key_norm", "value_norm")}
        return fields, {"numbers": numbers, "owners": passing.owners(), "similarities": similarities}

    def _sums(self, arrays: Mapping[str, Array]) -> MutableMessage:
        passing = PassingRows(self._view, self._mask, TILE_ROWS)
        numbers = passing.row_indices.numbers(np.arange(passing.n))
        order = np.argsort(numbers)
        weights = np.zeros((len(arrays["weights"]), passing.n))
        weights[:, order[np.searchsorted(numbers[order], arrays["numbers"])]] = arrays["weights"]
        return {}, {"outputs": compute_all_sums(passing.groups, weights, self._view.value_dimension or 0)}

    def _find_rows(self, numbers: I64) -> I64:
        """Return int64[m], the indices in the view of the rows with these permanent row numbers.

        Raises:
            KeyError: a row is not in the view.
        """
        rows, start = np.full(len(numbers), -1, dtype=np.int64), 0
        for segment in self._view.segments:
            indices = np.minimum(np.searchsorted(segment.numbers, numbers), segment.count - 1)
            is_here = segment.numbers[indices] == numbers
            rows[is_here] = start + indices[is_here]
            start += segment.count
        if (rows < 0).any():
            raise KeyError(f"row {int(numbers[rows < 0][0])} is not among those asked about")
        return rows


def _open_shard(view: View, mask: Mask | None, fields: Mapping[str, Any], bias: Bias | None) -> LocalShard:
    """Return the rows that a message is about, as a shard to scan.

    If the message names a bias and has a temperature, the shard compares rows by logits, otherwise by similarities.

    Raises:
        ParameterError: a bias and a temperature, but some rows have no 8-bit codes.
    """
    facts, temperature = _statistics(view, fields.get("all")), fields.get("temperature")
    if bias is not None and temperature is not None and view.bare:
        raise ParameterError("Some rows have no codes yet, and a scan with a bias needs them. Ask another replica.")
    return open_local(view, mask, None if temperature is None else bias, temperature or 0.0, facts)


def _statistics(view: View, all_rows: Mapping[str, Any] | None) -> BlockStatistics:
    """Return the statistics of all rows of a collection, from a message, with only the fields that a scan needs.

    Args:
        view: the rows of this host.
        all_rows: the statistics in the message; None to return those of this host's rows.
    """
    if all_rows is None:
        return view.facts
    return BlockStatistics(
        similarity=view.similarity,
        n=all_rows["n"],
        documents=all_rows["documents"],
        longest=np.empty(0, dtype=np.int64),
        most_keys=1,
        value_dimension=view.value_dimension,
        key_norm=all_rows["key_norm"],
        value_norm=0.0,
        blocks=0,
    )
