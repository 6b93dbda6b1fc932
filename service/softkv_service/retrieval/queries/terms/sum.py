"""The terms of a query together: all numbers that are added to the logits of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from softkv_attention.arrays import I64
from softkv_attention.lookup import Answer, AnyBias, AnyMask
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.queries.terms.term import Addends, QueryTerm
from softkv_service.retrieval.queries.terms.words import WordAddends
from softkv_service.retrieval.terms import Explanation


@dataclass(frozen=True, eq=False)
class LogitTerms:
    """The terms of one query: all numbers that are added to the documents' logits.

    Attributes:
        parts: the addends of each term, in the order in which an explanation names them.
        bias: the sum of all terms that the keys were scanned with; None without one.
    """

    parts: Sequence[Addends]
    bias: AnyBias | None

    @cached_property
    def words(self) -> WordAddends | None:
        """The full-text term; None without one."""
        return next((part for part in self.parts if isinstance(part, WordAddends)), None)

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these rows a list with one explanation per term that is added to its logit."""
        explained = [part.explain(rows) for part in self.parts]
        return [[line for lines in of_parts for line in lines] for of_parts in zip(*explained, strict=True)]

    def score_of_best(self, answer: Answer) -> float:
        """Return the reranker's logit of an answer's best document; 0 without one, or if it has not read it."""
        if not len(answer.logits):
            return 0.0
        best = int(answer.numbers[(answer.logits + answer.log_weight_of_other_parts).argmax()])
        return sum(part.score(best) for part in self.parts)

    def count_containing(self, mask: AnyMask | None) -> int:
        """Count the documents that pass the mask and contain a word of the query."""
        assert self.bias is not None
        rows = np.empty(0, dtype=np.int64) if self.words is None else self.words.rows
        count: int = self.bias.view.count_documents(rows, self.bias.restrict(mask))
        return count

    def join(self, addends: Addends) -> LogitTerms:
        """Return these terms with one more, which the keys were not scanned with."""
        return replace(self, parts=[*self.parts, addends])

    def sum_in(self, snapshot: Snapshot) -> AnyBias | None:
        """Return the sum of all terms, in the version of the collection that they are of; None without one."""
        return _sum_once(snapshot, tuple(self.parts)).bias if self.parts else None


NO_LOGIT_TERMS = LogitTerms((), None)


def add_up_terms(terms: Sequence[QueryTerm], snapshot: Snapshot, queries: int) -> list[LogitTerms | None]:
    """Return the terms of each query of a question, in one version of the collection; None for each without terms.

    Queries with equal terms share the sum.

    Args:
        terms: the terms of the question.
        snapshot: the version.
        queries: the number of queries.

    Raises:
        RetrievalError: a term cannot be computed.
    """
    if not terms:
        return [None] * queries
    of_queries = [tuple(term.addends(snapshot, query) for term in terms) for query in range(queries)]
    return [_sum_once(snapshot, parts) for parts in of_queries]


def _sum_once(snapshot: Snapshot, parts: tuple[Addends, ...]) -> LogitTerms:
    """Return the sum of some terms, computed once for a version."""
    return snapshot.once(("terms", *parts), partial(_sum, snapshot, parts))


def _sum(snapshot: Snapshot, parts: Sequence[Addends]) -> LogitTerms:
    """Return the sum of some terms: metadata and the first addends by row are summed exactly, others follow."""
    of_metadata = next((part for part in parts if part.metadata), Addends())
    by_row = [addends for part in parts if (addends := part.by_row) is not None]
    bias = snapshot.build_bias(of_metadata.metadata, of_metadata.sent, by_row[0] if by_row else None)
    for addends in by_row[1:]:
        bias = bias.add(*addends)
    return LogitTerms(parts, bias)
