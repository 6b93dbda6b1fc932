"""Bias: the metadata of a document adds to its logit, the same for all queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from softkv_attention.arrays import I64
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.queries.terms.term import Addends, QueryTerm
from softkv_service.retrieval.terms import Explanation, Term


@dataclass(frozen=True, eq=False)
class BiasAddends(Addends):
    """The numbers that terms of the metadata add to the logits of all documents of one version."""

    snapshot: Snapshot
    metadata: Sequence[Term]
    sent: Any

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these row numbers what each term adds to its logit, as JSON."""
        return self.snapshot.explain_bias(self.metadata, self.sent, rows)


@dataclass(frozen=True, eq=False)
class BiasTerm(QueryTerm):
    """The bias of a question: its terms, and these as they were sent."""

    metadata: tuple[Term, ...]
    sent: Any

    def addends(self, snapshot: Snapshot, query: int) -> BiasAddends:
        """Return the addends of a version of the collection, which all queries share."""
        return snapshot.once(("bias", self.metadata), lambda: BiasAddends(snapshot, self.metadata, self.sent))
