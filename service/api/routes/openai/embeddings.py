"""Texts → vectors, as OpenAI's clients ask for them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from service.api.json import JSONAnswer
from service.api.problems.openai import ANY_OPENAI_CALL, openai_refusals
from service.api.problems.refusals import ENCODING
from service.api.routing import json_router
from service.api.state import Running
from service.encoding import Encoder, InvalidTokens
from service.retrieval import InvalidContent
from service.retrieval.collections import get_model_queue
from service.scheduling import TEXTS
from service.schemas.openai import EmbeddingsAnswer, EmbeddingsRequest

router = json_router("/v1", "openai", "encode", "nothing", ANY_OPENAI_CALL)


@router.post(
    "/embeddings",
    response_model=EmbeddingsAnswer,
    responses=openai_refusals("model_not_found", "body_too_large", "unsupported_media_type", *ENCODING),
    response_description="A vector an input, in order.",
    summary="Embed texts, as OpenAI does",
)
async def embeddings(body: EmbeddingsRequest, running: Running) -> Response:
    """OpenAI's clients work unchanged with this service's `/v1` as their base URL."""
    queue = await get_model_queue(running.catalogue.encoder, body.model)
    encoder = queue.encoder
    if body.dimensions is not None and body.dimensions > encoder.dimension:
        raise InvalidContent.at(
            "/dimensions", f"{encoder.name} has {encoder.dimension} dimensions, got {body.dimensions}: ask for fewer"
        )
    texts = await TEXTS.run(_texts, encoder, body.input)
    encoded = await queue.encode(texts, body.purpose)
    tokens = int(encoder.tokens_read(encoded.token_counts).sum())
    vectors = shorten(encoded.vectors, body.dimensions)
    return JSONAnswer(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": i, "embedding": _write(vector, body.encoding_format)}
                for i, vector in enumerate(vectors)
            ],
            "model": encoder.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "truncated": np.flatnonzero(encoded.truncated),
        }
    )


def _texts(encoder: Encoder, inputs: Sequence[str | list[int]]) -> list[str]:
    texts = []
    for i, item in enumerate(inputs):
        try:
            texts.append(item if isinstance(item, str) else encoder.decode(item))
        except InvalidTokens as error:
            raise InvalidContent.at(f"/input/{i}" if len(inputs) > 1 else "/input", str(error)) from error
    return texts


def shorten(vectors: NDArray[np.float32], dimensions: int | None) -> NDArray[np.float32]:
    """Vectors [n, d] → their first numbers, float32 [n, dimensions], at length one again."""
    if dimensions is None:
        return vectors
    kept = vectors[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    kept /= np.where(lengths > 0, lengths, 1.0)
    return kept.astype(np.float32)


def _write(vector: NDArray[np.float32], encoding_format: str | None) -> Any:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") if encoding_format == "base64" else vector
