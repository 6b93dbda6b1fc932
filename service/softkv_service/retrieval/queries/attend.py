"""Attention over every document of a collection, by a plan that is built once for a version of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from softkv_attention.lookup import (
    Answer,
    Coverage,
    Question,
    add_to_head,
    before_addends,
    cover_missing_rows,
)
from softkv_service.encoding import LATE, EncoderFacts
from softkv_service.retrieval.calibration import Rerank
from softkv_service.retrieval.collections import (
    Collection,
    Planned,
    PlannedReading,
    Snapshot,
    get_encoding_queue,
    get_null_encoder,
    get_reranker_queue,
    get_words_queue,
    parse_filter,
)
from softkv_service.retrieval.queries.documents import StoredDocuments
from softkv_service.retrieval.queries.lookup import lookup_question
from softkv_service.retrieval.queries.places import check_places
from softkv_service.retrieval.queries.query_parts import (
    EncodedSum,
    Query,
    WeightedSum,
    add_up,
    encode_sums,
    find_words,
    keys_in,
)
from softkv_service.retrieval.queries.question import (
    EncodedQuery,
    check_complete,
    check_queries,
    encode_queries,
)
from softkv_service.retrieval.queries.readers import Reader, check_highlight, choose_readers, highlight_matches
from softkv_service.retrieval.queries.results import (
    Answered,
    Result,
    ResultBuilder,
    summarise_full_text,
    warn_of_filters,
)
from softkv_service.retrieval.queries.terms import (
    MAX_RERANK_QUERY,
    Head,
    LogitTerms,
    ReadTerm,
    TermsBuilder,
    add_reranked,
    check_rerank,
    check_sums,
    compute_late_term,
    compute_rerank_term,
    join_reranked,
    most_documents,
    prepare_terms,
    read_head,
    resolve_rerank,
    resolve_reranked_null,
    resolve_words,
)
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.verdict import (
    OUTSIDE_CALIBRATION,
    ConfidenceModel,
    consult_labels,
    resolve_null,
    settle_confidence,
)
from softkv_service.storage.errors import NotInMemory

DOCUMENTS_PER_EXTRA_QUESTION = 2**16
"""A full-text query counts as one extra query of a batch per 65,536 documents."""

MAX_QUERIES_AT_ONCE = 64
"""Queries whose best documents a reranker reads at once for a calibration."""


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
    readers = choose_readers(question, len(queries))
    if question.rerank is not None:
        reranker = resolve_rerank(collection.record, collection.encoders, question.rerank, question.rerank.weight)
        question = question.copy_with(reranker=reranker)
        if reranker.model == LATE:
            await read_question_words(collection, queries)
    plan = await Plan.prepare(collection, queries, question, pointers, readers)
    build: Callable[[Snapshot], Planned[list[Result]]] = plan.build
    count, results = len(queries), None
    if plan.question.reranker is not None:
        heads = await read_heads(collection, plan, plan.question.reranker, count)
        build, count, results = partial(build_reranked, plan, heads), 0, heads.results()
    if results is None:
        documents, parts = collection.size, sum(len(query.parts) for query in queries if isinstance(query, WeightedSum))
        read, size = plan.documents_read(documents) + parts, plan.scan_size(documents)
        results = await collection.ask(build, size=size, read=read, count=count, lookup_only=plan.lookup_only)
    return await highlight_matches(collection, results) if "highlight" in question.fields else results


async def read_heads(collection: Collection, plan: Plan, rerank: Rerank, count: int = 0) -> Heads:
    """Let a reranker read the best documents of each query of a plan.

    The best documents are those of the plan without the reranker. A document that is written meanwhile gets no addend.

    Args:
        collection: the collection to query.
        plan: the plan without the reranker's terms.
        rerank: the reranker, with a number as its weight.
        count: the number of questions that the caller asked.

    Raises:
        InvalidContent: the service lacks the reranker, a query is a vector or too long, the reranker cannot read it
            beside a document, or the options do not allow terms.
        RetrievalError: the reranker is not ready, or the collection cannot be queried.
    """
    queries = check_rerank(plan.queries, plan.question, plan.pointers)
    read = await find_reader(collection, plan, rerank)
    lookup_only, read_per_query = plan.lookup_only, rerank.depth + (plan.question.head or 0)
    documents = len(queries) * min(read_per_query, collection.size)
    build = partial(PlannedHeads.build, plan, rerank.depth)
    heads = await collection.ask(build, size=len(queries), read=documents, count=count, lookup_only=lookup_only)
    triples = zip(queries, heads.heads, plan.pointers, strict=True)
    return replace(heads, terms=await asyncio.gather(*(read(query, head, pointer) for query, head, pointer in triples)))


ReadHead: TypeAlias = Callable[[str, Head, str], Awaitable[ReadTerm]]
"""Reads the best documents of a query, whose position in the request is the last argument, and returns a term."""


async def find_reader(collection: Collection, plan: Plan, rerank: Rerank) -> ReadHead:
    """Return what reads the best documents of a query: a reranker, or late interaction.

    Args:
        collection: the collection that is asked.
        plan: the plan of the queries.
        rerank: the reranker, with a number as its weight.

    Raises:
        InvalidContent: the service lacks the reranker, or the gain of late interaction with this encoder is unmeasured.
        RetrievalError: it is not ready.
    """
    weight = rerank.weight
    assert weight != "auto"  # resolve_rerank has replaced it by a number
    if rerank.model == LATE:
        words, late = await get_words_queue(collection.encoders, collection.record.settings)
        temperature = plan.question.temperature
        if temperature is None:
            temperature = collection.record.settings.temperature
        assert temperature != "auto"  # check_rerank
        read = partial(
            compute_late_term,
            read_kept=collection.read_words if collection.record.settings.late else None,
            explained=plan.question.explained,
        )
        return lambda query, head, _: read(words, query, head, late, temperature, weight)
    queue = await get_reranker_queue(collection.encoders, rerank.model, "/rerank/model")
    return lambda query, head, pointer: compute_rerank_term(queue, query, head, weight, pointer)


async def read_question_words(collection: Collection, queries: Sequence[Query]) -> None:
    """Read the words of the queries that are texts, and keep their vectors, which come from the same pass.

    Raises:
        InvalidContent: the gain of late interaction with the collection's encoder is unmeasured.
        RetrievalError: the encoder is not ready.
    """
    settings = collection.record.settings
    words, _ = await get_words_queue(collection.encoders, settings)
    texts = [query for query in queries if isinstance(query, str) and len(query) <= MAX_RERANK_QUERY]
    encoded = await words.encode_each(texts, "query")
    queue = await get_encoding_queue(collection.encoders, settings)
    queue.cache.keep(dict(zip(texts, encoded, strict=True)), "query")


async def read_query_heads(
    collection: Collection, texts: Sequence[str], rerank: Rerank, temperature: float, pointers: Sequence[str]
) -> list[ReadTerm]:
    """Return for each text what a reranker adds to the logits of its best documents.

    Args:
        collection: the collection to query.
        texts: the queries, as many as there are.
        rerank: the reranker, with a number as its weight.
        temperature: the temperature of the logits.
        pointers: the position of each query in the request, for errors.

    Raises:
        RetrievalError: as `read_heads`.
    """
    size, terms = max(1, min(MAX_QUERIES_AT_ONCE, most_documents(rerank.model) // rerank.depth)), list[ReadTerm]()
    for start in range(0, len(texts), size):
        batch = slice(start, start + size)
        question = CollectionQuestion(top_k=rerank.depth, temperature=temperature, null=False, reranker=rerank)
        plan = await Plan.prepare(collection, texts[batch], question, pointers[batch])
        terms += (await read_heads(collection, plan, rerank)).terms
    return terms


@dataclass(frozen=True, eq=False)
class Heads:
    """The answers to the queries of a plan before a reranker has read their best documents.

    Attributes:
        planned: the queries in the version of the collection that was read.
        answers: their answers; None if `add_to_head` is not for these questions.
        heads: the best documents of each query.
        terms: for each query what the reranker adds to the logits of these documents; empty before it has read them.
    """

    planned: PlannedQueries
    answers: Sequence[Answer] | None
    heads: Sequence[Head]
    terms: Sequence[ReadTerm] = ()

    def settle(self, snapshot: Snapshot) -> Callable[[], list[Result]] | None:
        """Return a function that builds the results with the reranker's terms; None if that takes another scan."""
        before = self.planned.snapshot
        same = snapshot is before or (snapshot.view is before.view and snapshot.state == before.state)
        if self.answers is None or not same:
            return None
        settled = list[Answer]()
        for answer, base_question, term in zip(self.answers, self.planned.questions, self.terms, strict=True):
            added = add_to_head(answer, base_question, snapshot.view.facts, term.rows, term.addends)
            if added is None:
                return None
            settled.append(added)
        terms = [None] * len(settled) if self.planned.plan.terms is None else self.planned.plan.terms(snapshot)
        planned = replace(self.planned, snapshot=snapshot, terms=join_reranked(terms, self.terms))
        return partial(planned.finish, settled)

    def results(self) -> list[Result] | None:
        """Return the results of the version whose best documents were read; None if another look has to be taken.

        The other look scans the keys with the reranker's terms, or reads documents that are not in memory, such as
        those that were deleted meanwhile. Its results are of the version that it sees.
        """
        snapshot = self.planned.snapshot
        if not snapshot.lasts or (build := self.settle(snapshot)) is None:
            return None
        with suppress(NotInMemory):
            return build()
        return None


