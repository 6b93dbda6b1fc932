"""What any part says whose rows are compared by their similarities: it follows from the facts of all rows."""

from __future__ import annotations

from collections.abc import Callable

from attention.dtypes import F64, I64, Index
from attention.lookup.answer import Answer
from attention.lookup.bounds.similarities import Slack, similarity_slack
from attention.lookup.codes.quantisation import QueryCodes, code_queries
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.question import Question
from attention.lookup.shards.scan_result import ScanRequest


class BySimilarity:
    """The beginning of a `Part`.

    Attributes:
        facts: see `Part`.
        in_logits: see `Part`; here it has none.
    """

    in_logits = False
    facts: BlockStatistics

    def asked(self, question: Question) -> Question:
        """The question as it is asked of what these rows are compared by: here of similarities."""
        return question

    def restored(self, question: Question, found: Answer) -> Answer:
        """The answer to a question, of what was answered to it as it was asked."""
        return found

    def raw(self, query: F64, places: I64) -> Callable[[Index], F64] | None:
        """The similarities of a query and of some of rows at `places`, where `similarities_at` has others; or None."""
        return None

    def slack(self, query: F64) -> Slack:
        """How far rounding can carry what `similarities_at` computes."""
        return similarity_slack(self.facts.similarity, query, self.facts.key_norm)

    def codes(self, wanted: ScanRequest) -> QueryCodes:
        """The queries in codes."""
        return code_queries(
            self.facts.similarity,
            wanted.vectors,
            outputs=wanted.outputs,
            temperatures=None if wanted.fine else wanted.temperatures,
            key_norm=self.facts.key_norm,
            fine=wanted.fine,
        )
