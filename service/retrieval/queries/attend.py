"""The soft lookup: a query attends over every document of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attention.lookup import Answer, Coverage, Evidence, Verdict, covered
from service.retrieval.collections import Collection, Snapshot, parse_filter
from service.retrieval.documents import explain_no_match
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.addends import LogitTerms
from service.retrieval.queries.confident import ConfidenceModel, resolve_options
from service.retrieval.queries.encoded import EncodedQuery, encode_queries
from service.retrieval.queries.question import Array, Options, build_mask, prepare_questions, prepare_terms
from service.retrieval.queries.read import aggregate_field
from service.retrieval.queries.reading import BestKey, Document, DocumentReader, StoredDocuments
from service.retrieval.queries.words import Explanation
from service.storage import CollectionRecord

DOCUMENTS_PER_EXTRA_QUESTION = 2**16
"""A question with words counts for one more in a batch for each so many documents."""


@dataclass(frozen=True)
class Match:
    """A document and its share of the answer.

    Attributes:
        document: with its vectors where they were wanted; None where only its id was.
        similarity, logit: of its key that is most similar, the part of it that spoke.
        weight: of all its keys together.
        log_parts: ln(weight / weight of that one key); 0 where it has no other.
        spoke: which of its keys that is; None where it has no other.
        addends: what was added to the logit, a line each; None where nothing was, or that was not wanted.
        confidence: the chance that it is right; None where the collection is not calibrated, or asked otherwise.
    """

    id: str
    document: Document | None
    similarity: float
    logit: float
    weight: float
    log_parts: float = 0.0
    spoke: BestKey | None = None
    addends: Sequence[Explanation] | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class FullText:
    """What the words of a question added: a weight times a ranking, to so many documents that hold one of them."""

    weight: float
    ranking: str
    documents: int


@dataclass(frozen=True)
class Result:
    """An answer of the core, with the documents it names; match weights, rest and null sum to one.

    Attributes:
        verdict: whether one document stands out, several share the weight, or there is nothing.
        coverage: of how much of the collection it was made; None where it had to be all of it.
        unknown_tokens: of the question, which the model does not know; None where it is a vector.
        full_text: what words added; None where that was not asked.
        read: what a field came to over all documents, where that was asked.
        warnings: why the filter passes no document, a sentence each.
    """

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer
    verdict: Verdict
    unknown_tokens: int | None
    coverage: Coverage | None = None
    full_text: FullText | None = None
    read: dict[str, Any] | None = None
    warnings: Sequence[str] = ()


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
class ResultBuilder:
    """What answers to some options become, of one snapshot."""

    snapshot: Snapshot
    reading: DocumentReader
    options: Options

    def result(
        self, query: EncodedQuery, answer: Answer, added: LogitTerms | None, confident: ConfidenceModel | None
    ) -> Result:
        """An answer with its documents, how sure it is, and what is to be told of what was added to its logits."""
        explained = added if self.options.explained else None
        made = result(self.snapshot.record, query, answer, self.reading, explained, confident)
        warnings = explain_filter(self.snapshot, self.options.filter, answer.documents)
        return replace(
            made, full_text=summarise_full_text(added, self.snapshot, self.options.filter), warnings=warnings
        )


def explain_filter(snapshot: Snapshot, sent: Any, documents: int) -> list[str]:
    """Why a filter passes none of the documents, as far as their fields tell; nothing where it passes some."""
    return (
        [] if documents or sent is None else explain_no_match(snapshot.reader, snapshot.record.id, parse_filter(sent))
    )


def summarise_full_text(added: LogitTerms | None, snapshot: Snapshot, sent: Any) -> FullText | None:
    """What words added, to how many of the documents that pass the filter as it is sent."""
    if added is None or added.words is None:
        return None
    return FullText(added.words.weight, added.words.ranking, added.holding(build_mask(snapshot, sent)))


def result(
    record: CollectionRecord,
    query: EncodedQuery,
    answer: Answer,
    reading: DocumentReader,
    added: LogitTerms | None = None,
    confident: ConfidenceModel | None = None,
) -> Result:
    """The answer with its documents, as far as they are wanted; ties at the cut are decided by id.

    Args:
        query: what was asked.
        added: what is to be told of as added to each.
        confident: how sure each may be.
    """
    verdict = answer.verdict if confident is None else confident.verdict(answer)
    verdict = query.verdict(verdict, answer.evidence, answer.certificate.total_variation)
    answer = answer if confident is None else confident.cut(answer)
    chosen = _choose_matches(answer, reading)
    rows, weights = answer.numbers[chosen], answer.weights[chosen]
    found = reading.documents(rows)
    columns = zip(
        [each if isinstance(each, str) else each.id for each in found],
        [None if isinstance(each, str) else each for each in found],
        answer.similarities[chosen].tolist(),
        answer.logits[chosen].tolist(),
        weights.tolist(),
        answer.log_parts[chosen].tolist(),
        reading.spoke(found, rows, answer.parts[chosen]),
        [None] * len(rows) if added is None else added.told(rows),
        strict=True,
    )
    matches = [Match(*row) for row in columns]
    matches.sort(key=lambda match: (-match.weight, -match.similarity, match.id))
    logs = np.array([match.logit + match.log_parts for match in matches])
    confidences = None if confident is None else confident.of_matches(logs, answer.keys)
    if confidences is not None:
        both = zip(matches, confidences, strict=True)
        matches = [replace(match, confidence=confidence) for match, confidence in both]
    rest = compute_rest_weight(answer.evidence, weights, answer.documents)
    return Result(matches, rest, _output(record, answer), answer, verdict, query.unknown_tokens)


def _choose_matches(answer: Answer, reading: DocumentReader) -> Array:
    """Which places of the head are matches, where more than those tie with the last of them."""
    places = np.arange(len(answer.numbers))
    if len(places) <= answer.matches:
        return places
    ids = np.array(reading.ids(answer.numbers), dtype=object)
    return np.lexsort((ids, -answer.similarities, -answer.weights))[: answer.matches]


def compute_rest_weight(evidence: Evidence, weights: Sequence[float] | Array, documents: int) -> float:
    """What the documents that are no matches weigh together; `documents`: how many pass."""
    return max(0.0, 1.0 - evidence.null_weight - float(np.sum(weights))) if documents else 0.0


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """The blended value; a collection that never held a document has only its settings to tell the width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
