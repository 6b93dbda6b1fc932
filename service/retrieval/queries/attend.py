"""Attention over every document of a collection: one answer, a stream of them, or a sweep over temperatures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from attention.lookup import (
    Answer,
    Coverage,
    Evidence,
    Prefix,
    Question,
    Verdict,
    answers,
    cover_missing_rows,
    sweep,
    view_prefixes,
)
from service.retrieval.collections import AnyCollection, Snapshot, start_background
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
from service.retrieval.queries.reason import describe_labels
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
"""A full-text query counts as one extra query of a batch per 65,536 documents."""


async def attend_collection(
    collection: AnyCollection, queries: Sequence[str | Array], options: Options, pointers: Sequence[str]
) -> list[Result]:
    """Attend from each query over the documents of a collection.

    Args:
        collection: the collection.
        queries: texts, encoded by the collection's encoder, or vectors [d].
        options: the options of each query.
        pointers: the position of each query in the request, for errors.

    Returns:
        One result per query, in order; all of one version of the collection.

    Raises:
        RetrievalError: a query does not fit the collection, or options cannot be met.
    """
    options = resolve_options(collection.record, options)
    terms = await prepare_terms(collection, queries, options)
    if options.read is not None and options.allow_missing:
        raise InvalidContent.at("/read", "a field is read of all documents: leave allow_missing out, or read")
    encoded = await encode_queries(collection.encoders, collection.record, queries, pointers)
    build_questions = await prepare_questions(collection, encoded, options, pointers, terms)

    def finish(snapshot: Snapshot, batch_answers: list[Answer]) -> list[Result]:
        reader = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        model = _confidence_model(snapshot, options)
        builder = _result_builder(snapshot, reader, options, model)
        again = options.allow_missing or options.read is not None or model is not None
        questions = build_questions(snapshot) if again else []
        confidences = (
            [None] * len(batch_answers) if model is None else model.about(snapshot.view, questions, batch_answers)
        )
        results = list[Result]()
        for i, (query, answer, query_terms) in enumerate(zip(encoded, batch_answers, terms(snapshot), strict=True)):
            coverage, read = None, None
            if options.allow_missing:
                answer, coverage = cover_missing_rows(answer, questions[i], snapshot.view.facts, snapshot.missing)
                coverage = _count_visible(snapshot, coverage)
            if options.read is not None:
                read = aggregate_field(snapshot, questions[i], answer, options.read)
            results.append(
                replace(builder.result(query, answer, query_terms, confidences[i]), coverage=coverage, read=read)
            )
        return results

    matches_per_query = 0 if options.top_k is None else min(options.top_k, collection.size)
    read = len(queries) * (matches_per_query if options.read is None else collection.size)
    # Full text is a bias of its own for each query, held in memory while its batch is answered.
    size = len(queries) * (1 + collection.size // DOCUMENTS_PER_EXTRA_QUESTION if options.full_text else 1)
    return await collection.lookups.ask(build_questions, finish, size=size, read=read, count=len(queries))


def _confidence_model(snapshot: Snapshot, options: Options) -> ConfidenceModel | None:
    return ConfidenceModel.of(snapshot.record, options, of_part=snapshot.restriction is not None)


def _result_builder(
    snapshot: Snapshot, reader: StoredDocuments, options: Options, model: ConfidenceModel | None
) -> ResultBuilder:
    labels = describe_labels(snapshot.record, options, model, of_part=snapshot.restriction is not None)
    return ResultBuilder(snapshot, reader, options, labels)


def _count_visible(snapshot: Snapshot, coverage: Coverage) -> Coverage:
    """Return a coverage that counts only the documents that the caller of a restricted snapshot sees."""
    if snapshot.restriction is None:
        return coverage
    number = snapshot.record.id
    rows, usage = snapshot.reader.rows_where(number), snapshot.reader.usage(number)
    available = snapshot.view.count_documents(rows, snapshot.passing(None))
    return replace(coverage, documents=available, total=usage.documents - usage.keyless)


@dataclass(frozen=True)
class StreamedResult:
    """A result over a part of the collection, and whether it is the last, which is over all of it."""

    result: Result
    final: bool


async def stream_collection(
    collection: AnyCollection, query: str | Array, options: Options
) -> AsyncGenerator[StreamedResult]:
    """Yield results over growing parts of a collection, and last the result of `attend_collection`.

    All results are of one version of the collection. If the caller stops listening, the stream ends before the next
    part.

    Raises:
        RetrievalError: as for `attend_collection`, and for options that a stream does not support.
    """
    _check(options)
    options = resolve_options(collection.record, options)
    terms = await prepare_terms(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoders, collection.record, [query], ["/query"])
    build_questions = await prepare_questions(collection, [encoded], options, ["/query"], terms)
    loop, results, ended = asyncio.get_running_loop(), asyncio.Queue[StreamedResult | None](), Event()
    sent = list[StreamedResult]()

    def look_up(snapshot: Snapshot, _: list[Answer]) -> None:
        if sent:  # the batch is retried, because another lookup failed or its version was dropped
            if sent[-1].final:
                return
            raise SnapshotGone("the version that a stream began with went before its end: ask once more")
        (question,), (query_terms,) = build_questions(snapshot), terms(snapshot)
        for streamed in _stream_results(collection, snapshot, encoded, question, query_terms, options):
            if ended.is_set():
                return
            sent.append(streamed)
            loop.call_soon_threadsafe(results.put_nowait, streamed)

    read = 3 * (0 if options.top_k is None else min(options.top_k, collection.size))
    lookup = asyncio.create_task(collection.lookups.ask(lambda snapshot: [], look_up, size=1, read=read))
    lookup.add_done_callback(lambda _: results.put_nowait(None))
    try:
        while (streamed := await results.get()) is not None:
            yield streamed
        await lookup
    finally:
        ended.set()
        lookup.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([lookup])


def _check(options: Options) -> None:
    """Raise InvalidContent for options that a stream does not support."""
    if options.read is not None:
        raise InvalidContent.at("/read", "a field is read of all documents at once: leave stream out, or read")
    if options.allow_missing:
        raise InvalidContent.at("/allow_missing", "a stream says of each part what is missing: leave allow_missing out")
    for name in ("min_confidence", "conformal"):
        if getattr(options, name) is not None:
            raise InvalidContent.at(f"/{name}", f"the confidence of a part is unknown: leave stream out, or {name}")
    if options.temperature == "auto":
        raise InvalidContent.at("/temperature", "a stream has one temperature from first to last: give a number")


def _stream_results(
    collection: AnyCollection,
    snapshot: Snapshot,
    query: EncodedQuery,
    question: Question,
    terms: LogitTerms | None,
    options: Options,
) -> Iterator[StreamedResult]:
    """Yield results over growing parts of the collection, each with an error bound, and last the exact result.

    A part is skipped if its error bound is larger than that of the part before. If numbers are added to the logits,
    rows that were not read have no bound, so only the last result is sent. The same holds for a restricted snapshot.

    Args:
        collection: the collection.
        snapshot: its version that is queried.
        query: the query with its vector.
        question: the query as the lookup answers it.
        terms: the terms that are added to the documents' logits; None without any.
        options: the options of the query.
    """
    reader = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
    # The summaries that bound what was not read yet, and the counts of coverage, are of all documents.
    in_parts = question.bias is None and snapshot.restriction is None
    parts, bound = view_prefixes(snapshot.view) if in_parts else (), 1.0
    for grown in parts:
        part_question = grown.restrict(question)
        (answer,) = answers(grown.view, [part_question])
        answer, coverage = cover_missing_rows(answer, part_question, grown.view.facts, grown.summarise_rest())
        if answer.certificate.total_variation <= bound:
            bound = answer.certificate.total_variation
            yield StreamedResult(
                replace(result(snapshot.record, query, answer, reader, options), coverage=coverage), final=False
            )
    (answer,) = answers(snapshot.view, [question])
    model = _confidence_model(snapshot, options)
    (confidence,) = [None] if model is None else model.about(snapshot.view, [question], [answer])
    builder = _result_builder(snapshot, reader, options, model)
    yield StreamedResult(builder.result(query, answer, terms, confidence), final=True)
    if any(grown.is_due for grown in parts):
        start_background(partial(_sum_up, parts), f"sum up {collection.name}")


def _sum_up(parts: tuple[Prefix, ...]) -> None:
    """Compute and cache a summary of the keys of each part of the collection, so that later streams start faster."""
    for grown in parts:
        grown.sum_up()


@dataclass(frozen=True)
class SweepMatch:
    """A document among the most similar ones of a sweep, which answers a query at several temperatures.

    Its weight depends on the temperature, its similarity does not.

    Attributes:
        spoke: the document's most similar key; None if it has only one key.
    """

    document: Document
    similarity: float
    spoke: BestKey | None


@dataclass(frozen=True)
class TemperatureResult:
    """The answer of a sweep at one temperature; `weights` float64[k] are those of its k matches."""

    weights: Array
    rest_weight: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep, which answers a query at several temperatures.

    It has the most similar documents, which are the same at every temperature, and the answer at each temperature.
    `unknown_tokens` is the number of the query's tokens that the model does not know; None for a vector.
    """

    matches: list[SweepMatch]
    temperatures: list[TemperatureResult]
    documents: int
    keys: int
    unknown_tokens: int | None
    full_text: FullText | None = None
    warnings: Sequence[str] = ()


