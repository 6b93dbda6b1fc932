"""Routes that score pairs of texts by a reranker: as Cohere's and Jina's clients call it, and as vLLM's do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import Request, Response

from softkv.answers.openai import RerankAnswer, ScoreAnswer
from softkv_service.api.json import JSONAnswer
from softkv_service.api.problems.table import ENCODING, WITH_BODY, refusals
from softkv_service.api.routing import json_router
from softkv_service.api.state import Running
from softkv_service.encoding import ACTIVATIONS, Encoded, Encoders, EncodingQueue, Reranker, TextRefused, write_pair
from softkv_service.retrieval import InvalidContent, TooLarge
from softkv_service.retrieval.collections import get_reranker_queue
from softkv_service.scheduling import TEXTS
from softkv_service.schemas.rerank import MAX_PAIRS, MAX_QUERY, MAX_SCORED, RerankRequest, ScoreRequest

router = json_router("", "encode", "encode", "nothing", "nothing")
REFUSALS = refusals(*WITH_BODY, "too_much", "model_not_found", *ENCODING)


@router.post(
    "/v1/rerank",
    response_model=RerankAnswer,
    responses=REFUSALS,
    response_description="The documents in the order of their relevance.",
    summary="Rerank documents, as Cohere and Jina do",
)
async def rerank(body: RerankRequest, request: Request, running: Running) -> Response:
    """Order documents by their relevance to a query, which a cross-encoder reads together with each document.

    Cohere's clients work unchanged with this service as their base URL, and Jina's with its `/v1`.
    """
    return JSONAnswer(await _rerank(body, request, running.catalogue.encoders, "1"))


@router.post(
    "/v2/rerank",
    response_model=RerankAnswer,
    responses=REFUSALS,
    response_description="The documents in the order of their relevance.",
    summary="Rerank documents, as the second version of Cohere's API does",
)
async def rerank_as_cohere(body: RerankRequest, request: Request, running: Running) -> Response:
    """Order documents by their relevance to a query, as `/v1/rerank` does."""
    return JSONAnswer(await _rerank(body, request, running.catalogue.encoders, "2"))


async def _rerank(body: RerankRequest, request: Request, encoders: Encoders, version: str) -> dict[str, Any]:
    if body.top_n is not None and body.top_k is not None:
        raise InvalidContent.at("/top_k", "top_n and top_k came, and they mean the same: send one of them")
    pairs = [(body.query, document) for document in body.documents]
    _check_pairs(pairs, "/documents", "/query", repeated=body.query)
    queue = await get_reranker_queue(encoders, body.model)
    if (tokens := body.max_tokens_per_doc) is not None and tokens < queue.encoder.network.max_tokens:
        pairs = await TEXTS.run(_shorten, queue.encoder, pairs, tokens)
    encoded = await _encode(queue, pairs, [f"/documents/{i}" for i in range(len(pairs))])
    logits = encoded.vectors[:, 0].astype(np.float64)
    results, scores = [], ACTIVATIONS["Sigmoid"](logits)
    for index in np.argsort(-logits, kind="stable")[: body.top_n or body.top_k].tolist():
        result: dict[str, Any] = {"index": index, "relevance_score": float(scores[index])}
        results.append(result | ({"document": {"text": body.documents[index]}} if body.return_documents else {}))
    return {
        "id": request.state.request_id,
        "model": queue.encoder.name,
        "results": results,
        "meta": {"api_version": {"version": version}, "billed_units": {"search_units": 1}},
        "usage": _usage(encoded),
    }


@router.post(
    "/v1/score",
    response_model=ScoreAnswer,
    responses=REFUSALS,
    response_description="One score per pair, in order.",
    summary="Score pairs of texts, as vLLM does",
)
async def score(body: ScoreRequest, request: Request, running: Running) -> Response:
    """Return the score of each pair of texts, which a cross-encoder reads together."""
    second = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    first_texts = [body.text_1] if isinstance(body.text_1, str) else body.text_1
    repeated = first_texts[0] if len(first_texts) == 1 else None
    first = first_texts if repeated is None else first_texts * len(second)
    if len(first) != len(second):
        raise InvalidContent.at(
            "/text_2", f"{len(first)} texts came in text_1 and {len(second)} in text_2: send one text_1, or as many"
        )
    pairs = list(zip(first, second, strict=True))
    _check_pairs(pairs, "/text_2", "/text_1", repeated=repeated)
    characters = sum(map(len, [*(first if repeated is None else [repeated]), *second]))
    if characters > MAX_SCORED:
        raise TooLarge.at(
            "/text_2", f"{characters} characters came, one score takes {MAX_SCORED}: send the texts in parts"
        )
    queue = await get_reranker_queue(running.catalogue.encoders, body.model)
    if (activation := ACTIVATIONS.get(queue.encoder.activation)) is None:
        raise InvalidContent.at(
            "/model",
            f"the activation_fn of {queue.encoder.name!r} is torch.nn.{queue.encoder.activation}, and scores may have "
            f"{', '.join(ACTIVATIONS)}: call /v1/rerank, which needs none, or name another model",
        )
    pointers = ["/text_2"] if isinstance(body.text_2, str) else [f"/text_2/{i}" for i in range(len(pairs))]
    encoded = await _encode(queue, pairs, pointers)
    scores = activation(encoded.vectors[:, 0].astype(np.float64))
    return JSONAnswer(
        {
            "id": request.state.request_id,
            "object": "list",
            "created": int(time.time()),
            "model": queue.encoder.name,
            "data": [{"index": i, "object": "score", "score": value} for i, value in enumerate(scores.tolist())],
            "usage": _usage(encoded),
        }
    )


def _check_pairs(pairs: Sequence[tuple[str, str]], pointer: str, query: str, *, repeated: str | None) -> None:
    """Raise unless a request has few enough pairs, and a text of all pairs is short enough.

    Args:
        pairs: the pairs.
        pointer, query: the positions of the second and the first texts in the request.
        repeated: the text that all pairs begin with; None if they do not.

    Raises:
        TooLarge: there are too many pairs.
        InvalidContent: the text is too long.
    """
    if len(pairs) > MAX_PAIRS:
        raise TooLarge.at(
            pointer, f"{len(pairs)} texts came, a reranker takes {MAX_PAIRS} in one request: send them in parts"
        )
    if repeated is not None and len(repeated) > MAX_QUERY:
        raise InvalidContent.at(query, f"{len(repeated)} characters came, wanted at most {MAX_QUERY}: shorten the text")


def _shorten(reranker: Reranker, pairs: Sequence[tuple[str, str]], tokens: int) -> list[tuple[str, str]]:
    tokenizer = reranker.network.tokenizer
    return [(query, tokenizer.head(document, tokens)) for query, document in pairs]


async def _encode(queue: EncodingQueue[Reranker], pairs: Sequence[tuple[str, str]], pointers: list[str]) -> Encoded:
    """Return the logits of pairs.

    Raises:
        InvalidContent: the model cannot read some pairs; the pointers are the places of their second texts.
    """
    try:
        return await queue.encode([write_pair(*pair) for pair in pairs], "query")
    except TextRefused as error:
        raise InvalidContent.of_texts(error, pointers) from None


def _usage(encoded: Encoded) -> dict[str, int]:
    assert encoded.token_counts is not None  # a reranker tells its tokens
    tokens = int(encoded.token_counts.sum())
    return {"prompt_tokens": tokens, "total_tokens": tokens}
