"""The rows of a view where what is compared are logits, s/T + bias: a scan adds the bias to every product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.answer import Answer
from attention.lookup.bounds.similarities import Slack, widen_for_addends
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.scan_result import ScanRequest
from attention.lookup.softmax.distribution import restore_evidence

MAX_LOGIT, MIN_QUERY_LENGTH = 1e30, 1e-30
"""What float32 adds with room to spare; and the least length of a query over its temperature, for it to have steps."""


def restore_similarities(question: Question, found: Answer, keys: int) -> Answer:
    """The answer to a question with a bias, of what logits answered, of so many rows that pass."""
    temperature = question.temperature
    assert not isinstance(temperature, Auto)
    null = question.null_key(temperature, keys)
    return replace(found, evidence=restore_evidence(found.evidence, null, temperature))


class BiasedShard(LocalShard):
    """The rows that a mask lets through, as questions of one bias and one temperature compare them.

    A query over T and the bias at temperature 1 make the softmax that the query and the bias make at T. So everything
    here is in logits: what a scan sums, lists and bounds, and what is looked up in float64; see `Question.in_logits`.
    """

    in_logits = True

    def __init__(
        self, view: View, mask: Mask | None, bias: Bias, temperature: float, facts: BlockStatistics | None = None
    ) -> None:
        super().__init__(view, mask, bias, facts)
        self._addends, self._temperature = bias, temperature

    def fits(self, query: F64) -> bool:
        """Whether a scan can hold the logits of its keys; at temperature 0 there are none."""
        if not (super().fits(query) and self._temperature > 0):
            return False
        length = 1.0 if self.facts.similarity == "cosine" else float(np.linalg.norm(query))
        reach = self._reach(query) / self._temperature + self._addends.largest
        return length / self._temperature >= MIN_QUERY_LENGTH and reach <= MAX_LOGIT

    def scan_question(self, question: Question) -> Question:
        """The question as it is asked of logits."""
        return question.in_logits(self.keys)

    def restore(self, question: Question, answer: Answer) -> Answer:
        """The answer to a question, of what logits answered."""
        return restore_similarities(question, answer, self.keys)

    def raw(self, query: F64, places: I64) -> Callable[[Index], F64] | None:
        """The similarities themselves of a query and of some of the rows at `places`."""
        return lambda at: LocalShard.similarities_at(self, query[None], places[at], np.zeros(len(at), dtype=np.int64))

    def slack(self, query: F64) -> Slack:
        """How far rounding in float64 can carry a logit."""
        return super().slack(query).in_logits(self._temperature, self._reach(query))

    def codes(self, request: ScanRequest) -> QueryCodes:
        """The queries in codes, over the temperature."""
        own = np.full(len(request.vectors), self._temperature)
        return super().codes(replace(request, temperatures=own)).over(self._temperature)

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """float64[m]: the logit of query `queries[i]` with the row at `places[i]`."""
        similarities = super().similarities_at(vectors, places, queries)
        return np.asarray(similarities / self._temperature + self._addends.at(self._rows, places))

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key, and have one bias."""
        biases = self._addends.at(self._rows, places)
        return bool((biases == biases[0]).all()) and super().alike(places)

    def digest(self, places: Index) -> bytes | None:
        """Of the key and the bias that the rows at `places`, ascending, have in common; None where they have none."""
        key = super().digest(places)
        return None if key is None else key + (self._addends.at(self._rows, places[:1]) + 0.0).tobytes()

    def _widen_errors(self, errors: F64, thresholds: F64, starts: I64, similarities: F64) -> F64:
        return widen_for_addends(errors, thresholds, starts, similarities)

    def _reach(self, query: F64) -> float:
        """At least the size of any similarity."""
        longest = float(np.linalg.norm(query)) * self.facts.key_norm * (1 + 1e-9)
        return 1.0 if self.facts.similarity == "cosine" else longest
