"""A query and its options, as they are sent → the question that the lookup is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attention.lookup import Auto, Background, Bias, Mask, Question
from service.retrieval.collections import (
    Collection,
    NullChoice,
    Snapshot,
    get_encoder_backgrounds,
    parse_filter,
    resolve_null,
)
from service.retrieval.errors import InvalidContent, ShardsMissing
from service.retrieval.queries.addends import TermsBuilder, build_terms
from service.retrieval.queries.encoded import EncodedQuery
from service.retrieval.queries.read import Aggregation
from service.retrieval.queries.words import RankCache
from service.scheduling import READS
from service.storage import CollectionRecord

Array = np.ndarray[Any, Any]


DocumentDetail = Literal["ids", "texts", "vectors"]
"""What is wanted of the documents that match: their ids, what is stored of them but for vectors, or all."""


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
    full_text: float | Literal["auto"] | None = None
    bias: Any = None
    explained: bool = False
    output: bool = False
    reads: DocumentDetail = "texts"
    allow_missing: bool = False
    read: Aggregation | None = None
    min_confidence: float | None = None
    conformal: float | None = None


async def prepare_terms(collection: Collection, queries: Sequence[str | Array], options: Options) -> TermsBuilder:
    """What is added to the logits, for each of the queries; words are ranked by then.

    Raises:
        InvalidContent: options that cannot be met; the function returned raises it too.
        RetrievalError: the collection cannot be asked.
    """
    weight, ranked = get_full_text_weight(options), RankCache()
    adding = build_terms(queries, weight, options.bias, options.temperature, options.normaliser, ranked)
    if weight:

        def rank() -> None:
            with collection.snapshot() as snapshot:
                ranked.find(snapshot, [query for query in queries if isinstance(query, str)])

        await READS.run(rank)
    return adding


async def prepare_questions(
    collection: Collection,
    queries: Sequence[EncodedQuery],
    options: Options,
    pointers: Sequence[str],
    adding: TermsBuilder,
) -> Callable[[Snapshot], list[Question]]:
    """Make questions of the queries, on whichever version of the collection they will be asked.

    Args:
        collection: whose null and temperature are taken.
        queries: as `encode_queries` gives them.
        options: what is asked of each.
        pointers: where each query stands in the request, for errors.
        adding: what is added to the logits of each.

    Raises:
        RetrievalError: a query that does not fit the collection; the function returned raises it too.
    """
    backgrounds = await get_encoder_backgrounds(collection.encoder, collection.record, options.null)
    vectors = [query.vector for query in queries]

    def questions(snapshot: Snapshot) -> list[Question]:
        record = snapshot.record
        if not options.allow_missing:
            check_complete(snapshot)
        check_queries(record, vectors, pointers)
        null = resolve_null(record, snapshot.own, options.null, backgrounds, get_full_text_weight(options))
        mask = build_mask(snapshot, options.filter)
        biases = [None if added is None else added.bias for added in adding(snapshot)]
        each = zip(queries, biases, strict=True)
        return [question(record, query.vector, options, null.of(query.sent), mask, bias) for query, bias in each]

    return questions


def get_full_text_weight(options: Options) -> float:
    """What is sent as `full_text`, 0 where nothing is."""
    assert options.full_text != "auto"  # which has become a number by then
    return options.full_text or 0.0


def check_complete(snapshot: Snapshot) -> None:
    """Refuse to ask a collection of which documents are missing.

    Raises:
        ShardsMissing: some are.
    """
    if snapshot.missing is not None:
        documents = snapshot.view.documents
        raise ShardsMissing(snapshot.record.name, documents, documents + snapshot.missing.documents)


def check_queries(record: CollectionRecord, vectors: Sequence[Array], pointers: Sequence[str]) -> None:
    """Refuse a query of another width than the keys, and one without a direction under cosine."""
    dimension = record.settings.dimension
    for vector, at in zip(vectors, pointers, strict=True):
        if dimension is not None and len(vector) != dimension:
            raise InvalidContent.at(
                at,
                f"query has width {len(vector)}, the keys of {record.name!r} have width {dimension}: "
                "encode both with the same model",
            )
        if record.settings.similarity == "cosine" and not vector.any():
            raise InvalidContent.at(at, "a zero vector has no direction, so no cosine: send another query")


def build_mask(snapshot: Snapshot, sent: Any) -> Mask | None:
    """A filter → which rows may be attended to."""
    condition = parse_filter(sent)
    return None if condition is None else snapshot.mask(condition)


def question(
    record: CollectionRecord,
    vector: Array,
    options: Options,
    null: float | Background | None,
    mask: Mask | None = None,
    bias: Bias | None = None,
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
        bias=bias,
    )
