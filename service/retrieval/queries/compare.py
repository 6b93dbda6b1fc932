"""One question, four ways: SQL's `=`, SQL's full text, top-k, and attention."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attention.errors import AttentionError
from attention.lookup import Mask, Memory, Rows, View, answers
from service.retrieval import filter as filters
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.null import SAMPLE, NullChoice, Own, Standing
from service.retrieval.documents.prepare import SentDocument, prepare
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.attend import Options, Result, question, result
from service.retrieval.queries.query import encode_queries, encoder_background, mask_of, null_standing
from service.storage import (
    CollectionRecord,
    Condition,
    DocumentRecord,
    Search,
    SearchResult,
    SearchRow,
    id_hash,
    searching_rows,
)


@dataclass(frozen=True)
class Timed:
    """What the database answered, and how long it took."""

    found: SearchResult
    took_ms: float


@dataclass(frozen=True)
class Comparison:
    """The four answers; top-k is attention's own order without its weights.

    Attributes:
        standing: what attention's null key stands on, where it is one with a name.
    """

    sql: Timed
    full_text: Timed
    attention: Result
    attention_took_ms: float
    standing: Standing | None


@dataclass(frozen=True)
class Source:
    """Where all four answers come from: the same rows, as a database and as keys."""

    record: CollectionRecord
    view: View
    search: Search
    documents: Callable[[Any], Sequence[DocumentRecord]]
    condition: Condition | None = None
    mask: Mask | None = None


async def compare_collection(
    catalogue: Catalogue,
    name: str,
    query: str,
    *,
    temperature: float | None,
    top_k: int,
    null: NullChoice | None,
    sent_filter: Any = None,
) -> Comparison:
    """Ask the documents of a collection that pass a filter in all four ways; all see the same version of it."""
    collection = catalogue.collection(name)
    background = await encoder_background(catalogue, collection.record, null)
    asked = await _encode(catalogue, collection.record, query)

    def ask() -> Comparison:
        with collection.snapshot() as snapshot:
            record, view, reader = snapshot.record, snapshot.view, snapshot.reader
            condition = None if sent_filter is None else filters.parse(sent_filter)
            source = Source(
                record,
                view,
                reader.search(record.id),
                lambda rows: reader.documents(record.id, rows),
                condition,
                mask_of(snapshot, sent_filter),
            )
            return _compare(source, asked, temperature, top_k, null_standing(record, snapshot.own, null, background))

    return await asyncio.to_thread(ask)


async def compare_rows(
    catalogue: Catalogue,
    rows: Sequence[SentDocument],
    query: str,
    *,
    temperature: float | None,
    top_k: int,
    null: NullChoice | None,
) -> Comparison:
    """Ask rows that came with the question, in a SQLite in memory; nothing is stored.

    The rows are asked as a new collection with the service's encoder would be.
    """
    await catalogue.queue()  # raises where there is no encoder
    record = CollectionRecord(0, "rows", await catalogue.settle({}), documents=len(rows))
    background = await encoder_background(catalogue, record, null)
    documents = (await prepare(catalogue, record, rows, [f"/rows/{i}" for i in range(len(rows))])).records
    asked = await _encode(catalogue, record, query)

    def ask() -> Comparison:
        view = _view(record, documents)
        with searching_rows([SearchRow(each.id, each.key, each.value) for each in documents]) as search:
            source = Source(record, view, search, lambda numbers: [documents[number] for number in numbers])
            own = partial(_own, record, documents)
            return _compare(source, asked, temperature, top_k, null_standing(record, own, null, background))

    return await asyncio.to_thread(ask)


@dataclass(frozen=True)
class _Asked:
    text: str
    vector: np.ndarray[Any, Any]
    encoding_ms: float


async def _encode(catalogue: Catalogue, record: CollectionRecord, query: str) -> _Asked:
    started = time.perf_counter()
    (vector,) = await encode_queries(catalogue, record, [query], ["/query"])
    return _Asked(query, vector, (time.perf_counter() - started) * 1e3)


def _compare(
    source: Source, asked: _Asked, temperature: float | None, top_k: int, null: float | Standing | None
) -> Comparison:
    sql = _timed(lambda: source.search.equal(asked.text, top_k, source.condition))
    full_text = _timed(lambda: source.search.full_text(asked.text, top_k, source.condition))
    started = time.perf_counter()
    options = Options(temperature=temperature, top_k=top_k, output=True)
    stands = null if isinstance(null, Standing) else None
    null_key = null.background if isinstance(null, Standing) else null
    try:
        (answer,) = answers(source.view, [question(source.record, asked.vector, options, null_key, source.mask)])
    except AttentionError as error:
        raise InvalidContent.at("", str(error)) from error
    attention = result(source.record, answer, source.documents)
    took_ms = asked.encoding_ms + (time.perf_counter() - started) * 1e3
    return Comparison(sql, full_text, attention, took_ms, stands)


def _timed(ask: Callable[[], SearchResult]) -> Timed:
    started = time.perf_counter()
    found = ask()
    return Timed(found, (time.perf_counter() - started) * 1e3)


def _own(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> Own | None:
    """The rows' own background, of the sample that a collection of them would have."""
    sample = sorted(documents, key=lambda each: id_hash(each.id))[:SAMPLE]
    return Own.measure(record.settings.similarity, np.stack([each.key_vector for each in sample])) if sample else None


def _view(record: CollectionRecord, documents: Sequence[DocumentRecord]) -> View:
    memory = Memory(record.settings.similarity)
    if documents:
        keys = np.stack([each.key_vector for each in documents])
        values = np.stack([each.key_vector if each.value_vector is None else each.value_vector for each in documents])
        memory.publish(add=Rows(np.arange(len(documents), dtype=np.int64), keys, values))
    return memory.view
