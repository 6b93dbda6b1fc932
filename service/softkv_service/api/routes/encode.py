"""Routes of the encoder: vectors and tokens of texts, and the attention between the tokens of a text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from softkv.answers.arrays import EncodeAnswer, Trace
from softkv_service.api.json import NDJSON, JSONAnswer, ndjson, pick
from softkv_service.api.middleware.access import check_key_again
from softkv_service.api.problems.errors import KeyRefused, ServiceStopping
from softkv_service.api.problems.handlers import problem_response
from softkv_service.api.problems.table import ENCODING, WITH_BODY, refusals
from softkv_service.api.routing import json_router
from softkv_service.api.shutdown import Shutdown
from softkv_service.api.state import Running
from softkv_service.encoding import Encoded, EncodingError, EncodingQueue, TextRefused, Token, encode_stream
from softkv_service.retrieval import InvalidContent, TooLarge
from softkv_service.retrieval.collections import get_model_queue
from softkv_service.retrieval.queries import trace_text
from softkv_service.scheduling import TEXTS
from softkv_service.schemas.encode import EncodeRequest, TraceRequest
from softkv_service.schemas.stream import ENCODE_ANSWER
from softkv_service.schemas.vector import write_vector
from softkv_service.schemas.wire import MAX_DOCUMENTS

router = json_router("/v1", "encode", "encode", "nothing", "nothing")

MAX_TEXTS_WITH_TOKENS = 1000

Tokens = Sequence[Sequence[Token]] | None


@router.post(
    "/encode",
    response_model=EncodeAnswer,
    responses=refusals(*WITH_BODY, "too_much", "model_not_found", *ENCODING)
    | {200: {"content": {NDJSON: ENCODE_ANSWER}}},
    response_description="One vector per text, in order.",
    summary="Encode texts",
)
async def encode(body: EncodeRequest, request: Request, running: Running) -> Response:
    """Encode texts: one vector per text, in order, independent of the other texts.

    An empty list of texts gives an empty list of vectors.
    """
    limit = max_texts(tokens=body.tokens)
    if len(body.texts) > limit:
        raise TooLarge.at(
            "/texts",
            f"{len(body.texts)} texts came, this service takes {limit} in one request"
            f"{' with their tokens' if body.tokens else ''}: send them in parts",
        )
    queue = await get_model_queue(running.catalogue.encoders, body.model)
    if body.tokens and not queue.encoder.knows_tokens:
        raise InvalidContent.at(
            "/tokens",
            f"encoder {queue.encoder.name!r} is behind a URL, which does not tell the tokens of a text: leave tokens "
            "out, or name an encoder of this machine",
        )
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(queue, body, request), media_type=NDJSON)
    try:
        encoded = await queue.encode(body.texts, body.purpose)
    except TextRefused as error:
        raise InvalidContent.of_texts(error, _pointers(body)) from None
    answer = {
        "model": queue.encoder.name,
        "dimension": queue.encoder.dimension,
        "embeddings": write_vector(encoded.vectors, body.vector_format),
        **pick(encoded, "token_counts", "truncated", "unknown_tokens"),
    }
    tokens = await _tokens(queue, body.texts, body)
    if tokens is not None:
        answer["tokens"] = [[token._asdict() for token in text] for text in tokens]
    return JSONAnswer(answer)


def _pointers(body: EncodeRequest) -> list[str]:
    return [f"/texts/{i}" for i in range(len(body.texts))]


def max_texts(*, tokens: bool) -> int:
    """Return the maximum number of texts in one request, with or without their tokens."""
    return MAX_TEXTS_WITH_TOKENS if tokens else MAX_DOCUMENTS


async def _tokens(queue: EncodingQueue, texts: Sequence[str], body: EncodeRequest) -> Tokens:
    if not body.tokens:
        return None
    return await TEXTS.run(queue.encoder.tokens, texts, body.purpose)


async def _lines(queue: EncodingQueue, body: EncodeRequest, request: Request) -> AsyncIterator[bytes]:
    """Encode texts, and yield one line of NDJSON per text, in order.

    The last line says whether all texts were encoded.

    Args:
        queue: the encoder's queue.
        body: the request.
        request: its service ends the stream when it stops, and so does the end of its key.
    """
    shutdown: Shutdown = request.app.state.shutdown
    end: dict[str, Any] = {"done": True, "model": queue.encoder.name, "dimension": queue.encoder.dimension}
    encoded = 0
    try:
        async with aclosing(encode_stream(queue, body.texts, body.purpose)) as parts:
            while (part := await shutdown.until_begun(anext(parts, None))) is not None:
                check_key_again(request.scope)
                tokens = await _tokens(queue, body.texts[encoded : encoded + len(part.vectors)], body)
                yield b"".join(ndjson(line) for line in _shape(part, encoded, tokens, body.vector_format))
                encoded += len(part.vectors)
    except TextRefused as error:
        refusal = InvalidContent.of_texts(error, _pointers(body))
        end |= {"done": False, "problem": problem_response(refusal).problem}
    except (EncodingError, KeyRefused, ServiceStopping) as error:
        end |= {"done": False, "problem": problem_response(error).problem}
    yield ndjson(end | {"encoded": encoded})


def _shape(part: Encoded, first: int, tokens: Tokens, vector_format: str) -> Iterator[dict[str, Any]]:
    for i, text in enumerate(part.texts()):
        line = {
            "index": first + i,
            "embedding": write_vector(text.vector, vector_format),
            **pick(text, "token_count", "truncated", "unknown_tokens"),
        }
        yield line if tokens is None else line | {"tokens": [token._asdict() for token in tokens[i]]}


trace_router = json_router("/v1", "encode", "encode", "nothing", "nothing")


@trace_router.post(
    "/trace",
    response_model=Trace,
    responses=refusals(*WITH_BODY, "too_much", "model_not_found", "untraceable", *ENCODING),
    response_description="The tokens, and the attention of each.",
    summary="Trace the attention between tokens",
)
async def trace(body: TraceRequest, running: Running) -> Response:
    """Trace the computation of the encoder from a text to its vector, layer by layer and head by head."""
    encoder = (await get_model_queue(running.catalogue.encoders, body.model)).encoder
    options = body.model_dump(include={"purpose", "layers", "heads", "causal", "include"})
    traced = await TEXTS.run(partial(trace_text, **options), encoder, body.text, body.pair)
    answer: dict[str, Any] = {
        "model": encoder.name,
        "tokens": [token._asdict() for token in traced.text.tokens],
        "layers": traced.layers,
        "heads": traced.heads,
    }
    write = partial(write_vectors, vector_format=body.vector_format)
    answer |= {name: write(array) for name, array in traced.arrays.items()}
    if traced.changes is not None:
        answer["changes"] = [write(changes) for changes in traced.changes]
    return JSONAnswer(answer)


def write_vectors(arrays: Any, vector_format: str) -> Any:
    """Write an array, or each of arrays by their names, as the API does."""
    if isinstance(arrays, dict):
        return {name: write_vector(array, vector_format) for name, array in arrays.items()}
    return write_vector(arrays, vector_format)
