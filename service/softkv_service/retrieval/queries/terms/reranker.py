"""Reranking inside the softmax: a cross-encoder reads the best documents of a query, and adds to their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from softkv.questions import RerankModel
from softkv_attention.arrays import F64, I64
from softkv_service.encoding import LATE, MAX_PAIR_QUERY, Encoders, EncodingQueue, Reranker, TextRefused, write_pair
from softkv_service.retrieval.calibration import USUAL_LATE, Calibration, RerankerSettings
from softkv_service.retrieval.collections import Collection, get_reranker_queue
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query, WeightedSum
from softkv_service.retrieval.queries.terms.heads import Head
from softkv_service.retrieval.queries.terms.term import HeadAddends, HeadTerm, QueryTerm
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, clip_addends
from softkv_service.storage.records import CollectionRecord

MAX_RERANKED, MAX_COMPARED = 10_000, 1000
"""Documents that a reranker reads for all queries of a request together, and late interaction, which explains pairs."""
DEFAULT_RERANK_WEIGHT = 1.0

DEFAULT_DEPTH, LATE_DEPTH = 50, USUAL_LATE.depth
"""The number of documents that a reranker reads, and late interaction."""


@dataclass(frozen=True, eq=False)
class RerankerAddends(HeadAddends):
    """A weight times a reranker's logit of each document that it has read.

    Attributes:
        weight: the weight.
        rows: int64[r], the ascending rows of these documents.
        logits: float64[r], the reranker's.
    """

    weight: float
    rows: I64
    logits: F64

    @property
    def by_row(self) -> tuple[I64, F64]:
        """The documents that were read, and the number that is added to the logit of each."""
        with np.errstate(over="ignore"):
            return self.rows, clip_addends(self.weight * self.logits)

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these row numbers the number that is added to its logit, as JSON."""
        pairs = zip(self.rows.tolist(), self.logits.tolist(), self.by_row[1].tolist(), strict=True)
        lines = {row: {"of": "rerank", "logit": logit, "addend": addend} for row, logit, addend in pairs}
        return [[lines.get(row, {"of": "rerank", "logit": None, "addend": 0.0})] for row in rows.tolist()]


@dataclass(frozen=True, eq=False)
class RerankerTerm(QueryTerm):
    """The reranker of a question, and the texts that it reads together with the best documents.

    Attributes:
        queries: the text of each query.
        pointers: the position of each query in the request, for errors.
        reranker: the reranker, with a number as its weight.
    """

    queries: Sequence[str]
    pointers: Sequence[str]
    reranker: RerankerSettings

    @property
    def depth(self) -> int:  # type: ignore[override]
        """The number of documents of each query that it reads."""
        return self.reranker.depth

    async def prepare(self, collection: Collection) -> HeadTerm:
        """Return the term with the model, once that is loaded.

        Raises:
            InvalidContent: the service lacks the reranker.
            RetrievalError: it is not ready.
        """
        queue = await get_reranker_queue(collection.encoders, self.reranker.model, "/rerank/model")
        return HeadTerm(partial(self._read_head, queue), self.depth)

    async def _read_head(self, queue: EncodingQueue[Reranker], query: int, head: Head) -> RerankerAddends:
        """Return the addends for one query; raise InvalidContent if the model cannot read it beside a document."""
        rows = np.sort(np.array([*head.texts], dtype=np.int64))
        pairs = [write_pair(self.queries[query], head.texts[row].text) for row in rows.tolist()]
        try:
            logits = (await queue.encode(pairs, "query")).vectors[:, 0] if pairs else np.empty(0)
        except TextRefused as error:
            raise InvalidContent.at(self.pointers[query], next(iter(error.messages.values()))) from None
        weight = self.reranker.weight
        assert weight != "auto"
        return RerankerAddends(weight, rows, logits.astype(np.float64))


