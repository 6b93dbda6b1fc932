"""The soft lookup: a query attends over every document of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.lookup import Answer
from service.retrieval.collections import Collection, Snapshot
from service.retrieval.queries.question import Array, Options, questions_of
from service.storage import CollectionRecord, DocumentRecord


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
    questions = await questions_of(collection, queries, options, pointers)

    def finish(snapshot: Snapshot, found: list[Answer]) -> list[Result]:
        record, reader = snapshot.record, snapshot.reader

        def read(rows: Array) -> Sequence[DocumentRecord | str]:
            return reader.documents(record.id, rows) if options.documents else reader.ids(record.id, rows)

        return [result(record, answer, read) for answer in found]

    return await collection.lookups.ask(questions, finish, size=len(queries))


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