def build_reranked(plan: Plan, heads: Heads, snapshot: Snapshot) -> Planned[list[Result]]:
    """Build the questions of a plan with a reranker's terms for one version of the collection.

    No question is left if the answers without these terms have this version, and the terms can be added to them.
    """
    build = heads.settle(snapshot)
    if build is None:
        return replace(plan, terms=add_reranked(plan.terms, heads.terms)).build(snapshot)
    return PlannedReading(lambda _: build(), snapshot)


@dataclass(frozen=True, eq=False)
class PlannedHeads:
    """The queries of a plan in one version of the collection, of which only the best documents are read.

    Attributes:
        depth: the number of these documents.
        can_settle: whether the final answers may follow from these answers.
        questions: the questions, which list enough documents.
    """

    planned: PlannedQueries
    depth: int
    can_settle: bool
    questions: Sequence[Question]

    @classmethod
    def build(cls, plan: Plan, depth: int, snapshot: Snapshot) -> PlannedHeads:
        """Build the questions for one version of the collection; see `Plan.build`."""
        planned, facts = plan.build(snapshot), snapshot.view.facts
        before = [before_addends(question, facts, depth) for question in planned.questions]
        questions = [question for question in before if question is not None]
        if len(questions) == len(before) and not plan.question.allow_missing:
            return cls(planned, depth, True, questions)
        questions = [
            replace(question, top_k=depth + 1, top_p=None, max_error=None, output=False, weigh_all=False)
            for question in planned.questions
        ]
        return cls(planned, depth, False, questions)

    def finish(self, batch_answers: list[Answer]) -> Heads:
        """Return the answers with the texts of their best documents."""
        heads = [read_head(self.planned.snapshot, answer, self.depth) for answer in batch_answers]
        return Heads(self.planned, batch_answers if self.can_settle else None, heads)


