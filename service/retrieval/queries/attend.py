"""The soft lookup: a query attends over every document of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.lookup import Answer, Evidence
from service.retrieval.collections import Collection, Snapshot
from service.retrieval.queries.question import Array, Options, questions_of
from service.storage import CollectionRecord, DocumentRecord


@dataclass(frozen=True)
class Match:
    """A document and its share of the answer; `document` is None where only its id was wanted.

    Attributes:
        similarity, logit: of its key that is most similar, the part of it that spoke.
        weight: of all its keys together.
        log_parts: ln(weight / weight of that one key); 0 where it has no other.
        part: which of its keys that is, from 0; None where it has no other.
    """

    id: str
    document: DocumentRecord | None
    similarity: float
    logit: float
    weight: float
    log_parts: float = 0.0
    part: int | None = None


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

        # Where in its text a part stands only the document tells.
        whole = options.documents or snapshot.view.facts.several

        def read(rows: Array) -> Sequence[DocumentRecord | str]:
            return reader.documents(record.id, rows) if whole else reader.ids(record.id, rows)

        return [result(record, answer, read) for answer in found]

    return await collection.lookups.ask(questions, finish, size=len(queries))


def result(
    record: CollectionRecord, answer: Answer, documents: Callable[[Any], Sequence[DocumentRecord | str]]
) -> Result:
    """The answer with its documents, or their ids; ties at the cut are decided by id."""
    numbers = (answer.similarities, answer.logits, answer.weights, answer.log_parts, answer.parts - answer.numbers)
    matches = [
        _match(found, *weighed)
        for found, *weighed in zip(documents(answer.numbers), *(each.tolist() for each in numbers), strict=True)
    ]
    matches.sort(key=lambda match: (-match.weight, -match.similarity, match.id))
    del matches[answer.matches :]
    rest = rest_weight(answer.evidence, [match.weight for match in matches], answer.documents)
    return Result(matches, rest, _output(record, answer), answer)


def rest_weight(evidence: Evidence, weights: Sequence[float] | Array, documents: int) -> float:
    """What the documents that are no matches weigh together; `documents`: how many pass."""
    return max(0.0, 1.0 - evidence.null_weight - float(np.sum(weights))) if documents else 0.0


def _match(
    found: DocumentRecord | str, similarity: float, logit: float, weight: float, log_parts: float, part: int
) -> Match:
    if isinstance(found, str):
        return Match(found, None, similarity, logit, weight)
    if len(found.keys) == 1:
        return Match(found.id, found, similarity, logit, weight)
    return Match(found.id, found, similarity, logit, weight, log_parts, part)


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """The blended value; a collection that never held a document has only its settings to tell the width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
