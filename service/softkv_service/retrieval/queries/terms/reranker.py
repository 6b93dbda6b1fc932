"""Reranking inside the softmax: a cross-encoder reads the best documents of a query, and adds to their logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from softkv.questions import RerankModel
from softkv_attention.arrays import F64, I64
from softkv_attention.lookup import Answer
from softkv_service.encoding import LATE, Encoders, EncodingQueue, Reranker, TextRefused, read_part, write_pair
from softkv_service.retrieval.calibration import USUAL_LATE, Calibration, Rerank
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.documents import StoredDocuments, choose_matches
from softkv_service.retrieval.queries.query_parts import EncodedSum
from softkv_service.retrieval.queries.question import EncodedQuery
from softkv_service.retrieval.queries.terms.heads import Head, HeadText
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, clip_addends
from softkv_service.storage.records import CollectionRecord

MAX_RERANKED, MAX_COMPARED = 10_000, 1000
"""Documents that a reranker reads for all queries of a request together, and late interaction, which explains pairs."""
MAX_RERANK_QUERY = 10_000
"""Characters of a query that a reranker reads together with each document."""

DEFAULT_RERANK_WEIGHT = 1.0

DEFAULT_DEPTH, LATE_DEPTH = 50, USUAL_LATE.depth
"""The number of documents that a reranker reads, and late interaction."""


@dataclass(frozen=True, eq=False)
class RerankTerm:
    """A term that adds a weight times a reranker's logit to the logits of the documents that it has read.

    Attributes:
        weight: the weight.
        rows: int64[r], the ascending rows of these documents.
        logits: float64[r], the reranker's.
    """

    weight: float
    rows: I64
    logits: F64

    @property
    def addends(self) -> F64:
        """float64[r], the numbers to add to the logits of these documents."""
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * self.logits)

    def explain(self, rows: I64) -> list[Explanation]:
        """Return for each document with these row numbers the number that is added to its logit, as JSON."""
        pairs = zip(self.rows.tolist(), self.logits.tolist(), self.addends.tolist(), strict=True)
        lines = {row: {"of": "rerank", "logit": logit, "addend": addend} for row, logit, addend in pairs}
        return [lines.get(row, {"of": "rerank", "logit": None, "addend": 0.0}) for row in rows.tolist()]


def resolve_rerank(
    record: CollectionRecord, encoders: Encoders, rerank: RerankModel, weight: float | Literal["auto"] = "auto"
) -> Rerank:
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
    resolved = Rerank(model, depth, weight)
    if weight != "auto":
        return resolved
    calibration = Calibration.read(record.settings.calibration)
    fitted = None if calibration is None else calibration.rerank
    return (
        fitted if fitted is not None and fitted.reads_as(resolved) else replace(resolved, weight=DEFAULT_RERANK_WEIGHT)
    )


def resolve_reranked_null(record: CollectionRecord, question: CollectionQuestion) -> CollectionQuestion:
    """Return a question with the null key of reranked weights, if its reranker is the one of the calibration.

    They have a null key of their own, whatever the collection's is.
    """
    if question.null is not None:
        return question
    calibration = Calibration.read(record.settings.calibration)
    if calibration is None or calibration.reranked is None or question.reranker != calibration.rerank:
        return question
    return question.copy_with(null="calibrated")


def check_rerank(
    queries: Sequence[EncodedQuery | EncodedSum], question: CollectionQuestion, pointers: Sequence[str]
) -> list[str]:
    """Return the texts of queries.

    Raises:
        InvalidContent: a query is not a text, or is too long, or the options do not allow terms of the logits.
    """
    reranker = question.reranker
    assert reranker is not None
    if any(isinstance(query, EncodedSum) for query in queries):
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
    if reranker.model == LATE:
        _check_late(question, reranker)
    texts = list[str]()
    for query, pointer in zip(queries, pointers, strict=True):
        if not isinstance(query.sent, str):
            raise InvalidContent.at(
                "/rerank", "a reranker reads texts, and a query is a vector: send each query as a text, or no rerank"
            )
        if len(query.sent) > MAX_RERANK_QUERY:
            raise InvalidContent.at(
                pointer, f"{len(query.sent)} characters came, a reranker takes {MAX_RERANK_QUERY}: send a shorter one"
            )
        texts.append(query.sent)
    return texts


def read_head(snapshot: Snapshot, answer: Answer, depth: int) -> Head:
    """Read the best documents of an answer, which lists at least one more; if several tie at the end, the id decides.

    Args:
        snapshot: the version of the collection that was asked.
        answer: the answer.
        depth: the number of documents to read.
    """
    logits = answer.logits + answer.log_weight_of_other_parts
    order = (-logits).argsort(kind="stable")
    listed = logits >= logits[order[min(depth, len(order)) - 1]] if len(order) else slice(0)
    columns = {
        name: getattr(answer, name)[listed] for name in ("numbers", "similarities", "logits", "weights", "parts")
    }
    matches = min(depth, len(columns["numbers"]))
    reader = StoredDocuments(snapshot, "texts")
    matching = choose_matches(replace(answer, matches=matches, **columns), reader)
    rows, total = columns["numbers"][matching], logits[listed][matching]
    documents = reader.documents(rows)
    best_keys = reader.find_best_keys(documents, rows, columns["parts"][matching])
    texts = dict[int, HeadText]()
    columns_of_rows = rows.tolist(), total.tolist(), columns["parts"][matching].tolist()
    for row, logit, part, document, best in zip(*columns_of_rows, documents, best_keys, strict=True):
        if isinstance(document, str) or document.key is None:
            continue
        if best is None or best.part is None or best.first is None:
            texts[row] = HeadText(document.key, 0, 0, logit, part)
        else:
            text, title = read_part(document.key, best.part, best.first)
            texts[row] = HeadText(text, title, best.part.start, logit, part)
    return Head(texts, float(logits[order[depth]]) if len(order) > depth else -math.inf)


def most_documents(model: str | None) -> int:
    """Return how many documents a reranker reads for all queries of a request together."""
    return MAX_COMPARED if model == LATE else MAX_RERANKED


def _check_late(question: CollectionQuestion, reranker: Rerank) -> None:
    if question.temperature == 0:
        raise InvalidContent.at(
            "/temperature", "late interaction shares weights again, and at 0 there is one: send a temperature above 0"
        )
    if reranker.weight not in (0, 1):
        raise InvalidContent.at(
            "/rerank/weight",
            "the weight of late interaction is 1, or 0 to leave it out: its numbers are those of its encoder",
        )


async def compute_rerank_term(
    queue: EncodingQueue[Reranker], query: str, head: Head, weight: float, pointer: str
) -> RerankTerm:
    """Return the term of a reranker for one query.

    Args:
        queue: the queue of the reranker.
        query: the text of the query.
        head: the documents that the reranker reads.
        weight: the factor of its logits.
        pointer: the position of the query in the request, for errors.

    Raises:
        InvalidContent: the reranker cannot read the query beside a document.
    """
    rows = np.sort(np.array([*head.texts], dtype=np.int64))
    pairs = [write_pair(query, head.texts[row].text) for row in rows.tolist()]
    try:
        logits = (await queue.encode(pairs, "query")).vectors[:, 0] if pairs else np.empty(0)
    except TextRefused as error:
        raise InvalidContent.at(pointer, next(iter(error.messages.values()))) from None
    return RerankTerm(weight, rows, logits.astype(np.float64))
