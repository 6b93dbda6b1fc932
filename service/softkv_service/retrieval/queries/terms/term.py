"""The protocol of a term: it adds to the logits of documents, and so changes their weights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from softkv_attention.arrays import F64, I64
from softkv_service.retrieval.collections import Collection, Snapshot
from softkv_service.retrieval.queries.terms.heads import Head
from softkv_service.retrieval.terms import Explanation, Term


class Addends:
    """The numbers that a term adds to the logits of documents, for one query; the base of what terms return.

    Attributes:
        metadata, sent: the terms of the documents' metadata, and these as they were sent; empty for other terms.
    """

    metadata: Sequence[Term] = ()
    sent: Any = None

    @property
    def by_row(self) -> tuple[I64, F64] | None:
        """The documents that it adds to: their rows int64[r], ascending, and float64[r]; None for metadata."""
        return None

    def score(self, row: int) -> float:
        """Return the logit of the reranker that has read a document; 0 if none has."""
        return 0.0

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these rows how the number that is added to its logit is computed, as JSON."""
        raise NotImplementedError


class HeadAddends(Addends):
    """The numbers of a model that has read the best documents; the base of what such terms return.

    Attributes:
        rows: int64[r], the ascending rows of the documents that it has read.
        logits: float64[r], what it says of each.
    """

    rows: I64
    logits: F64

    @property
    def by_row(self) -> tuple[I64, F64]:
        """The documents that it has read, and the number that is added to the logit of each."""
        raise NotImplementedError

    def score(self, row: int) -> float:
        """Return what it says of a document; 0 if it has not read it."""
        return float(self.logits[self.rows == row].sum())


class QueryTerm:
    """A term of a question, with addends for each of its queries; the base of terms.

    Attributes:
        depth: the number of documents of a query, the best ones without this term, that it has yet to read before it
            has addends; 0 if it has them.
    """

    depth: int = 0

    async def prepare(self, collection: Collection) -> QueryTerm:
        """Return the term with what it needs of the collection, and can have before the lookup.

        Raises:
            RetrievalError: the collection cannot be queried, or a model is not ready.
        """
        return self

    async def read(self, heads: Sequence[Head]) -> ReadTerm:
        """Return a term with a depth as it is after it has read the best documents of each query.

        Raises:
            RetrievalError: a model cannot read them.
        """
        raise NotImplementedError

    def addends(self, snapshot: Snapshot, query: int) -> Addends:
        """Return the addends for the query with this index, in one version of the collection."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class HeadTerm(QueryTerm):
    """A term that is ready to read the best documents of each query.

    Attributes:
        read_head: reads the best documents of the query with this index, and returns the addends.
    """

    read_head: Callable[[int, Head], Awaitable[HeadAddends]]
    depth: int

    async def read(self, heads: Sequence[Head]) -> ReadTerm:
        """Return the term with the addends for all queries."""
        return ReadTerm(await asyncio.gather(*(self.read_head(query, head) for query, head in enumerate(heads))))


@dataclass(frozen=True, eq=False)
class ReadTerm(QueryTerm):
    """A term that has read the best documents of each query.

    Attributes:
        of_queries: the addends for each query.
    """

    of_queries: Sequence[HeadAddends]

    def addends(self, snapshot: Snapshot, query: int) -> HeadAddends:
        """Return the addends for the query with this index."""
        return self.of_queries[query]
