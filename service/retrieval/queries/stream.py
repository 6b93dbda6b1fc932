"""A stream of answers to one query, over growing parts of a collection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from attention.lookup import Prefix, answers, cover_missing_rows, view_prefixes
from service.retrieval.collections import Collection, Snapshot, start_background
from service.retrieval.errors import InvalidContent, SnapshotGone
from service.retrieval.queries.attend import Plan, PlannedQueries
from service.retrieval.queries.highlight import highlight_matches
from service.retrieval.queries.query_parts import Query
from service.retrieval.queries.question import Options
from service.retrieval.queries.results import Result, StoredDocuments, build_result


@dataclass(frozen=True)
class StreamedResult:
    """A result over a part of the collection, and whether it is the last, which is over all of it."""

    result: Result
    final: bool


async def stream_collection(collection: Collection, query: Query, options: Options) -> AsyncGenerator[StreamedResult]:
    """Yield results over growing parts of a collection, and last the result of `attend_collection`.

    All results are of one version of the collection. If the caller stops listening, the stream ends before the next
    part.

    Raises:
        RetrievalError: as for `attend_collection`, and for options that a stream does not support.
    """
    _check(options)
    plan = await Plan.prepare(collection, [query], options, ["/query"])
    loop, results, ended = asyncio.get_running_loop(), asyncio.Queue[StreamedResult | None](), Event()
    sent = list[StreamedResult]()

    def look_up(snapshot: Snapshot) -> None:
        if sent:  # the batch is retried, because another lookup failed or its version was dropped
            if sent[-1].final:
                return
            raise SnapshotGone("the version that a stream began with went before its end: ask once more")
        for streamed in _stream_results(collection, plan.build(snapshot)):
            if ended.is_set():
                return
            sent.append(streamed)
            loop.call_soon_threadsafe(results.put_nowait, streamed)

    read = 3 * min(options.head_size or 0, collection.size)
    lookup = asyncio.create_task(collection.read(look_up, size=1, read=read))
    lookup.add_done_callback(lambda _: results.put_nowait(None))
    try:
        while (streamed := await results.get()) is not None:
            if streamed.final and plan.options.highlight:
                (highlighted,) = await highlight_matches(collection, [streamed.result])
                streamed = replace(streamed, result=highlighted)
            yield streamed
        await lookup
    finally:
        ended.set()
        lookup.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([lookup])


def _check(options: Options) -> None:
    """Raise InvalidContent for options that a stream does not support."""
    if (field := options.weighs_all) is not None:
        raise InvalidContent.at(f"/{field}", f"a field is read of all documents at once: leave stream out, or {field}")
    if options.allow_missing:
        raise InvalidContent.at("/allow_missing", "a stream says of each part what is missing: leave allow_missing out")
    if (option := options.reads_head) is not None:
        raise InvalidContent.at(
            f"/{option}", f"the best documents of a part are not those of all: leave stream out, or {option}"
        )
    if options.min_confidence is not None:
        raise InvalidContent.at(
            "/min_confidence", "the confidence of a part is unknown: leave stream out, or min_confidence"
        )
    if options.temperature == "auto":
        raise InvalidContent.at("/temperature", "a stream has one temperature from first to last: give a number")


def _stream_results(collection: Collection, planned: PlannedQueries) -> Iterator[StreamedResult]:
    """Yield results over growing parts of the collection, each with an error bound, and last the exact result.

    A part is skipped if its error bound is larger than that of the part before. If numbers are added to the logits,
    rows that were not read have no bound, so only the last result is sent. The same holds for a restricted snapshot.

    Args:
        collection: the collection.
        planned: the query in the version of the collection that is read.
    """
    (query,), (question,), snapshot = planned.queries, planned.questions, planned.snapshot
    options = planned.plan.options
    reader = StoredDocuments(snapshot, options.reads)
    # The summaries that bound what was not read yet, and the counts of coverage, are of all documents.
    in_parts = question.bias is None and snapshot.restriction is None
    parts, bound = view_prefixes(snapshot.view) if in_parts else (), 1.0
    for grown in parts:
        part_question = grown.restrict(question)
        (answer,) = answers(grown.view, [part_question])
        answer, coverage = cover_missing_rows(answer, part_question, grown.view.facts, grown.summarise_rest())
        if answer.certificate.total_variation <= bound:
            bound = answer.certificate.total_variation
            part = build_result(snapshot.record, query, answer, reader, options, coverage=coverage)
            yield StreamedResult(part, final=False)
    (answer,) = answers(snapshot.view, [question])
    (last,) = planned.finish([answer])
    yield StreamedResult(last, final=True)
    if any(grown.is_due for grown in parts):
        start_background(partial(_sum_up, parts), f"sum up {collection.name}")


def _sum_up(parts: tuple[Prefix, ...]) -> None:
    """Compute and cache a summary of the keys of each part of the collection, so that later streams start faster."""
    for grown in parts:
        grown.sum_up()