@dataclass(frozen=True, eq=False)
class Plan:
    """The queries of a request as far as they are ready before a version of the collection is read.

    Attributes:
        queries: the queries with their vectors; weighted sums with those of their texts.
        question: the options of each query, resolved by the collection's calibration.
        pointers: the position of each query in the request, for errors.
        encoder: the facts of the encoder, if the null key needs them.
        terms: builds the terms that are added to the logits; None without a bias and full text.
        readers: what describes the answers.
    """

    queries: Sequence[EncodedQuery | EncodedSum]
    question: CollectionQuestion
    pointers: Sequence[str]
    encoder: EncoderFacts | None
    terms: TermsBuilder | None
    readers: Sequence[Reader] = ()

    @property
    def lookup_only(self) -> bool:
        """Whether its lookup is most of the work that answering takes."""
        bounded = self.question.top_k is not None or self.question.top_p is None
        sums = any(isinstance(query, EncodedSum) for query in self.queries)
        return bounded and self.terms is None and not self.readers and not sums

    def documents_read(self, documents: int) -> int:
        """Return how many documents of a collection are read for the answers."""
        per_query = documents if self.readers else min(self.question.head or 0, documents)
        return len(self.queries) * per_query

    def scan_size(self, documents: int) -> int:
        """Return as how many questions of a batch the queries count, in a collection of this many documents.

        Full text or a reranker is a bias of its own for each query, held in memory while its batch is answered.
        """
        if not self.question.full_text and self.question.reranker is None:
            return len(self.queries)
        return len(self.queries) * (1 + documents // DOCUMENTS_PER_EXTRA_QUESTION)

    @classmethod
    async def prepare(
        cls,
        collection: Collection,
        queries: Sequence[Query],
        question: CollectionQuestion,
        pointers: Sequence[str],
        readers: Sequence[Reader] = (),
    ) -> Plan:
        """Check the options, rank documents for full text, and encode the texts; see `attend_collection`."""
        record, encoders = collection.record, collection.encoders
        vectors_and_texts = [query for query in queries if not isinstance(query, WeightedSum)]
        if question.full_text is not None:
            question = resolve_words(record, question)
        if question.reranker is not None:
            question = resolve_reranked_null(record, question)
        if question.min_confidence is not None:
            question = settle_confidence(record, question, has_sums=len(vectors_and_texts) < len(queries))
        if question.full_text:
            check_sums(queries, question)
        if question.diversity is not None:
            check_places(record, question)
        if "highlight" in question.fields:
            check_highlight(record)
        terms = None
        if question.full_text or question.bias is not None:
            terms = await prepare_terms(collection, [find_words(query) for query in queries], question)
        encoded: Sequence[EncodedQuery | EncodedSum]
        if len(vectors_and_texts) == len(queries):
            encoded = await encode_queries(encoders, record, vectors_and_texts, pointers)
        else:
            encoded = await encode_sums(encoders, record, queries, pointers)
        encoder = await get_null_encoder(encoders, record, question.null)
        return cls(encoded, question, pointers, encoder, terms, readers)

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
        terms = [None] * len(self.queries) if self.terms is None else self.terms(snapshot)
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
        """Return the result of each query, which follows from its answer."""
        snapshot, question = self.snapshot, self.plan.question
        documents = StoredDocuments(snapshot, question.reads)
        confidences, labels = self._compute_confidences(batch_answers)
        answered = Answered(question, snapshot, self.questions, batch_answers, self.terms, documents)
        of_readers = [reader.read(answered) for reader in self.plan.readers]
        results = list[Result]()
        for i, (query, answer) in enumerate(zip(self.queries, batch_answers, strict=True)):
            coverage, added = None, self.terms[i]
            if question.allow_missing:
                answer, coverage = cover_missing_rows(answer, self.questions[i], snapshot.view.facts, snapshot.missing)
                coverage = _count_visible(snapshot, coverage)
            is_outside = query.is_sum and snapshot.record.settings.calibration is not None
            about_sum = OUTSIDE_CALIBRATION.format("the query is a weighted sum")
            builder = ResultBuilder(snapshot.record, question, documents, about_sum if is_outside else labels)
            result = builder.build(
                query,
                answer,
                None if added is None or not question.explained else added,
                None if query.is_sum else confidences[i],
                [readings[i] for readings in of_readers],
            )
            if coverage is not None:
                result = replace(result, coverage=coverage)
            if added is not None:
                result = replace(result, full_text=summarise_full_text(added, snapshot, question))
            if question.filter is not None or question.bias:
                result = replace(result, warnings=warn_of_filters(snapshot, question, answer.documents))
            results.append(result)
        return results

    def _compute_confidences(self, batch_answers: Sequence[Answer]) -> tuple[Sequence[ConfidenceModel | None], str]:
        """Return what computes the confidences of each answer, and a clause on labels for the reasons.

        Raises:
            InvalidContent: an option needs a calibration that the collection does not have.
        """
        snapshot, question = self.snapshot, self.plan.question
        model, labels = consult_labels(snapshot.record, question, of_part=snapshot.restriction is not None)
        if model is None:
            return [None] * len(batch_answers), labels
        pairs = zip(self.terms, batch_answers, strict=True)
        scores = [0.0 if terms is None else terms.score_of_best(answer) for terms, answer in pairs]
        return model.about(snapshot.view, self.questions, batch_answers, scores), labels


def _count_visible(snapshot: Snapshot, coverage: Coverage) -> Coverage:
    """Return a coverage that counts only the documents that the caller of a restricted snapshot sees."""
    if snapshot.restriction is None:
        return coverage
    number = snapshot.record.id
    rows, usage = snapshot.reader.rows_where(number), snapshot.reader.usage(number)
    available = snapshot.view.count_documents(rows, snapshot.passing(None))
    return replace(coverage, documents=available, total=usage.documents - usage.keyless)
