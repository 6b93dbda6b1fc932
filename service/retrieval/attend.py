"""The soft lookup: a query attends over every document of a collection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attention.errors import AttentionError
from attention.lookup import Answer, Auto, Mask, Question, answers
from service.retrieval import filter as filters
from service.retrieval.catalogue import Catalogue
from service.retrieval.collection import Snapshot
from service.retrieval.errors import InvalidContent
from service.retrieval.null_background import NullChoice, null_similarity
from service.storage import CollectionRecord, DocumentRecord

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Options:
    """What is asked besides the query; None takes the collection's, or the default."""

    temperature: float | Literal["auto"] | None = None
    effective_documents: float = 8.0
    top_k: int | None = None
    top_p: float | None = None
    filter: Any = None
    normaliser: str = "softmax"
    null: NullChoice | None = None
    max_error: float | None = None
    output: bool = False


@dataclass(frozen=True)
class Match:
    """A document and its share of the answer."""

    document: DocumentRecord
    similarity: float
    logit: float
    weight: float


@dataclass(frozen=True)
class Result:
    """An answer of the core, with the documents it names."""

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer


async def attend(
    catalogue: Catalogue, name: str, queries: Sequence[str | Array], options: Options, pointers: Sequence[str]
) -> list[Result]:
    """Softmax-weighted attention of each query over the documents of a collection.

    Args:
        catalogue: where the collection is.
        name: the collection.
        queries: texts, encoded by the collection's encoder, or vectors [d].
        options: what is asked of each.
        pointers: where each query stands in the request, for errors.

    Returns:
        A result a query, in order; all of one version of the collection.

    Raises:
        RetrievalError: no such collection, a query that does not fit it, options that cannot be met.
    """
    collection = catalogue.collection(name)
    background = None
    if (collection.record.settings.null if options.null is None else options.null) == "auto":
        background = await _background(catalogue, collection.record)
    vectors = await encode_queries(catalogue, collection.record, queries, pointers)

    def look_up() -> list[Result]:
        with collection.snapshot() as snapshot:
            check_queries(snapshot, vectors, pointers)
            null = null_similarity(
                snapshot.record.settings.null if options.null is None else options.null,
                similarity=snapshot.record.settings.similarity,
                documents=snapshot.view.n,
                dimension=snapshot.view.dimension,
                background=background,
            )
            mask = mask_of(snapshot, options.filter)
            asked = [_question(snapshot.record, vector, options, null, mask) for vector in vectors]
            try:
                found = answers(snapshot.view, asked)
            except AttentionError as error:
                raise InvalidContent.at("", str(error)) from error
            return [_result(snapshot, answer) for answer in found]

    return await asyncio.to_thread(look_up)


async def _background(catalogue: Catalogue, record: CollectionRecord) -> Any:
    if record.settings.encoder is None:
        return None
    return (await catalogue.queue(wanted_by=record.settings.encoder)).encoder.background


async def encode_queries(
    catalogue: Catalogue, record: CollectionRecord, queries: Sequence[str | Array], pointers: Sequence[str]
) -> list[Array]:
    """Texts → vectors [d] by the collection's encoder; vectors stay as they are."""
    texts = [query for query in queries if isinstance(query, str)]
    if not texts:
        return [query for query in queries if not isinstance(query, str)]
    if record.settings.encoder is None:
        raise InvalidContent.at(
            pointers[[isinstance(query, str) for query in queries].index(True)],
            f"the query is a text and collection {record.name!r} has no encoder: send the query as a vector",
        )
    queue = await catalogue.queue(wanted_by=record.settings.encoder)
    encoded = iter((await queue.encode(texts, "query")).vectors)
    return [next(encoded) if isinstance(query, str) else query for query in queries]


def check_queries(snapshot: Snapshot, vectors: Sequence[Array], pointers: Sequence[str]) -> None:
    """Refuse a query of another width than the keys, and one without a direction under cosine."""
    settings = snapshot.record.settings
    for vector, at in zip(vectors, pointers, strict=True):
        if settings.dimension is not None and len(vector) != settings.dimension:
            raise InvalidContent.at(
                at,
                f"query has width {len(vector)}, the keys of {snapshot.record.name!r} have width {settings.dimension}: "
                "encode both with the same model",
            )
        if settings.similarity == "cosine" and not vector.any():
            raise InvalidContent.at(at, "a zero vector has no direction, so no cosine: send another query")


def mask_of(snapshot: Snapshot, sent: Any) -> Mask | None:
    """A filter → which rows may be attended to."""
    if sent is None:
        return None
    return snapshot.view.mask(snapshot.reader.rows_where(snapshot.record.id, filters.parse(sent)))


def _question(
    record: CollectionRecord, vector: Array, options: Options, null: float | None, mask: Mask | None
) -> Question:
    temperature: float | Auto
    if options.temperature == "auto":
        temperature = Auto(options.effective_documents)
    else:
        temperature = record.settings.temperature if options.temperature is None else options.temperature
    return Question(
        query=vector,
        temperature=temperature,
        null=null,
        mask=mask,
        normaliser=options.normaliser,
        top_k=options.top_k,
        top_p=options.top_p,
        output=options.output,
        max_error=options.max_error,
    )


def _result(snapshot: Snapshot, answer: Answer) -> Result:
    documents = snapshot.reader.documents(snapshot.record.id, rows=answer.numbers)
    matches = [
        Match(document, float(similarity), float(logit), float(weight))
        for document, similarity, logit, weight in zip(
            documents, answer.similarities, answer.logits, answer.weights, strict=True
        )
    ]
    matches.sort(key=lambda match: (-match.similarity, match.document.id))
    del matches[answer.matches :]
    nothing = answer.documents == 0
    rest = 0.0 if nothing else 1.0 - answer.null_weight - float(np.sum([match.weight for match in matches]))
    return Result(matches, max(rest, 0.0), _output(snapshot, answer), answer)


def _output(snapshot: Snapshot, answer: Answer) -> Array | None:
    """The blended value; a collection that never held a document has only its settings to tell the width."""
    if answer.output is None or snapshot.view.value_dimension is not None:
        return answer.output
    settings = snapshot.record.settings
    return np.zeros(settings.value_dimension or settings.dimension or 0)
