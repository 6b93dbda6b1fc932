"""An answer as it comes to be: of growing parts of a collection, each true of all of it, and then the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from attention.lookup import Answer, Grown, Question, answers, covered, growing
from service.retrieval.collections import Collection, Snapshot, start_background
from service.retrieval.errors import InvalidContent, SnapshotGone
from service.retrieval.queries.addends import LogitTerms
from service.retrieval.queries.attend import Result, ResultBuilder, result
from service.retrieval.queries.confident import ConfidenceModel, resolve_options
from service.retrieval.queries.encoded import EncodedQuery, encode_queries
from service.retrieval.queries.question import Array, Options, prepare_questions, prepare_terms
from service.retrieval.queries.reading import StoredDocuments


@dataclass(frozen=True)
class StreamedResult:
    """A result on the way, and whether it is the last."""

    result: Result
    final: bool


async def stream_collection(
    collection: Collection, query: str | Array, options: Options
) -> AsyncGenerator[StreamedResult]:
    """Attend from one query: the result over each growing part, and the one that `attend_collection` gives.

    All are of one version. Who stops listening ends it before the next part.

    Raises:
        RetrievalError: as of `attend_collection`, and for options that a stream has not.
    """
    _check(options)
    options = resolve_options(collection.record, options)
    adding = await prepare_terms(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoder, collection.record, [query], ["/query"])
    questions = await prepare_questions(collection, [encoded], options, ["/query"], adding)
    loop, coming, ended = asyncio.get_running_loop(), asyncio.Queue[StreamedResult | None](), Event()
    begun = list[StreamedResult]()

    def look_up(snapshot: Snapshot, _: list[Answer]) -> None:
        if begun:  # the batch is made again, because of somebody else or since its version went
            if begun[-1].final:
                return
            raise SnapshotGone("the version that a stream began with went before its end: ask once more")
        (question,), (added,) = questions(snapshot), adding(snapshot)
        for each in _stream_results(collection, snapshot, encoded, question, added, options):
            if ended.is_set():
                return
            begun.append(each)
            loop.call_soon_threadsafe(coming.put_nowait, each)

    read = 3 * (0 if options.top_k is None else min(options.top_k, collection.size))
    asking = asyncio.create_task(collection.lookups.ask(lambda snapshot: [], look_up, size=1, read=read))
    asking.add_done_callback(lambda _: coming.put_nowait(None))
    try:
        while (each := await coming.get()) is not None:
            yield each
        await asking
    finally:
        ended.set()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([asking])


def _check(options: Options) -> None:
    if options.read is not None:
        raise InvalidContent.at("/read", "a field is read of all documents at once: leave stream out, or read")
    if options.allow_missing:
        raise InvalidContent.at("/allow_missing", "a stream says of each part what is missing: leave allow_missing out")
    for name in ("min_confidence", "conformal"):
        if getattr(options, name) is not None:
            raise InvalidContent.at(f"/{name}", f"of a part nobody knows how sure it is: leave stream out, or {name}")
    if options.temperature == "auto":
        raise InvalidContent.at("/temperature", "a stream has one temperature from first to last: give a number")


def _stream_results(
    collection: Collection,
    snapshot: Snapshot,
    query: EncodedQuery,
    question: Question,
    added: LogitTerms | None,
    options: Options,
) -> Iterator[StreamedResult]:
    """Results, each over more rows; a part is told of where its bound is no larger than that of the one before.

    With a bias nothing is certain of rows that were not read: there are no parts.
    """
    reading = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
    parts, bound = growing(snapshot.view) if question.bias is None else (), 1.0
    for grown in parts:
        asked = grown.asked(question)
        (found,) = answers(grown.view, [asked])
        found, coverage = covered(found, asked, grown.view.facts, grown.missing())
        if found.certificate.total_variation <= bound:
            bound = found.certificate.total_variation
            yield StreamedResult(
                replace(result(snapshot.record, query, found, reading), coverage=coverage), final=False
            )
    (found,) = answers(snapshot.view, [question])
    confident = ConfidenceModel.of(snapshot.record, options)
    (sure,) = [None] if confident is None else confident.about(snapshot.view, [question], [found])
    yield StreamedResult(ResultBuilder(snapshot, reading, options).result(query, found, added, sure), final=True)
    if any(grown.is_due for grown in parts):
        start_background(partial(_sum_up, parts), f"sum up {collection.name}")


def _sum_up(parts: tuple[Grown, ...]) -> None:
    for grown in parts:
        grown.sum_up()
