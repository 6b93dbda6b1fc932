"""One query at many temperatures, from one reading of the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.errors import AttentionError
from attention.lookup import Evidence, Question, sweep
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.null import NullChoice
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.query import Array, check_queries, encode_queries, encoder_background, mask_of, null_of
from service.storage import DocumentRecord


@dataclass(frozen=True)
class Matched:
    """A document of the head; its weight depends on the temperature, its similarity does not."""

    document: DocumentRecord
    similarity: float


@dataclass(frozen=True)
class AtTemperature:
    """What the answer is at one temperature; `weights` float64 [k] are aligned with the matches."""

    weights: Array
    rest_weight: float
    evidence: Evidence


@dataclass(frozen=True)
class Swept:
    """The head, the same at every temperature, and the answer at each."""

    matches: list[Matched]
    temperatures: list[AtTemperature]
    documents: int


async def sweep_collection(
    catalogue: Catalogue,
    name: str,
    query: str | Array,
    temperatures: Sequence[float],
    *,
    top_k: int | None,
    null: NullChoice | None,
    sent_filter: Any,
) -> Swept:
    """Attend at each of the temperatures; agrees with `attend` at each.

    Raises:
        RetrievalError: no such collection, or a query that does not fit it.
    """
    collection = catalogue.collection(name)
    background = await encoder_background(catalogue, collection.record, null)
    (vector,) = await encode_queries(catalogue, collection.record, [query], ["/query"])

    def look_up() -> Swept:
        with collection.snapshot() as snapshot:
            record, view = snapshot.record, snapshot.view
            check_queries(record, [vector], ["/query"])
            question = Question(
                query=vector,
                temperature=1.0,
                null=null_of(record, snapshot.own, null, background),
                mask=mask_of(snapshot, sent_filter),
                top_k=top_k,
                output=False,
            )
            try:
                found = sweep(view, question, temperatures)
            except AttentionError as error:
                raise InvalidContent.at("", str(error)) from error
            documents = snapshot.reader.documents(record.id, found.numbers)
        order = sorted(range(len(documents)), key=lambda i: (-found.similarities[i], documents[i].id))[: found.matches]
        return Swept(
            matches=[Matched(documents[i], float(found.similarities[i])) for i in order],
            temperatures=[
                AtTemperature(weights[order], _rest(weights[order], evidence, found.documents), evidence)
                for weights, evidence in zip(found.weights, found.evidence, strict=True)
            ],
            documents=found.documents,
        )

    return await asyncio.to_thread(look_up)


def _rest(weights: Array, evidence: Evidence, documents: int) -> float:
    return max(0.0, 1.0 - evidence.null_weight - float(np.sum(weights))) if documents else 0.0
