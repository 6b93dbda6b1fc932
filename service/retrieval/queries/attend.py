"""The soft lookup: a query attends over every document of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attention.lookup import Answer, Auto, Background, Mask, Question
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.collection import Snapshot
from service.retrieval.collections.lookup_queue import Ask
from service.retrieval.collections.null import NullChoice
from service.retrieval.queries.query import Array, check_queries, encode_queries, encoder_background, mask_of, null_of
from service.storage import CollectionRecord, DocumentRecord


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
    documents: bool = True  # False: of the matches only the ids are wanted


@dataclass(frozen=True)
class Match:
    """A document and its share of the answer; `document` is None where only its id was wanted."""

    id: str
    document: DocumentRecord | None
    similarity: float
    logit: float
    weight: float


@dataclass(frozen=True)
class Result:
    """An answer of the core, with the documents it names; match weights, rest and null sum to one."""

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer


async def attend(
    catalogue: Catalogue, name: str, queries: Sequence[str | Array], options: Options, pointers: Sequence[str]
) -> list[Result]:
    """Attend from each query over the documents of a collection.

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
    background = await encoder_background(catalogue, collection.record, options.null)
    vectors = await encode_queries(catalogue, collection.record, queries, pointers)

    def questions(snapshot: Snapshot) -> list[Question]:
        record = snapshot.record
        check_queries(record, vectors, pointers)
        null = null_of(record, snapshot.own, options.null, background)
        mask = mask_of(snapshot, options.filter)
        return [question(record, vector, options, null, mask) for vector in vectors]

    def finish(snapshot: Snapshot, found: list[Answer]) -> list[Result]:
        record, reader = snapshot.record, snapshot.reader

        def read(rows: Array) -> Sequence[DocumentRecord | str]:
            return reader.documents(record.id, rows) if options.documents else reader.ids(record.id, rows)

        return [result(record, answer, read) for answer in found]

    results: list[Result] = await catalogue.lookups(name).ask(Ask(questions, finish, len(vectors)))
    return results


def question(
    record: CollectionRecord,
    vector: Array,
    options: Options,
    null: float | Background | None,
    mask: Mask | None = None,
) -> Question:
    """What the core is asked, in full."""
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


def result(
    record: CollectionRecord, answer: Answer, documents: Callable[[Any], Sequence[DocumentRecord | str]]
) -> Result:
    """The answer with its documents, or their ids; ties at the cut are decided by id."""
    numbers = (answer.similarities.tolist(), answer.logits.tolist(), answer.weights.tolist())
    matches = [
        Match(found, None, *weighed) if isinstance(found, str) else Match(found.id, found, *weighed)
        for found, *weighed in zip(documents(answer.numbers), *numbers, strict=True)
    ]
    matches.sort(key=lambda match: (-match.similarity, match.id))
    del matches[answer.matches :]
    rest = 0.0
    if answer.documents:
        rest = max(0.0, 1.0 - answer.null_weight - float(np.sum([match.weight for match in matches])))
    return Result(matches, rest, _output(record, answer), answer)


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """The blended value; a collection that never held a document has only its settings to tell the width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
