"""A shard of rows that are compared by their logits, s/T + bias: a scan adds the bias to every product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.bounds.similarities import Slack, widen_for_addends
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import Mask, View
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.scan_result import ScanRequest

MAX_LOGIT, MIN_QUERY_LENGTH = 1e30, 1e-30
"""The largest logit that float32 adds safely; and the least length of a query over its temperature that has codes."""


class BiasedShard(LocalShard):
    """The rows that a mask lets through, for questions with one bias and one temperature.

    The softmax of q·k/T + bias at temperature 1 is that of the query and the bias at T. So everything in this class is
    in logits: sums, lists and bounds of a scan, and similarities in float64; see `Question.in_logits`.
    """

    in_logits = True

    def __init__(
        self, view: View, mask: Mask | None, bias: Bias, temperature: float, facts: BlockStatistics | None = None
    ) -> None:
        super().__init__(view, mask, bias, facts)
        self._addends, self._temperature = bias, temperature

    def fits(self, query: F64) -> bool:
        """See `Shard`; never at temperature 0, which has no logits."""
        if not (super().fits(query) and self._temperature > 0):
            return False
        length = 1.0 if self.facts.similarity == "cosine" else float(np.linalg.norm(query))
        reach = self._reach(query) / self._temperature + self._addends.largest
        return length / self._temperature >= MIN_QUERY_LENGTH and reach <= MAX_LOGIT

    def raw(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """See `Shard`."""

        def compute(positions: Index) -> F64:
            queries = np.zeros(len(positions), dtype=np.int64)
            return LocalShard.similarities_at(self, query[None], rows[positions], queries)

        return compute

    def slack(self, query: F64) -> Slack:
        """See `Shard`."""
        return super().slack(query).in_logits(self._temperature, self._reach(query))

    def codes(self, request: ScanRequest) -> QueryCodes:
        """See `LocalShard`; the queries are divided by the temperature."""
        temperatures = np.full(len(request.vectors), self._temperature)
        return super().codes(replace(request, temperatures=temperatures)).over(self._temperature)

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """See `Shard`; logits."""
        similarities = super().similarities_at(vectors, rows, queries)
        return np.asarray(similarities / self._temperature + self._addends.at(self._rows, rows))

    def alike(self, rows: Index) -> bool:
        """See `Shard`; True only if the rows have one bias, too."""
        biases = self._addends.at(self._rows, rows)
        return bool((biases == biases[0]).all()) and super().alike(rows)

    def digest(self, rows: Index) -> bytes | None:
        """Return the digest of the one key and bias of these rows, which ascend; None if they have several."""
        key_digest = super().digest(rows)
        return None if key_digest is None else key_digest + (self._addends.at(self._rows, rows[:1]) + 0.0).tobytes()

    def _widen_errors(self, errors: F64, thresholds: F64, starts: I64, similarities: F64) -> F64:
        return widen_for_addends(errors, thresholds, starts, similarities)

    def _reach(self, query: F64) -> float:
        """Return an upper bound on the absolute similarity of any row."""
        longest = float(np.linalg.norm(query)) * self.facts.key_norm * (1 + 1e-9)
        return 1.0 if self.facts.similarity == "cosine" else longest
