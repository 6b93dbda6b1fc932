"""Attention over every document of a collection: encode → terms → lookup → readers → judge → shape.

A `Plan` has the encoded queries of a request, their terms and readers. It asks each version of the collection that
answers it, and what follows from its answers is read and judged there. The route shapes the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from softkv_attention.lookup import Answer, Coverage, Question, add_to_head, before_addends, cover_missing_rows
from softkv_service.encoding import EncoderFacts, Encoders
from softkv_service.retrieval.calibration import RerankerSettings
from softkv_service.retrieval.collections import Collection, Planned, Snapshot, get_null_encoder, parse_filter
from softkv_service.retrieval.queries.documents import StoredDocuments
from softkv_service.retrieval.queries.encoded import EncodedQuery, check_complete, check_queries, encode_queries
from softkv_service.retrieval.queries.lookup import lookup_question
from softkv_service.retrieval.queries.places import check_places
from softkv_service.retrieval.queries.query_parts import EncodedSum, Query, WeightedSum, add_up, encode_sums, keys_in
from softkv_service.retrieval.queries.readers import Reader, choose_readers
from softkv_service.retrieval.queries.results import (
    Answered,
    Result,
    ResultBuilder,
    summarise_full_text,
    warn_of_filters,
)
from softkv_service.retrieval.queries.terms import (
    NO_LOGIT_TERMS,
    Head,
    HeadAddends,
    LogitTerms,
    QueryTerm,
    ReadTerm,
    add_up_terms,
    choose_terms,
    encode_words,
    most_documents,
    read_head,
)
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.verdict import UNCALIBRATED, resolve_null
from softkv_service.storage.errors import NotInMemory
from softkv_service.storage.records import CollectionRecord

DOCUMENTS_PER_EXTRA_QUESTION = 2**16
"""A full-text query counts as one extra query of a batch per 65,536 documents."""

MAX_QUERIES_AT_ONCE = 64
"""Queries whose best documents a reranker reads at once for a calibration."""

T = TypeVar("T")


async def attend_collection(
    collection: Collection, queries: Sequence[Query], question: CollectionQuestion, pointers: Sequence[str]
) -> list[Result]:
    """Attend from each query over the documents of a collection.

    Args:
        collection: the collection.
        queries: texts, encoded by the collection's encoder, vectors [d], or weighted sums of these and of documents.
        question: the options of each query.
        pointers: the position of each query in the request, for errors.

    Returns:
        One result per query, in order; all of one version of the collection.

    Raises:
        RetrievalError: a query does not fit the collection, or options cannot be met.
    """
    plan = await Plan.prepare(collection, queries, question, pointers)
    results = await plan.ask(collection)
    for reader in plan.readers:
        results = await reader.complete(collection, results)
    return results


@dataclass(frozen=True, eq=False)
class Plan:
    """The queries of a request as far as they are ready before a version of the collection is read.

    Attributes:
        queries: the queries with their vectors; weighted sums with those of their texts.
        question: the options of each query, resolved by the collection's calibration.
        pointers: the position of each query in the request, for errors.
        encoder: the facts of the encoder, if the null key needs them.
        terms: what changes the weights.
        readers: what describes the answers.
    """

    queries: Sequence[EncodedQuery | EncodedSum]
    question: CollectionQuestion
    pointers: Sequence[str]
    encoder: EncoderFacts | None
    terms: Sequence[QueryTerm]
    readers: Sequence[Reader]

    @classmethod
    async def prepare(
        cls, collection: Collection, queries: Sequence[Query], question: CollectionQuestion, pointers: Sequence[str]
    ) -> Plan:
        """Check the options, encode the texts, and prepare the terms; see `attend_collection`."""
        record, encoders = collection.record, collection.encoders
        readers = choose_readers(record, question, queries)
        question, terms = choose_terms(collection, queries, question, pointers)
        if question.shares_places:
            check_places(record, question, next((reader.name for reader in readers if reader.is_of_first), None))
        if question.compares_words:
            await encode_words(collection, queries)
        encoded = await _encode(encoders, record, queries, pointers)
        encoder = await get_null_encoder(encoders, record, question.null)
        prepared = [await term.prepare(collection) for term in terms]
        return cls(encoded, question, pointers, encoder, prepared, readers)

    async def ask(self, collection: Collection) -> list[Result]:
        """Look the queries up, and return their results. If a term has yet to read documents, it does so first."""
        build: Callable[[Snapshot], Planned[list[Result]]] = self.build
        count = len(self.queries)
        if self.head_term is not None:
            first = await self.read_heads(collection, self.head_term, count)
            results = first.results()
            if results is not None:
                return results
            build, count = first.build, 0
        documents = collection.size
        return await collection.ask(
            build,
            size=self.scan_size(documents),
            read=self.documents_read(documents),
            count=count,
            lookup_only=self.lookup_only,
        )

    async def read_heads(self, collection: Collection, term: QueryTerm, count: int = 0) -> FirstLook:
        """Let a term read the best documents of each query. A document that is written meanwhile gets no addend.

        Args:
            collection: the collection to query.
            term: the term.
            count: the number of questions that the caller asked.

        Raises:
            RetrievalError: a model cannot read a query beside a document, or the collection cannot be queried.
        """
        read_per_query = term.depth + (self.question.head or 0)
        first = await collection.ask(
            partial(self.build_first, term.depth),
            size=len(self.queries),
            read=len(self.queries) * min(read_per_query, collection.size),
            count=count,
            lookup_only=self.lookup_only,
        )
        return replace(first, read=await term.read(first.heads))

    @property
    def head_term(self) -> QueryTerm | None:
        """The term that has yet to read the best documents of each query; None if all terms have addends."""
        return next((term for term in self.terms if term.depth), None)

    @property
    def prior_terms(self) -> list[QueryTerm]:
        """The terms whose addends are known before the lookup."""
        return [term for term in self.terms if not term.depth]

    @property
    def lookup_only(self) -> bool:
        """Whether its lookup is most of the work that answering takes."""
        bounded = self.question.top_k is not None or self.question.top_p is None
        sums = any(isinstance(query, EncodedSum) for query in self.queries)
        return bounded and not self.prior_terms and not self.reads_all and not sums

    @property
    def reads_all(self) -> bool:
        """Whether a reader reads a number of every document."""
        return any(reader.reads_all for reader in self.readers)

    def documents_read(self, documents: int) -> int:
        """Return how many documents of a collection are read for the answers, and for weighted sums."""
        per_query = documents if self.reads_all else min(self.question.head or 0, documents)
        parts = sum(len(query.sent.parts) for query in self.queries if isinstance(query, EncodedSum))
        return len(self.queries) * per_query + parts

    def scan_size(self, documents: int) -> int:
        """Return as how many questions of a batch the queries count, in a collection of this many documents.

        Full text or a reranker is a bias of its own for each query, held in memory while its batch is answered.
        """
        if not self.question.full_text and self.question.reranker is None:
            return len(self.queries)
        return len(self.queries) * (1 + documents // DOCUMENTS_PER_EXTRA_QUESTION)

    def build(self, snapshot: Snapshot) -> PlannedQueries:
        """Build the questions for one version of the collection.

        Raises:
            RetrievalError: a query does not fit the collection, or documents are unavailable.
        """
        record, question = snapshot.record, self.question
        if snapshot.missing is not None and not question.allow_missing:
            check_complete(snapshot)
        weigh_all = any(reader.weighs_all for reader in self.readers)
        queries = [query for query in self.queries if isinstance(query, EncodedQuery)]
        if len(queries) < len(self.queries) or record.settings.projection is not None:
            queries = add_up(record, self.queries, keys_in(snapshot))
        check_queries(record, [query.vector for query in queries], self.pointers)
        condition = None if question.filter is None else parse_filter(question.filter, question.now)
        null = resolve_null(
            record,
            partial(snapshot.own, condition),
            question.null,
            self.encoder,
            question.text_terms,
        )
        mask, exact = snapshot.passing(condition), snapshot.restriction is not None
        if "output" in question.fields:
            snapshot.require_values(mask)
        terms = add_up_terms(self.terms, snapshot, len(queries)) if self.terms else [None] * len(queries)
        questions = [
            lookup_question(
                record,
                query.vector,
                question,
                null.of(query.sent, query.vector),
                mask,
                None if added is None else added.bias,
                weigh_all=weigh_all,
                exact=exact,
            )
            for query, added in zip(queries, terms, strict=True)
        ]
        return PlannedQueries(self, snapshot, queries, questions, terms)

    def build_first(self, depth: int, snapshot: Snapshot) -> Lookup[FirstLook]:
        """Build the questions without the term that has yet to read documents; their answers list these documents.

        Args:
            depth: the number of documents that it reads.
            snapshot: the version of the collection.
        """
        planned, facts = replace(self, terms=self.prior_terms).build(snapshot), snapshot.view.facts
        before = [before_addends(question, facts, depth) for question in planned.questions]
        questions = [question for question in before if question is not None]
        may_add = len(questions) == len(before) and not self.question.allow_missing
        if not may_add:
            questions = [
                replace(question, top_k=depth + 1, top_p=None, max_error=None, output=False, weigh_all=False)
                for question in planned.questions
            ]

        def finish(batch_answers: list[Answer]) -> FirstLook:
            heads = [read_head(snapshot, answer, depth) for answer in batch_answers]
            return FirstLook(planned, batch_answers if may_add else None, heads)

        return Lookup(questions, finish)


@dataclass(frozen=True, eq=False)
class Lookup(Generic[T]):
    """Questions to one version of a collection, and what follows from their answers."""

    questions: Sequence[Question]
    finish: Callable[[list[Answer]], T]


@dataclass(frozen=True, eq=False)
class FirstLook:
    """The answers to the queries of a plan before a term has read their best documents.

    Attributes:
        planned: the queries in the version of the collection that was read, with the other terms.
        answers: their answers; None if `add_to_head` is not for these questions.
        heads: the best documents of each query.
        read: the term with its addends; None before it has read them.
    """

    planned: PlannedQueries
    answers: Sequence[Answer] | None
    heads: Sequence[Head]
    read: ReadTerm | None = None

    def results(self) -> list[Result] | None:
        """Return the results of the version whose best documents were read; None if another look has to be taken.

        The other look scans the keys with all terms, or reads documents that are not in memory, such as those that were
        deleted meanwhile. Its results are of the version that it sees.
        """
        snapshot = self.planned.snapshot
        if not snapshot.lasts or (build := self._settle(snapshot)) is None:
            return None
        with suppress(NotInMemory):
            return build()
        return None

    def build(self, snapshot: Snapshot) -> Planned[list[Result]]:
        """Build the questions with all terms for one version of the collection.

        No question is left if the first answers have this version, and the addends can be added to them.
        """
        build, plan = self._settle(snapshot), self.planned.plan
        if build is not None:
            return Lookup((), lambda _: build())
        assert self.read is not None
        return replace(plan, terms=[*plan.terms, self.read]).build(snapshot)

    def _settle(self, snapshot: Snapshot) -> Callable[[], list[Result]] | None:
        """Return a function that builds the results with the addends; None if that takes another scan."""
        before, read = self.planned.snapshot, self.read
        assert read is not None
        same = snapshot is before or (snapshot.view is before.view and snapshot.state == before.state)
        if self.answers is None or not same:
            return None
        settled, terms = list[Answer](), list[LogitTerms | None]()
        sums = add_up_terms(self.planned.plan.terms, snapshot, len(self.answers))
        for answer, question, addends, other in zip(
            self.answers, self.planned.questions, read.of_queries, sums, strict=True
        ):
            added = add_to_head(answer, question, snapshot.view.facts, *addends.by_row)
            if added is None:
                return None
            settled.append(added)
            terms.append((other or NO_LOGIT_TERMS).join(addends))
        return partial(replace(self.planned, snapshot=snapshot, terms=terms).finish, settled)


@dataclass(frozen=True, eq=False)
class PlannedQueries:
    """The queries of a plan in one version of the collection.

    Attributes:
        queries: each query with its vector.
        questions: each query as the lookup answers it.
        terms: the terms that are added to the logits for each query; None for a query without any.
    """

    plan: Plan
    snapshot: Snapshot
    queries: Sequence[EncodedQuery]
    questions: list[Question]
    terms: Sequence[LogitTerms | None]

    def finish(self, batch_answers: list[Answer]) -> list[Result]:
        """Return the result of each query: what the readers say of its answer, and the verdict."""
        snapshot, question = self.snapshot, self.plan.question
        documents = StoredDocuments(snapshot, question.reads)
        answered = Answered(question, snapshot, self.queries, self.questions, batch_answers, self.terms, documents)
        of_readers = [reader.read(answered) for reader in self.plan.readers]
        builder, results = ResultBuilder(snapshot.record, question, documents, UNCALIBRATED), list[Result]()
        for i, (query, answer) in enumerate(zip(self.queries, batch_answers, strict=True)):
            coverage, added = None, self.terms[i]
            if question.allow_missing:
                answer, coverage = cover_missing_rows(answer, self.questions[i], snapshot.view.facts, snapshot.missing)
                coverage = _count_visible(snapshot, coverage)
            readings = [readings[i] for readings in of_readers]
            result = builder.build(query, answer, None if added is None or not question.explained else added, readings)
            if coverage is not None:
                result = replace(result, coverage=coverage)
            if added is not None:
                result = replace(result, full_text=summarise_full_text(added, snapshot, question))
            if question.filter is not None or question.bias:
                result = replace(result, warnings=warn_of_filters(snapshot, question, answer.documents))
            results.append(result)
        return results


def _count_visible(snapshot: Snapshot, coverage: Coverage) -> Coverage:
    """Return a coverage that counts only the documents that the caller of a restricted snapshot sees."""
    if snapshot.restriction is None:
        return coverage
    number = snapshot.record.id
    rows, usage = snapshot.reader.rows_where(number), snapshot.reader.usage(number)
    available = snapshot.view.count_documents(rows, snapshot.passing(None))
    return replace(coverage, documents=available, total=usage.documents - usage.keyless)


async def _encode(
    encoders: Encoders, record: CollectionRecord, queries: Sequence[Query], pointers: Sequence[str]
) -> Sequence[EncodedQuery | EncodedSum]:
    """Encode the texts of queries; see `encode_sums`, and `encode_queries` if none is a weighted sum."""
    vectors_and_texts = [query for query in queries if not isinstance(query, WeightedSum)]
    if len(vectors_and_texts) == len(queries):
        return await encode_queries(encoders, record, vectors_and_texts, pointers)
    return await encode_sums(encoders, record, queries, pointers)


async def read_query_heads(
    collection: Collection,
    texts: Sequence[str],
    reranker: RerankerSettings,
    temperature: float,
    pointers: Sequence[str],
) -> list[HeadAddends]:
    """Return for each text what a reranker adds to the logits of its best documents.

    Args:
        collection: the collection to query.
        texts: the queries, as many as there are.
        reranker: the reranker, with a number as its weight.
        temperature: the temperature of the logits.
        pointers: the position of each query in the request, for errors.

    Raises:
        RetrievalError: as `Plan.read_heads`.
    """
    size = max(1, min(MAX_QUERIES_AT_ONCE, most_documents(reranker.model) // reranker.depth))
    addends = list[HeadAddends]()
    for start in range(0, len(texts), size):
        batch = slice(start, start + size)
        question = CollectionQuestion(top_k=reranker.depth, temperature=temperature, null=False, reranker=reranker)
        plan = await Plan.prepare(collection, texts[batch], question, pointers[batch])
        assert plan.head_term is not None
        first = await plan.read_heads(collection, plan.head_term)
        assert first.read is not None
        addends += first.read.of_queries
    return addends
