"""One question, four ways: SQL's `=`, SQL's full text, top-k, and attention."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from softkv_attention.lookup import Answer, AnyMask, Memory, Question, View, answers
from softkv_service.encoding import EncoderFacts, Encoders
from softkv_service.retrieval.collections import (
    Collection,
    Snapshot,
    build_rows,
    get_encoding_queue,
    get_null_encoder,
    parse_filter,
    resolve_settings,
)
from softkv_service.retrieval.documents import SentDocument, prepare_documents
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.documents import DocumentReader, MemoryDocuments, StoredDocuments
from softkv_service.retrieval.queries.encoded import Array, EncodedQuery, check_complete
from softkv_service.retrieval.queries.lookup import lookup_question
from softkv_service.retrieval.queries.query_parts import (
    EncodedSum,
    Query,
    add_up,
    encode_sums,
    find_words,
    keys_by_id,
    keys_in,
)
from softkv_service.retrieval.queries.results import Match, Result, ResultBuilder
from softkv_service.retrieval.question import DEFAULT_TOP_K, CollectionQuestion
from softkv_service.retrieval.verdict import SAMPLE_DOCUMENTS, SAMPLE_TEXTS, KeyBackground, NullBackground, resolve_null
from softkv_service.scheduling import ARRAYS, READS
from softkv_service.storage import Search, id_hash, temporary_search
from softkv_service.storage.conditions import Condition
from softkv_service.storage.records import CollectionRecord, DocumentRecord, SearchResult, SearchRow


@dataclass(frozen=True)
class TimedSearch:
    """The result of a search in the database, and how long it took."""

    found: SearchResult
    took_ms: float


@dataclass(frozen=True)
class ComparisonResult:
    """The four answers to one question: by SQL's `=`, by SQL's full text, by top-k and by attention.

    Top-k is ordered by similarity, which is the order of attention unless documents have several keys.

    Attributes:
        standing: the background (similarities of unrelated texts) from which attention's null key for this query
            follows; None if it follows from none.
    """

    sql: TimedSearch
    full_text: TimedSearch
    nearest: list[Match]
    attention: Result
    attention_took_ms: float
    standing: NullBackground | None


async def compare_collection(collection: Collection, query: Query, question: CollectionQuestion) -> ComparisonResult:
    """Search the documents that pass a filter by SQL's `=`, by SQL's full text, by top-k and by attention.

    All four use the same version of the collection.

    Raises:
        RetrievalError: a query does not fit the collection.
    """
    encoded = await _encode_query(collection.encoders, collection.record, query, question)

    def search(snapshot: Snapshot) -> tuple[TimedSearch, TimedSearch]:
        return encoded.search(snapshot.reader.search(snapshot.record.id), parse_filter(question.filter, question.now))

    def search_first() -> tuple[tuple[int, int | None], tuple[TimedSearch, TimedSearch]]:
        with collection.snapshot() as snapshot:
            return snapshot.state, search(snapshot)

    # Search outside the lookup queue: full text may take longer than many scans.
    state, searched = await READS.run(search_first)

    def plan(snapshot: Snapshot) -> _PlannedComparison:
        check_complete(snapshot)
        current = searched if snapshot.state == state else search(snapshot)
        condition = parse_filter(question.filter, question.now)
        measure, mask = partial(snapshot.own, condition), snapshot.passing(condition)
        if "output" in question.fields:
            snapshot.require_values(mask)
        at_temperature = encoded.question(snapshot.record, measure, mask, keys_in(snapshot))
        at_temperature = replace(at_temperature, exact=snapshot.restriction is not None)
        # With several keys per document, the heaviest document need not be the nearest; at T = 0 it is.
        nearest = [replace(at_temperature, temperature=0.0, output=False)] if snapshot.view.facts.several else []
        return _PlannedComparison(encoded, snapshot, [at_temperature, *nearest], current)

    return await collection.ask(plan, size=1)


async def compare_rows(
    encoders: Encoders,
    rows: Sequence[SentDocument],
    query: Query,
    question: CollectionQuestion,
    pointer: str = "/query",
) -> ComparisonResult:
    """Search rows that came with the query, in a SQLite database in memory; nothing is stored.

    The rows are searched as a new collection with the service's encoder would be, without a filter.

    Args:
        pointer: the position of the query in the request, for errors.

    Raises:
        RetrievalError: the service has no encoder, or a row has no key.
        AttentionError: a query cannot be compared with any key.
    """
    if question.null == "calibrated":
        raise InvalidContent.at(
            "/null", 'rows that come with their question are not calibrated: send "auto", or a number'
        )
    await get_encoding_queue(encoders)  # raises if the service has no encoder
    record = CollectionRecord(0, "rows", await resolve_settings(encoders, {}), documents=len(rows))
    encoded = await _encode_query(encoders, record, query, question, pointer)
    documents = (await prepare_documents(encoders, record, rows, [f"/rows/{i}" for i in range(len(rows))])).records

    def read_keys(_: Sequence[str]) -> Mapping[str, Array]:
        return keys_by_id(documents)

    def ask() -> ComparisonResult:
        with temporary_search(
            [SearchRow(document.id, document.key, document.value) for document in documents]
        ) as database:
            searched = encoded.search(database, None)
        all_answers = answers(
            _build_view(record, documents),
            [encoded.question(record, partial(_measure_background, record, documents), None, read_keys)],
        )
        return encoded.four_ways(record, all_answers, MemoryDocuments(documents), searched)

    return await ARRAYS.run(ask)


@dataclass
class _Query:
    """A query of a comparison, and the values that the result reports with it.

    Attributes:
        query: the text that SQL looks for.
        sent: the query with its vector; a weighted sum with those of its texts.
        encoded: the query with its vector, since `question` was called.
    """

    query: str
    sent: EncodedQuery | EncodedSum
    options: CollectionQuestion
    encoder: EncoderFacts | None
    encoding_seconds: float
    started: float = 0.0
    standing: NullBackground | None = None
    encoded: EncodedQuery = field(init=False)

    def search(self, database: Search, condition: Condition | None) -> tuple[TimedSearch, TimedSearch]:
        limit = DEFAULT_TOP_K if self.options.top_k is None else self.options.top_k
        return (
            _time_search(database.equal, self.query, limit, condition),
            _time_search(database.full_text, self.query, limit, condition),
        )

    def question(
        self,
        record: CollectionRecord,
        measure: Callable[[], KeyBackground | None],
        mask: AnyMask | None,
        read_keys: Callable[[Sequence[str]], Mapping[str, Array]],
    ) -> Question:
        (self.encoded,) = add_up(record, [self.sent], read_keys)
        null = resolve_null(record, measure, self.options.null, self.encoder)
        self.standing = null.standing and null.standing.beside(self.encoded.sent, self.encoded.vector)
        self.started = time.perf_counter()
        null_key = null.of(self.encoded.sent, self.encoded.vector)
        return lookup_question(record, self.encoded.vector, self.options, null_key, mask)

    def four_ways(
        self,
        record: CollectionRecord,
        batch_answers: list[Answer],
        reading: DocumentReader,
        searched: tuple[TimedSearch, TimedSearch],
    ) -> ComparisonResult:
        builder = ResultBuilder(record, self.options, reading)
        attention, *coldest = (builder.build(self.encoded, answer) for answer in batch_answers)
        nearest = coldest[0] if coldest else attention
        took_ms = (self.encoding_seconds + time.perf_counter() - self.started) * 1e3
        return ComparisonResult(*searched, nearest.matches, attention, took_ms, self.standing)


@dataclass(frozen=True, eq=False)
class _PlannedComparison:
    """A comparison in one version of the collection, whose searches in SQL are done.

    Attributes:
        questions: the question; if documents have several keys, also for the nearest ones.
        searched: the results of SQL.
    """

    query: _Query
    snapshot: Snapshot
    questions: list[Question]
    searched: tuple[TimedSearch, TimedSearch]

    def finish(self, batch_answers: list[Answer]) -> ComparisonResult:
        """Return the four answers."""
        reader = StoredDocuments(self.snapshot, "texts")
        return self.query.four_ways(self.snapshot.record, batch_answers, reader, self.searched)


async def _encode_query(
    encoders: Encoders, record: CollectionRecord, query: Query, question: CollectionQuestion, pointer: str = "/query"
) -> _Query:
    if (text := find_words(query)) is None:
        raise InvalidContent.at(
            pointer,
            "SQL looks for the words of text parts with a positive weight, and the query has no such part: send one",
        )
    encoder = await get_null_encoder(encoders, record, question.null)
    started = time.perf_counter()
    (encoded,) = await encode_sums(encoders, record, [query], [pointer])
    return _Query(text, encoded, question, encoder, time.perf_counter() - started)


def _time_search(search: Callable[..., SearchResult], *arguments: Any) -> TimedSearch:
    started = time.perf_counter()
    result = search(*arguments)
    return TimedSearch(result, (time.perf_counter() - started) * 1e3)


def _measure_background(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> KeyBackground | None:
    """Return how similar the keys of the rows are to each other; None for too few keys.

    It is measured on the same sample as in a collection.
    """
    sample = sorted(documents, key=lambda document: id_hash(document.id))[:SAMPLE_DOCUMENTS]
    keys = np.stack([document.keys[0] for document in sample]) if sample else np.empty((0, 1))
    return KeyBackground.measure(record.settings.similarity, keys, [document.key for document in sample[:SAMPLE_TEXTS]])


def _build_view(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> View:
    memory = Memory(record.settings.similarity)
    memory.publish(add=build_rows(np.arange(len(documents)), documents))  # each has one key
    return memory.view
