"""Attention over every document of a collection: one answer, a stream of them, or a sweep over temperatures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from attention.lookup import Answer, Evidence, Prefix, Question, Verdict, answers, covered, sweep, view_prefixes
from service.retrieval.collections import Collection, Snapshot, start_background
from service.retrieval.errors import InvalidContent, SnapshotGone
from service.retrieval.queries.aggregate import aggregate_field
from service.retrieval.queries.confidence import ConfidenceModel, resolve_options
from service.retrieval.queries.question import (
    Array,
    EncodedQuery,
    Options,
    encode_queries,
    prepare_questions,
    prepare_terms,
)
from service.retrieval.queries.results import (
    BestKey,
    Document,
    FullText,
    Result,
    ResultBuilder,
    StoredDocuments,
    compute_rest_weight,
    explain_filter,
    result,
    summarise_full_text,
)
from service.retrieval.queries.terms import LogitTerms

DOCUMENTS_PER_EXTRA_QUESTION = 2**16
"""A question with words counts for one more in a batch for each so many documents."""


async def attend_collection(
    collection: Collection, queries: Sequence[str | Array], options: Options, pointers: Sequence[str]
) -> list[Result]:
    """Attend from each query over the documents of a collection.

    Args:
        collection: what is attended to.
        queries: texts, encoded by the collection's encoder, or vectors [d].
        options: what is asked of each.
        pointers: where each query stands in the request, for errors.

    Returns:
        A result a query, in order; all of one version of the collection.

    Raises:
        RetrievalError: a query that does not fit the collection, options that cannot be met.
    """
    options = resolve_options(collection.record, options)
    adding = await prepare_terms(collection, queries, options)
    if options.read is not None and options.allow_missing:
        raise InvalidContent.at("/read", "a field is read of all documents: leave allow_missing out, or read")
    encoded = await encode_queries(collection.encoder, collection.record, queries, pointers)
    questions = await prepare_questions(collection, encoded, options, pointers, adding)

    def finish(snapshot: Snapshot, found: list[Answer]) -> list[Result]:
        reading = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        telling, confident = ResultBuilder(snapshot, reading, options), ConfidenceModel.of(snapshot.record, options)
        again = options.allow_missing or options.read is not None or confident is not None
        asked = questions(snapshot) if again else []
        sure = [None] * len(found) if confident is None else confident.about(snapshot.view, asked, found)
        results = list[Result]()
        for i, (query, answer, added) in enumerate(zip(encoded, found, adding(snapshot), strict=True)):
            coverage, read = None, None
            if options.allow_missing:
                answer, coverage = covered(answer, asked[i], snapshot.view.facts, snapshot.missing)
            if options.read is not None:
                read = aggregate_field(snapshot, asked[i], answer, options.read)
            results.append(replace(telling.result(query, answer, added, sure[i]), coverage=coverage, read=read))
        return results

    each = 0 if options.top_k is None else min(options.top_k, collection.size)
    read = len(queries) * (each if options.read is None else collection.size)
    # Words are a bias for each question, in memory while its batch is answered.
    size = len(queries) * (1 + collection.size // DOCUMENTS_PER_EXTRA_QUESTION if options.full_text else 1)
    return await collection.lookups.ask(questions, finish, size=size, read=read)


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
    parts, bound = view_prefixes(snapshot.view) if question.bias is None else (), 1.0
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


def _sum_up(parts: tuple[Prefix, ...]) -> None:
    for grown in parts:
        grown.sum_up()


@dataclass(frozen=True)
class SweepMatch:
    """A document of the head; its weight depends on the temperature, its similarity does not.

    Attributes:
        spoke: which of its keys is most similar; None where it has no other.
    """

    document: Document
    similarity: float
    spoke: BestKey | None


@dataclass(frozen=True)
class TemperatureResult:
    """What the answer is at one temperature; `weights` float64 [k] are aligned with the matches."""

    weights: Array
    rest_weight: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class SweepResult:
    """The head, the same at every temperature, and the answer at each; `unknown_tokens` as in `Result`."""

    matches: list[SweepMatch]
    temperatures: list[TemperatureResult]
    documents: int
    keys: int
    unknown_tokens: int | None
    full_text: FullText | None = None
    warnings: Sequence[str] = ()


async def sweep_collection(
    collection: Collection, query: str | Array, temperatures: Sequence[float], options: Options
) -> SweepResult:
    """Attend at each of the temperatures, instead of the options' own; agrees with `attend` at each.

    Raises:
        RetrievalError: a query that does not fit the collection, options that are not for a sweep.
    """
    options = resolve_options(collection.record, options)
    adding = await prepare_terms(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoder, collection.record, [query], ["/query"])
    questions = await prepare_questions(collection, [encoded], options, ["/query"], adding)

    def look_up(snapshot: Snapshot, _: list[Answer]) -> SweepResult:
        (question,), (added,) = questions(snapshot), adding(snapshot)
        found = sweep(snapshot.view, question, temperatures)
        reading = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        documents = [each for each in reading.documents(found.numbers) if not isinstance(each, str)]
        spoke = reading.spoke(documents, found.numbers, found.parts)
        order = sorted(range(len(documents)), key=lambda i: (-found.similarities[i], documents[i].id))[: found.matches]
        verdicts = [
            encoded.verdict(verdict, evidence, certificate.total_variation)
            for verdict, evidence, certificate in zip(found.verdicts, found.evidence, found.certificates, strict=True)
        ]
        return SweepResult(
            matches=[SweepMatch(documents[i], float(found.similarities[i]), spoke[i]) for i in order],
            temperatures=[
                TemperatureResult(
                    weights[order], compute_rest_weight(evidence, weights[order], found.documents), evidence, verdict
                )
                for weights, evidence, verdict in zip(found.weights, found.evidence, verdicts, strict=True)
            ],
            documents=found.documents,
            keys=found.keys,
            unknown_tokens=encoded.unknown_tokens,
            full_text=summarise_full_text(added, snapshot, options.filter),
            warnings=explain_filter(snapshot, options.filter, found.documents),
        )

    # It shares the version, its masks and its turn; the scan is its own, into a histogram.
    read = (options.top_k or 0) + len(temperatures) * 8
    return await collection.lookups.ask(lambda snapshot: [], look_up, size=len(temperatures), read=read)