async def sweep_collection(
    collection: AnyCollection, query: str | Array, temperatures: Sequence[float], options: Options
) -> SweepResult:
    """Answer a query at each of these temperatures, with a single scan of the keys.

    The results agree with `attend` at that temperature.

    Raises:
        RetrievalError: a query does not fit the collection, or options are not for a sweep.
    """
    options = resolve_options(collection.record, options)
    terms = await prepare_terms(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoders, collection.record, [query], ["/query"])
    build_questions = await prepare_questions(collection, [encoded], options, ["/query"], terms)

    def look_up(snapshot: Snapshot, _: list[Answer]) -> SweepResult:
        (question,), (query_terms,) = build_questions(snapshot), terms(snapshot)
        swept = sweep(snapshot.view, question, temperatures)
        reader = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        documents = [document for document in reader.documents(swept.numbers) if not isinstance(document, str)]
        spoke = reader.find_best_keys(documents, swept.numbers, swept.parts)
        order = sorted(range(len(documents)), key=lambda i: (-swept.similarities[i], documents[i].id))[: swept.matches]
        verdicts = [
            encoded.verdict(verdict, evidence, certificate.total_variation)
            for verdict, evidence, certificate in zip(swept.verdicts, swept.evidence, swept.certificates, strict=True)
        ]
        return SweepResult(
            matches=[SweepMatch(documents[i], float(swept.similarities[i]), spoke[i]) for i in order],
            temperatures=[
                TemperatureResult(
                    weights[order], compute_rest_weight(evidence, weights[order], swept.documents), evidence, verdict
                )
                for weights, evidence, verdict in zip(swept.weights, swept.evidence, verdicts, strict=True)
            ],
            documents=swept.documents,
            keys=swept.keys,
            unknown_tokens=encoded.unknown_tokens,
            full_text=summarise_full_text(query_terms, snapshot, options),
            warnings=explain_filter(snapshot, options, swept.documents),
        )

    # A sweep shares the batch's version and masks, but scans by itself, into a histogram.
    read = (options.top_k or 0) + len(temperatures) * 8
    return await collection.lookups.ask(lambda snapshot: [], look_up, size=len(temperatures), read=read)
