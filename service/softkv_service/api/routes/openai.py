"""The calls of OpenAI's clients: embeddings and models."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Path, Request, Response
from numpy.typing import NDArray

from softkv.answers.openai import EmbeddingsAnswer, ModelList
from softkv.answers.service import Model
from softkv_service.api.json import JSONAnswer
from softkv_service.api.problems.table import ANY_OPENAI_CALL, ENCODING, openai_refusals
from softkv_service.api.routing import json_router
from softkv_service.api.state import Running
from softkv_service.encoding import Encoded, Encoder, InvalidTokens, LoadingEncoder, TextRefused, estimate_tokens
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.collections import find_model, get_model_queue
from softkv_service.scheduling import TEXTS
from softkv_service.schemas.openai import EmbeddingsRequest

embeddings_router = json_router("/v1", "openai", "encode", "nothing", "nothing", ANY_OPENAI_CALL)


@embeddings_router.post(
    "/embeddings",
    response_model=EmbeddingsAnswer,
    responses=openai_refusals("model_not_found", "body_too_large", "unsupported_media_type", *ENCODING),
    response_description="One vector per input, in order.",
    summary="Embed texts, as OpenAI does",
)
async def embeddings(body: EmbeddingsRequest, request: Request, running: Running) -> Response:
    """Embed texts. OpenAI's clients, and Mistral's and Voyage's, work with this service as their base URL."""
    queue = await get_model_queue(running.catalogue.encoders, body.model)
    encoder = queue.encoder
    width = body.width
    if width is not None and width > encoder.dimension:
        raise InvalidContent.at(
            "/output_dimension" if body.dimensions is None else "/dimensions",
            f"{encoder.name} has {encoder.dimension} dimensions, got {width}: ask for fewer",
        )
    texts = await TEXTS.run(_texts, encoder, body.input)
    try:
        encoded = await queue.encode(texts, body.kind)
    except TextRefused as error:
        raise InvalidContent.of_texts(error, [_pointer(i, body.input) for i in range(len(texts))]) from None
    if not body.cuts and encoded.truncated is not None and encoded.truncated.any():
        raise InvalidContent.at(
            _pointer(int(encoded.truncated.argmax()), body.input),
            f"{encoder.name} would cut this text, and the request forbids it: shorten it, or leave truncation out",
        )
    vectors = shorten(encoded.vectors, encoder.dimension if width is None and body.normalized else width)
    return JSONAnswer(
        {
            "id": request.state.request_id,
            "object": "list",
            "data": [
                {"object": "embedding", "index": i, "embedding": _write(vector, body.encoding_format)}
                for i, vector in enumerate(vectors)
            ],
            "model": encoder.name,
            "usage": _usage(encoder, texts, encoded),
            "truncated": None if encoded.truncated is None else np.flatnonzero(encoded.truncated),
        }
    )


def _texts(encoder: Encoder, inputs: Sequence[str | list[int]]) -> list[str]:
    texts = []
    for i, item in enumerate(inputs):
        try:
            texts.append(item if isinstance(item, str) else encoder.decode(item))
        except InvalidTokens as error:
            raise InvalidContent.at(_pointer(i, inputs), str(error)) from error
    return texts


def _pointer(i: int, inputs: Sequence[object]) -> str:
    return f"/input/{i}" if len(inputs) > 1 else "/input"


def _usage(encoder: Encoder, texts: Sequence[str], encoded: Encoded) -> dict[str, Any]:
    """Return how many tokens were read; estimated from the characters if the encoder does not tell."""
    if encoded.token_counts is None:
        tokens = sum(map(estimate_tokens, texts))
        return {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}
    tokens = int(encoder.tokens_read(encoded.token_counts).sum())
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def shorten(vectors: NDArray[np.float32], dimensions: int | None) -> NDArray[np.float32]:
    """Return the first `dimensions` numbers of each vector [n, d], scaled to length one.

    If `dimensions` is None, return the vectors unchanged.
    """
    if dimensions is None:
        return vectors
    short = vectors[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    short /= np.where(lengths > 0, lengths, 1.0)
    return short.astype(np.float32)


def _write(vector: NDArray[np.float32], encoding_format: str | None) -> Any:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") if encoding_format == "base64" else vector


models_router = json_router("/v1/models", "openai", "read", "nothing", "nothing", ANY_OPENAI_CALL)


def _describe_model(model: LoadingEncoder) -> dict[str, Any]:
    encoder = model.encoder
    return {
        "id": model.name,
        "object": "model",
        "created": encoder.created if encoder else 0,
        "owned_by": "softkv",
        "state": model.state,
        "runs_on": encoder.runs_on if encoder else None,
        "dimension": encoder.dimension if encoder else None,
        "max_tokens": encoder.max_tokens if encoder else None,
        "precision": encoder.precision if encoder else None,
        "similarity": encoder.similarity if encoder else None,
        "temperature": encoder.temperature.value if encoder else None,
        "temperature_source": encoder.temperature.source if encoder else None,
        "batched": encoder.batched if encoder else None,
        "notes": encoder.notes if encoder else None,
    }


@models_router.get("", response_model=ModelList, response_description="The models.", summary="List models")
async def list_models(running: Running) -> Response:
    """List the models of the service; empty without an encoder. `runs_on` names the code that runs a model."""
    return JSONAnswer({"object": "list", "data": [_describe_model(model) for model in running.catalogue.encoders]})


@models_router.get(
    "/{id:path}",
    response_model=Model,
    responses=openai_refusals("model_not_found"),
    response_description="The model.",
    summary="Describe one model",
)
async def get_model(
    id: Annotated[str, Path(description="The name of the model; it may contain a /.", examples=["all-MiniLM-L6-v2"])],  # noqa: A002
    running: Running,
) -> Response:
    """Return the state of a model, the code that runs it, and the width of its vectors."""
    return JSONAnswer(_describe_model(find_model(running.catalogue.encoders, id)))
