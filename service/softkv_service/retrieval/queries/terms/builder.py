"""The terms of a query together: all numbers that are added to the logits of documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from softkv_attention.arrays import I64
from softkv_attention.lookup import Answer, AnyBias, AnyMask
from softkv_service.retrieval.collections import Collection, Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.question import Array
from softkv_service.retrieval.queries.terms.late import LateTerm
from softkv_service.retrieval.queries.terms.reranker import RerankTerm
from softkv_service.retrieval.queries.terms.words import FullTextTerm, RankCache, check_words
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, parse_bias
from softkv_service.scheduling import READS
from softkv_service.storage.conditions import Searched, SearchTerm

ReadTerm: TypeAlias = RerankTerm | LateTerm
"""The term of what has read the best documents of a query."""


@dataclass(frozen=True, eq=False)
class LogitTerms:
    """The terms of one query: all numbers that are added to the documents' logits.

    Attributes:
        words: the full-text term; None without one.
        explain_bias: returns the explanations of each document's bias (terms of its metadata), one for each term, in
            order.
        bias: the sum of all terms; None if a reranker's is the only one and the keys are not scanned with it.
        reranked: the term of a reranker or of late interaction; None without one.
    """

    words: FullTextTerm | None
    explain_bias: Callable[[I64], list[list[Explanation]]]
    bias: AnyBias | None
    reranked: ReadTerm | None = None

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these rows a list with one explanation per term that is added to its logit."""
        explanations = self.explain_bias(rows)
        if self.words is not None:
            explanations = [[line, *lines] for line, lines in zip(self.words.explain(rows), explanations, strict=True)]
        if self.reranked is not None:
            pairs = zip(explanations, self.reranked.explain(rows), strict=True)
            explanations = [[*lines, line] for lines, line in pairs]
        return explanations

    def score_of_best(self, answer: Answer) -> float:
        """Return the reranker's logit of an answer's best document; 0 without one, or if it has not read it."""
        if self.reranked is None or not len(answer.logits):
            return 0.0
        best = int(answer.numbers[(answer.logits + answer.log_weight_of_other_parts).argmax()])
        return float(self.reranked.logits[self.reranked.rows == best].sum())

    def count_containing(self, mask: AnyMask | None) -> int:
        """Count the documents that pass the mask and contain a word of the query."""
        assert self.bias is not None
        rows = np.empty(0, dtype=np.int64) if self.words is None else self.words.rows
        count: int = self.bias.view.count_documents(rows, self.bias.restrict(mask))
        return count


TermsBuilder: TypeAlias = Callable[[Snapshot], Sequence[LogitTerms | None]]
"""Builds the terms of each query of a request, for any version of the collection; raises RetrievalError."""


def add_reranked(terms: TermsBuilder | None, reranked: Sequence[ReadTerm]) -> TermsBuilder:
    """Return a function that builds the terms of each query together with the term of its reranker.

    Args:
        terms: builds the other terms; None without any.
        reranked: the term of each query.
    """

    def build_one(snapshot: Snapshot, joined: LogitTerms, term: ReadTerm) -> LogitTerms:
        if joined.bias is not None:
            return replace(joined, bias=joined.bias.add(term.rows, term.addends))
        return LogitTerms(None, *snapshot.build_bias((), None, (term.rows, term.addends)), term)

    def build(snapshot: Snapshot) -> list[LogitTerms]:
        without_reranker = [None] * len(reranked) if terms is None else terms(snapshot)
        pairs = zip(join_reranked(without_reranker, reranked), reranked, strict=True)
        return [build_one(snapshot, joined, term) for joined, term in pairs]

    return build


def join_reranked(terms: Sequence[LogitTerms | None], reranked: Sequence[ReadTerm]) -> list[LogitTerms]:
    """Return the terms of each query with that of its reranker, which is not in their bias."""
    return [
        LogitTerms(None, lambda rows: [[] for _ in rows], None, term)
        if other is None
        else replace(other, reranked=term)
        for other, term in zip(terms, reranked, strict=True)
    ]


async def prepare_terms(
    collection: Collection, queries: Sequence[str | Array | None], question: CollectionQuestion
) -> TermsBuilder:
    """Return a function that builds, for each query, the terms that are added to the documents' logits.

    If the question has full text, documents are ranked first.

    Args:
        collection: the collection to query.
        queries: texts, or vectors [d].
        question: the question that has the queries.

    Raises:
        InvalidContent: an invalid option; the returned function raises it, too.
        RetrievalError: the collection cannot be queried.
    """
    weight, ranked = question.text_terms.full_text, RankCache()
    builder = build_terms(
        queries,
        weight,
        question.bias,
        question.temperature,
        question.normaliser,
        ranked,
        now=question.now,
        searched=question.searched,
    )
    if weight:

        def rank() -> None:
            with collection.snapshot() as snapshot:
                texts = [query for query in queries if isinstance(query, str)]
                ranked.find(snapshot, texts if question.searched is None else [question.searched])

        await READS.run(rank)
    return builder


def build_terms(
    queries: Sequence[Any],
    full_text: float | None,
    bias: Any,
    temperature: Any = None,
    normaliser: str = "softmax",
    ranked: RankCache | None = None,
    *,
    now: int | None = None,
    searched: tuple[SearchTerm, ...] | None = None,
) -> TermsBuilder:
    """Return a function that builds, for a snapshot, the terms that are added to the documents' logits.

    It returns one `LogitTerms` for each query; None for a query without terms. Equal terms share one object.

    Args:
        queries: texts, or vectors [d].
        full_text: the weight of their words; None or 0 for no full text.
        bias: the bias (terms of the documents' metadata) as it was sent.
        temperature, normaliser: as they were sent.
        ranked: the full-text ranks that were computed before.
        now: the start of the request, in microseconds of Unix time, at which relative instants of the bias count.
        searched: the terms that are ranked for each query; None for the words of each.

    Raises:
        InvalidContent: an invalid bias, full text of a vector, or options that allow no terms.
    """
    terms, weight = parse_bias(bias, now), full_text or 0.0
    if not terms and not weight:
        return lambda snapshot: [None] * len(queries)
    name = "full_text" if weight else "bias"
    if weight and searched is None:
        check_words(queries)
    if temperature == "auto":
        reason = f'temperature "auto" is not for a question with {name}, whose weights need not spread as it rises'
        raise InvalidContent.at("/temperature", f"{reason}: give a number")
    if normaliser != "softmax":
        raise InvalidContent.at("/normaliser", f"{name} is for softmax, got {normaliser}: leave one of the two out")
    texts = [None] * len(queries) if not weight else queries if searched is None else [searched] * len(queries)
    cache = RankCache() if ranked is None else ranked

    def build(snapshot: Snapshot) -> list[LogitTerms]:
        def build_one(text: Searched | None) -> LogitTerms:
            words = None if text is None else FullTextTerm(weight, *cache.of(snapshot, text))
            of_words = None if words is None else (words.rows, words.of(words.rows))
            return LogitTerms(words, *snapshot.build_bias(terms, bias, of_words))

        return [snapshot.once((weight, text, terms), partial(build_one, text)) for text in texts]

    return build
