"""One question, four ways: SQL's `=`, SQL's full text, top-k, and attention."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from attention.lookup import Answer, Mask, Memory, Question, View, answers
from service.encoding import Backgrounds, LoadingEncoder
from service.retrieval.collections import (
    LOOKED_AT,
    SAMPLE,
    Collection,
    Own,
    Snapshot,
    Standing,
    encoder_backgrounds,
    encoding_queue,
    null_of,
    parse_filter,
    rows_of,
    settings_of,
)
from service.retrieval.documents import SentDocument, prepare_documents
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.attend import Match, Result, result
from service.retrieval.queries.encoded import EncodedQuery, encode_queries
from service.retrieval.queries.question import Options, check_whole, mask_of, question
from service.retrieval.queries.reading import InMemory, Readable, Reading
from service.scheduling import ARRAYS, READS
from service.storage import (
    CollectionRecord,
    Condition,
    DocumentRecord,
    Search,
    SearchResult,
    SearchRow,
    id_hash,
    temporary_search,
)

TOP_K = 10  # of attention, where nothing is said


@dataclass(frozen=True)
class Timed:
    """What the database answered, and how long it took."""

    found: SearchResult
    took_ms: float


@dataclass(frozen=True)
class FourWays:
    """The four answers; top-k is the order of similarities, which is attention's own but for documents of several keys.

    Attributes:
        standing: what attention's null key stands on beside this question, where it is one with a name.
    """

    sql: Timed
    full_text: Timed
    nearest: list[Match]
    attention: Result
    attention_took_ms: float
    standing: Standing | None


async def compare_collection(collection: Collection, query: str, options: Options) -> FourWays:
    """Ask the documents of a collection that pass a filter in all four ways; all see the same version of it.

    Raises:
        RetrievalError: a query that does not fit the collection.
    """
    encoded = await _encoded(collection.encoder, collection.record, query, options)

    def search(snapshot: Snapshot) -> tuple[Timed, Timed]:
        return encoded.search(snapshot.reader.search(snapshot.record.id), parse_filter(options.filter))

    def search_first() -> tuple[int, tuple[Timed, Timed]]:
        with collection.snapshot() as snapshot:
            return snapshot.version, search(snapshot)

    # Not while others wait in the queue: full text may take longer than many scans.
    version, searched = await READS.run(search_first)

    def questions(snapshot: Snapshot) -> list[Question]:
        nonlocal searched
        check_whole(snapshot)
        if snapshot.version != version:
            searched = search(snapshot)
        asked = encoded.question(snapshot.record, snapshot.own, mask_of(snapshot, options.filter))
        # What weighs most there need not be what is nearest; at T = 0 it is.
        return [asked, replace(asked, temperature=0.0, output=False)] if snapshot.view.facts.several else [asked]

    def finish(snapshot: Snapshot, found: list[Answer]) -> FourWays:
        reading = Reading(snapshot.record, snapshot.reader, "texts", snapshot.view.facts.several)
        return encoded.four_ways(snapshot.record, found, reading, searched)

    return await collection.lookups.ask(questions, finish, size=1)


async def compare_rows(
    encoder: LoadingEncoder | None, rows: Sequence[SentDocument], query: str, options: Options, pointer: str = "/query"
) -> FourWays:
    """Ask rows that came with the question, in a SQLite in memory; nothing is stored.

    The rows are asked as a new collection with the service's encoder would be, without a filter.

    Args:
        pointer: where the query stands in the request, for errors.

    Raises:
        RetrievalError: there is no encoder, or a row that has no key.
        AttentionError: a query that no key can be compared with.
    """
    if options.null == "calibrated":
        raise InvalidContent.at(
            "/null", 'rows that come with their question are not calibrated: send "auto", or a number'
        )
    await encoding_queue(encoder)  # raises where there is no encoder
    record = CollectionRecord(0, "rows", await settings_of(encoder, {}), documents=len(rows))
    encoded = await _encoded(encoder, record, query, options, pointer)
    documents = (await prepare_documents(encoder, record, rows, [f"/rows/{i}" for i in range(len(rows))])).records

    def ask() -> FourWays:
        with temporary_search([SearchRow(each.id, each.key, each.value) for each in documents]) as database:
            searched = encoded.search(database, None)
        found = answers(_view(record, documents), [encoded.question(record, partial(_own, record, documents), None)])
        return encoded.four_ways(record, found, InMemory(documents), searched)

    return await ARRAYS.run(ask)


@dataclass
class _Query:
    """A query and its options, and what is to be told of them besides the answers."""

    query: str
    encoded: EncodedQuery
    options: Options
    backgrounds: Backgrounds | None
    encoding_seconds: float
    started: float = 0.0
    standing: Standing | None = None

    def search(self, database: Search, condition: Condition | None) -> tuple[Timed, Timed]:
        limit = TOP_K if self.options.top_k is None else self.options.top_k
        return (
            _timed(database.equal, self.query, limit, condition),
            _timed(database.full_text, self.query, limit, condition),
        )

    def question(self, record: CollectionRecord, own: Callable[[], Own | None], mask: Mask | None) -> Question:
        null = null_of(record, own, self.options.null, self.backgrounds)
        self.standing = null.standing and null.standing.beside(self.query)
        self.started = time.perf_counter()
        return question(record, self.encoded.vector, self.options, null.of(self.query), mask)

    def four_ways(
        self, record: CollectionRecord, found: list[Answer], reading: Readable, searched: tuple[Timed, Timed]
    ) -> FourWays:
        attention, *coldest = (result(record, self.encoded, answer, reading) for answer in found)
        nearest = coldest[0] if coldest else attention
        took_ms = (self.encoding_seconds + time.perf_counter() - self.started) * 1e3
        return FourWays(*searched, nearest.matches, attention, took_ms, self.standing)


async def _encoded(
    encoder: LoadingEncoder | None, record: CollectionRecord, query: str, options: Options, pointer: str = "/query"
) -> _Query:
    backgrounds = await encoder_backgrounds(encoder, record, options.null)
    started = time.perf_counter()
    (encoded,) = await encode_queries(encoder, record, [query], [pointer])
    return _Query(query, encoded, options, backgrounds, time.perf_counter() - started)


def _timed(search: Callable[..., SearchResult], *arguments: Any) -> Timed:
    started = time.perf_counter()
    found = search(*arguments)
    return Timed(found, (time.perf_counter() - started) * 1e3)


def _own(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> Own | None:
    """The rows' own background, of the sample that a collection of them would have."""
    sample = sorted(documents, key=lambda each: id_hash(each.id))[:SAMPLE]
    keys = np.stack([each.keys[0] for each in sample]) if sample else np.empty((0, 1))
    return Own.measure(record.settings.similarity, keys, [each.key for each in sample[:LOOKED_AT]])


def _view(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> View:
    memory = Memory(record.settings.similarity)
    memory.publish(add=rows_of(np.arange(len(documents)), documents))  # each has one key
    return memory.view
