"""Reranking inside the softmax: a cross-encoder reads the best documents of a query, and adds to their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from softkv_attention.lookup import Answer
from softkv_service.encoding import Encoders, EncodingQueue, Reranker, TextRefused, write_pair
from softkv_service.retrieval.calibration import Calibration, Rerank
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.options import Options
from softkv_service.retrieval.queries.query_parts import EncodedSum
from softkv_service.retrieval.queries.question import EncodedQuery
from softkv_service.retrieval.queries.results import StoredDocuments, choose_matches
from softkv_service.retrieval.queries.terms import RerankTerm
from softkv_service.storage.records import CollectionRecord

MAX_DEPTH = 1000
MAX_RERANKED = 10_000
"""Documents that a reranker reads for all queries of a request together."""
MAX_RERANK_QUERY = 10_000
"""Characters of a query that a reranker reads together with each document."""

DEFAULT_RERANK_WEIGHT = 1.0


def resolve_rerank(record: CollectionRecord, encoders: Encoders, rerank: Rerank) -> Rerank:
    """Return the reranker with its name, and with a number in place of the weight "auto".

    The number is that of the collection's calibration, if it was fitted with this model and depth.
    """
    model = next(iter(encoders.rerankers), None) if rerank.model is None else rerank.model
    rerank = replace(rerank, model=model)
    if rerank.weight != "auto":
        return rerank
    calibration = Calibration.read(record.settings.calibration)
    fitted = None if calibration is None else calibration.rerank
    return fitted if fitted is not None and fitted.reads_as(rerank) else replace(rerank, weight=DEFAULT_RERANK_WEIGHT)


def check_rerank(queries: Sequence[EncodedQuery | EncodedSum], options: Options, pointers: Sequence[str]) -> list[str]:
    """Return the texts of queries.

    Raises:
        InvalidContent: a query is not a text, or is too long, or the options do not allow terms of the logits.
    """
    assert options.rerank is not None
    if any(isinstance(query, EncodedSum) for query in queries):
        raise InvalidContent.at(
            "/rerank", "a reranker reads a text, and a query is a weighted sum: send each query as a text, or no rerank"
        )
    if options.temperature == "auto":
        raise InvalidContent.at(
            "/temperature", 'temperature "auto" is not for a question with rerank, which adds to logits: give a number'
        )
    if options.normaliser != "softmax":
        raise InvalidContent.at(
            "/normaliser", f"rerank is for softmax, got {options.normaliser}: leave one of the two out"
        )
    if len(queries) * options.rerank.depth > MAX_RERANKED:
        raise InvalidContent.at(
            "/rerank/depth",
            f"{len(queries)} queries of depth {options.rerank.depth} came, and a request reranks {MAX_RERANKED} "
            "documents in all: send the queries in parts, or a smaller depth",
        )
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


def read_head_texts(snapshot: Snapshot, answer: Answer, depth: int) -> dict[int, str]:
    """Return the text of the best key of each of the best documents of an answer, by the document's row number.

    Documents without a key text are left out. If several tie for the last place, the id decides.
    """
    listed = answer.logits >= answer.logits[min(depth, len(answer.logits)) - 1] if len(answer.logits) else slice(0)
    columns = {
        name: getattr(answer, name)[listed] for name in ("numbers", "similarities", "logits", "weights", "parts")
    }
    matches = min(depth, len(columns["numbers"]))
    answer, reader = replace(answer, matches=matches, **columns), StoredDocuments(snapshot, "texts")
    matching = choose_matches(answer, reader)
    rows, texts = answer.numbers[matching], dict[int, str]()
    documents = reader.documents(rows)
    best_keys = reader.find_best_keys(documents, rows, answer.parts[matching])
    for row, document, best in zip(rows.tolist(), documents, best_keys, strict=True):
        if isinstance(document, str) or document.key is None:
            continue
        span = None if best is None else best.part
        texts[row] = document.key if span is None else document.key[span.start : span.end]
    return texts


async def compute_rerank_term(
    queue: EncodingQueue[Reranker], query: str, texts: Mapping[int, str], weight: float, pointer: str
) -> RerankTerm:
    """Return the term of a reranker for one query.

    Args:
        queue: the queue of the reranker.
        query: the text of the query.
        texts: the text of each document that the reranker reads, by its row number.
        weight: the factor of its logits.
        pointer: the position of the query in the request, for errors.

    Raises:
        InvalidContent: the reranker cannot read the query beside a document.
    """
    rows = np.sort(np.array([*texts], dtype=np.int64))
    pairs = [write_pair(query, texts[row]) for row in rows.tolist()]
    try:
        logits = (await queue.encode(pairs, "query")).vectors[:, 0] if pairs else np.empty(0)
    except TextRefused as error:
        raise InvalidContent.at(pointer, next(iter(error.messages.values()))) from None
    return RerankTerm(weight, rows, logits.astype(np.float64))