def settle_reranker(collection: Collection, question: CollectionQuestion) -> CollectionQuestion:
    """Return a question with its reranker as the collection's calibration has it: with a number as its weight.

    Reranked weights have a null key of their own, whatever the collection's is, if the reranker is the calibrated one.
    """
    record = collection.record
    if question.rerank is not None:
        reranker = resolve_reranker(record, collection.encoders, question.rerank, question.rerank.weight)
        question = question.copy_with(reranker=reranker)
    calibration = Calibration.read(record.settings.calibration) if question.null is None else None
    if calibration is None or calibration.reranked is None or question.reranker != calibration.rerank:
        return question
    return question.copy_with(null="calibrated")


def resolve_reranker(
    record: CollectionRecord, encoders: Encoders, rerank: RerankModel, weight: float | Literal["auto"] = "auto"
) -> RerankerSettings:
    """Return a reranker with its name and depth, and with a number in place of the weight "auto".

    The number is that of the collection's calibration, if it was fitted with this model and depth.

    Args:
        record: the collection's record.
        encoders: the encoders and rerankers of the service.
        rerank: the reranker as a question or a calibration has it.
        weight: its weight.
    """
    model = next(iter(encoders.rerankers), None) if rerank.model is None else rerank.model
    depth = rerank.depth
    if depth is None:
        depth = LATE_DEPTH if rerank.model == LATE else DEFAULT_DEPTH
    resolved = RerankerSettings(model, depth, weight)
    if weight != "auto":
        return resolved
    calibration = Calibration.read(record.settings.calibration)
    fitted = None if calibration is None else calibration.rerank
    return (
        fitted if fitted is not None and fitted.reads_as(resolved) else replace(resolved, weight=DEFAULT_RERANK_WEIGHT)
    )


def check_reranked(queries: Sequence[Query], question: CollectionQuestion, pointers: Sequence[str]) -> list[str]:
    """Return the texts of queries that a reranker, or late interaction, reads.

    Raises:
        InvalidContent: a query is not a text, or is too long, or the options do not allow terms of the logits.
    """
    reranker = question.reranker
    assert reranker is not None
    if any(isinstance(query, WeightedSum) for query in queries):
        raise InvalidContent.at(
            "/rerank", "a reranker reads a text, and a query is a weighted sum: send each query as a text, or no rerank"
        )
    if question.temperature == "auto":
        raise InvalidContent.at(
            "/temperature", 'temperature "auto" is not for a question with rerank, which adds to logits: give a number'
        )
    if question.normaliser != "softmax":
        raise InvalidContent.at(
            "/normaliser", f"rerank is for softmax, got {question.normaliser}: leave one of the two out"
        )
    limit = most_documents(reranker.model)
    if len(queries) * reranker.depth > limit:
        raise InvalidContent.at(
            "/rerank/depth",
            f"{len(queries)} queries of depth {reranker.depth} came, and a request reranks {limit} "
            "documents in all: send the queries in parts, or a smaller depth",
        )
    texts = list[str]()
    for query, pointer in zip(queries, pointers, strict=True):
        if not isinstance(query, str):
            raise InvalidContent.at(
                "/rerank", "a reranker reads texts, and a query is a vector: send each query as a text, or no rerank"
            )
        if len(query) > MAX_PAIR_QUERY:
            raise InvalidContent.at(
                pointer, f"{len(query)} characters came, a reranker takes {MAX_PAIR_QUERY}: send a shorter one"
            )
        texts.append(query)
    return texts


def most_documents(model: str | None) -> int:
    """Return how many documents a reranker reads for all queries of a request together."""
    return MAX_COMPARED if model == LATE else MAX_RERANKED


def may_read(default: Mapping[str, Any], queries: Sequence[Any]) -> bool:
    """Return whether a default of a reranker can read these queries."""
    depth = default.get("depth", DEFAULT_DEPTH)
    return are_texts(queries) and len(queries) * depth <= most_documents(default.get("model"))


def are_texts(queries: Sequence[Any]) -> bool:
    """Return whether all queries are texts that a reranker, or late interaction, reads."""
    return all(isinstance(query, str) and len(query) <= MAX_PAIR_QUERY for query in queries)
