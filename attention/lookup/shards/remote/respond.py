"""What a holder answers: of the rows of one view that pass, what its asker wants to know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from attention.dtypes import F64, I64
from attention.kernels import pin_kernels
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.memory.view import Mask, View
from attention.lookup.rescoring.originals import compute_all_sums
from attention.lookup.scan.thresholds import ThresholdSample
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.remote.shard import relative_weights
from attention.lookup.shards.remote.summaries import summary_of
from attention.lookup.shards.remote.wire import join_record, pack_messages, split_result, split_statistics
from attention.lookup.shards.scan_result import ScanRequest, ScanResult
from attention.lookup.shards.stored import TILE_ROWS
from attention.lookup.shards.uncoded import UncodedShard
from attention.shared_memory import Array

Answer = tuple[dict[str, Any], dict[str, Array]]

SCANNING_CALLS = frozenset({"gather", "sampled", "rows", "sums"})
"""Those that read every row."""


def respond(
    views: Sequence[View], mask: Mask | None, view: View, said: Mapping[str, Any], arrays: Mapping[str, Array]
) -> Answer:
    """Answer one message of an `RemoteView`, its part or its every row.

    Args:
        views: of the ranges that are asked about.
        mask: which rows of `view` pass; None for all.
        view: the same ranges as one view.

    Raises:
        ParameterError: a call that there is not.
    """
    if said["call"] == "facts":
        return _facts(views)
    if said["call"] == "summary":
        return pack_messages([summary_of(each).message() for each in views])
    if said["call"] == "sample":
        return _sample(view, said["stride"])
    with pin_kernels():
        return _Rows(view, mask, said).answer(said["call"], arrays)


def _facts(views: Sequence[View]) -> Answer:
    """Of each range its facts, and behind which number none of its rows stands."""
    found = []
    for view in views:
        own, arrays = split_statistics(view.facts)
        ends = (int(segment.numbers[-1]) + 1 for segment in view.segments if segment.count)
        more = {"dimension": view.dimension, "end": max(ends, default=0), "coded": not view.bare}
        found.append(({"facts": own, **more}, arrays))
    return pack_messages(found)


def _sample(view: View, stride: int) -> Answer:
    """The keys of about one row in `stride`, of those that live."""
    found = []
    for segment in view.segments:
        places = np.arange(stride // 2 if segment.count > stride else 0, segment.count, stride)
        if segment.live is not None:
            places = places[segment.live[places]]
        found.append(segment.load_keys(places)[places])
    keys = np.concatenate(found) if found else np.empty((0, view.dimension or 0), dtype=np.float32)
    return {}, {"keys": keys}


class _Rows:
    """The rows that one message is about."""

    def __init__(self, view: View, mask: Mask | None, said: Mapping[str, Any]) -> None:
        self._view, self._mask, self._said = view, mask, said
        kind = UncodedShard if view.bare else LocalShard
        self._part = kind(view, mask, facts=_known(view, said.get("all")))
        self._calls: dict[str, Callable[[Mapping[str, Array]], Answer]] = {
            "counts": self._counts,
            "sampled": self._sample,
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

    def answer(self, call: str, arrays: Mapping[str, Array]) -> Answer:
        """What the call of that name is answered."""
        return self._calls[call](arrays)

    def _counts(self, _: Mapping[str, Array]) -> Answer:
        mask, view = self._mask, self._view
        counts = {"n": view.n, "scanned": view.n, "documents": view.documents}
        if mask is not None:
            counts = {"n": mask.n, "scanned": mask.scanned, "documents": mask.documents}
        return {**counts, "stride": self._part.sample_stride}, {}

    def _wanted(self, arrays: Mapping[str, Array]) -> ScanRequest:
        return join_record(ScanRequest, self._said, arrays)

    def _sample(self, arrays: Mapping[str, Array]) -> Answer:
        sampling = ThresholdSample(self._said["stride"], self._said["count"])
        best, seen = self._part.sample_similarities(self._wanted(arrays), sampling)
        return {"seen": seen}, {"best": best}

    def _gather(self, arrays: Mapping[str, Array]) -> Answer:
        if not self._part.keys:
            return {"keys": 0}, {}
        request = self._wanted(arrays)
        gathered = self._part.gather(request, arrays["thresholds"])
        said, found = split_result(gathered)
        if request.outputs and request.temperatures is not None:
            found["listed blends"] = self._listed_blends(gathered, request.temperatures)
        return said, {**found, "places": self._part.numbers(gathered.places)}

    def _listed_blends(self, gathered: ScanResult, temperatures: F64) -> F64:
        """float64[q, d_v], the values of the candidates, each as it weighs relative to the best of its query."""
        weights, _ = relative_weights(gathered, temperatures)
        queries = np.repeat(np.arange(len(gathered.starts) - 1), np.diff(gathered.starts))
        outputs = np.zeros((len(gathered.starts) - 1, self._view.value_dimension or 0))
        self._part.add_values(gathered.places, queries, weights, outputs)
        return outputs

    def _similarities(self, arrays: Mapping[str, Array]) -> Answer:
        places = self._places(arrays["numbers"])
        return {}, {"similarities": self._part.similarities_at(arrays["vectors"], places, arrays["queries"])}

    def _values(self, arrays: Mapping[str, Array]) -> Answer:
        order = np.argsort(arrays["queries"], kind="stable")
        outputs = np.zeros((self._said["queries"], self._view.value_dimension or 0))
        places, queries, weights = self._places(arrays["numbers"]), arrays["queries"], arrays["weights"]
        self._part.add_values(places[order], queries[order], weights[order], outputs)
        return {}, {"outputs": outputs}

    def _owners(self, arrays: Mapping[str, Array]) -> Answer:
        return {}, {"owners": self._part.owners(self._places(arrays["numbers"]))}

    def _key_counts(self, arrays: Mapping[str, Array]) -> Answer:
        return {}, {"counts": self._part.key_counts(arrays["numbers"])}

    def _rows_of(self, arrays: Mapping[str, Array]) -> Answer:
        return {}, {"numbers": self._part.numbers(self._part.rows_of(arrays["numbers"]))}

    def _residuals(self, _: Mapping[str, Array]) -> Answer:
        found = self._part.value_residuals
        return {"count": found.count}, {"total": found.total}

    def _residuals_at(self, arrays: Mapping[str, Array]) -> Answer:
        found = self._part.residuals_at(self._places(arrays["numbers"]))
        return {"count": found.count}, {"total": found.total}

    def _digest(self, arrays: Mapping[str, Array]) -> Answer:
        digest = self._part.digest(np.sort(self._places(arrays["numbers"])))
        return {"digest": None if digest is None else digest.hex()}, {}

    def _every_row(self, arrays: Mapping[str, Array]) -> Answer:
        vectors = arrays["vectors"]
        passing = PassingRows(self._view, self._mask, TILE_ROWS)
        numbers = passing.places.numbers(np.arange(passing.n))
        at, similarities = self._places(numbers), np.empty((len(vectors), passing.n))
        for query, row in enumerate(similarities):
            row[:] = self._part.similarities_at(vectors, at, np.full(len(at), query))
        return {}, {"numbers": numbers, "owners": passing.owners(), "similarities": similarities}

    def _sums(self, arrays: Mapping[str, Array]) -> Answer:
        passing = PassingRows(self._view, self._mask, TILE_ROWS)
        numbers, given = passing.places.numbers(np.arange(passing.n)), arrays["numbers"]
        order = np.argsort(numbers)
        weights = np.zeros((len(arrays["weights"]), passing.n))
        weights[:, order[np.searchsorted(numbers[order], given)]] = arrays["weights"]
        return {}, {"outputs": compute_all_sums(passing.tiles, weights, self._view.value_dimension or 0)}

    def _places(self, numbers: I64) -> I64:
        """Where rows stand among all of the view, those that do not pass included."""
        places, start = np.full(len(numbers), -1, dtype=np.int64), 0
        for segment in self._view.segments:
            at = np.minimum(np.searchsorted(segment.numbers, numbers), segment.count - 1)
            here = segment.numbers[at] == numbers
            places[here] = start + at[here]
            start += segment.count
        if (places < 0).any():
            raise KeyError(f"row {int(numbers[places < 0][0])} is not among those asked about")
        return places


def _known(view: View, everything: Mapping[str, Any] | None) -> BlockStatistics:
    """What is known of this view; and, where it is said, of all rows together, as far as a scan needs that."""
    if everything is None:
        return view.facts
    return BlockStatistics(
        similarity=view.similarity,
        n=everything["n"],
        documents=everything["documents"],
        longest=np.empty(0, dtype=np.int64),
        most_keys=1,
        value_dimension=view.value_dimension,
        key_norm=everything["key_norm"],
        value_norm=0.0,
        blocks=0,
    )
