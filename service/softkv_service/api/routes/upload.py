"""The route of documents as NDJSON: a stream of any length, written in batches, answered line by line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from itertools import chain, islice
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Content
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from softkv_service.api.body import LARGE_BODY, media_type, parse, refuse_encoded
from softkv_service.api.document_json import parse_document
from softkv_service.api.json import NDJSON, loads, ndjson
from softkv_service.api.middleware import access_record
from softkv_service.api.middleware.access import check_key_again
from softkv_service.api.problems.errors import BodyTooLarge, MalformedBody
from softkv_service.api.problems.handlers import flaws_of, problem_response
from softkv_service.api.problems.table import CODES
from softkv_service.api.routes.idempotency import refuse_key
from softkv_service.api.routing import GuardedRoute, filters, reaches, requires, takes
from softkv_service.api.shutdown import Shutdown
from softkv_service.api.state import NameInPath, Running
from softkv_service.retrieval import Flaw
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.documents import SentDocument, UploadResult, upload
from softkv_service.scheduling import BODIES
from softkv_service.schemas.document import Document
from softkv_service.storage.errors import OutsideFilter

_ENDS = re.compile(rb"\n(?:[ \t\r]*+\n)*")  # the end of a line, with empty lines after it
BATCH_LINES, BATCH_BYTES = 1000, 8 << 20
OUTSIDE_FILTER = CODES[OutsideFilter]
MAX_NAMED_LINES = 1000
"""The most refused lines that an upload describes; it counts the others."""
MAX_FLAWS = 10
"""The most flaws of a line that it describes."""


class NDJSONRoute(GuardedRoute):
    """The route class for bodies declared as NDJSON; the JSON route of the same path takes all other bodies."""

    reads_any_length = True  # each line has a limit
    outlives_its_caller = True

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request as any route does, but only if its content type is NDJSON."""
        if media_type(Headers(scope=scope)) != NDJSON:
            return Match.NONE, {}
        return super().matches(scope)


class Lines(StreamingResponse):
    """A streamed response that begins while the request's body is still being read, after the first batch of lines.

    Starlette's own streaming response would wait for the client's disconnect at the same time, and so lose parts of the
    body. The response does not begin before the first batch, because some proxies (nginx) stop passing on a body once
    its response has begun.
    """

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the first batch, then send the lines of the response; an ASGI call."""
        lines = aiter(self.body_iterator)
        self.body_iterator = _chain(await anext(lines, b""), lines)
        await self.stream_response(send)


async def _chain(first: Content, rest: AsyncIterator[Content]) -> AsyncIterator[Content]:
    yield first
    async for line in rest:
        yield line


router = APIRouter(
    prefix="/v1/collections/{name}/documents",
    tags=["documents"],
    route_class=NDJSONRoute,
    dependencies=[requires("write"), takes("stream"), reaches("collection"), filters("filtered")],
)


@router.post("", include_in_schema=False)
async def post_lines(name: NameInPath, request: Request, running: Running) -> Response:
    """Write documents from a body of NDJSON, and answer one line per batch of 1,000 documents or 8 MiB.

    The last line says how the upload ended.
    """
    refuse_encoded(request.headers)
    refuse_key(request)
    running.catalogue.collection(name)  # a 404 has to come before the stream begins
    return Lines(_answer(name, request, running))


class ParsedBatch(NamedTuple):
    """The lines of a batch.

    Attributes:
        documents: the documents of the valid lines, by line number.
        flawed: the flaws of the first invalid lines, by line number.
        more: the number of further invalid lines.
    """

    documents: dict[int, SentDocument]
    flawed: dict[int, list[Flaw]]
    more: int


async def _answer(name: str, request: Request, running: Running) -> AsyncIterator[bytes]:
    upserted, refused = 0, 0
    shutdown: Shutdown = request.app.state.shutdown
    try:
        max_bytes = running.max_body_bytes
        batches = _batches(_lines(request.stream(), max_bytes), min(max_bytes, BATCH_BYTES))
        with running.catalogue.encoders.uploads.counted():
            async with aclosing(_read_ahead(_parse_batches(batches))) as parsed:
                while (batch := await shutdown.until_begun(anext(parsed, None))) is not None:
                    check_key_again(request.scope)
                    access_record.check_part()
                    describable = max(0, MAX_NAMED_LINES - refused)
                    uploaded, flawed, more = await shutdown.until_late(
                        _write_batch(running.catalogue.collection(name), batch, describable)
                    )
                    upserted += uploaded.upserted
                    refused += len(flawed) + more
                    yield ndjson(
                        {
                            "upserted": uploaded.upserted,
                            "truncated": uploaded.truncated,
                            "refused": _shape_refusals(flawed),
                        }
                        | ({"more_refused": more} if more else {})
                    )
    except ClientDisconnect:
        return
    except tuple(CODES) as error:
        problem = problem_response(error).problem
        await access_record.record_part(problem["code"])
        yield ndjson({"done": False, "upserted": upserted, "refused": refused, "problem": problem})
    else:
        yield ndjson({"done": True, "upserted": upserted, "refused": refused})


async def _write_batch(
    collection: Collection, batch: ParsedBatch, describable: int
) -> tuple[UploadResult, dict[int, list[Flaw]], int]:
    """Write a batch of lines.

    Args:
        collection: the collection.
        batch: the parsed lines.
        describable: the most refused lines that are described.

    Returns:
        the result; the flaws of the first refused lines by line number; and the number of further refused lines.
    """
    documents, flawed, more = batch
    uploaded = await upload(collection, documents)
    written = [document.id for line, document in documents.items() if line not in uploaded.refused]
    await access_record.record_part(ids=written)
    if uploaded.outside:
        await access_record.record_part(OUTSIDE_FILTER, uploaded.outside)
    refused = dict(sorted((flawed | uploaded.refused).items()))
    described = dict(islice(refused.items(), describable))
    return uploaded, described, more + len(refused) - len(described)


async def _lines(stream: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the non-empty lines of the body with their line numbers from 1; empty lines are numbered too."""
    number, rest = 1, bytearray()
    async for chunk in stream:
        start = 0
        # Each byte is searched for line ends only once, however long a line becomes.
        for end in chain(_ENDS.finditer(chunk), (None,)):
            rest += chunk[start : None if end is None else end.start()]
            if len(rest) > max_bytes:
                raise BodyTooLarge(
                    f"line {number} has {len(rest)} bytes or more, a line may have {max_bytes}: shorten it"
                )
            if end is not None:
                if rest.strip():
                    yield number, bytes(rest)
                rest.clear()
                start = end.end()
                number += chunk.count(b"\n", end.start(), start)
    if rest.strip():
        yield number, bytes(rest)


async def _batches(lines: AsyncIterator[tuple[int, bytes]], max_bytes: int) -> AsyncIterator[dict[int, bytes]]:
    """Yield batches of lines by line number. A batch ends at 1,000 lines, or when it exceeds `max_bytes`."""
    batch, size = dict[int, bytes](), 0
    try:
        async for number, line in lines:
            batch[number] = line
            size += len(line)
            if len(batch) == BATCH_LINES or size > max_bytes:
                yield batch
                batch, size = {}, 0
    except BodyTooLarge:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


async def _parse_batches(batches: AsyncIterator[dict[int, bytes]]) -> AsyncIterator[ParsedBatch]:
    """Yield the documents of each batch, which a thread parses and validates."""
    describable = MAX_NAMED_LINES
    async for batch in batches:
        parsed = await BODIES.run(_parse, batch, describable)
        describable -= len(parsed.flawed)
        yield parsed


async def _read_ahead(batches: AsyncIterator[ParsedBatch]) -> AsyncGenerator[ParsedBatch]:
    """Yield the batches; while the caller writes one, the next one is read and parsed."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _parse(batch: Mapping[int, bytes], describable: int) -> ParsedBatch:
    """Parse and validate lines by line number; to describe an invalid one takes several times as long as to read it."""
    documents, flawed, more = dict[int, SentDocument](), dict[int, list[Flaw]](), 0
    for number, line in batch.items():
        is_counted = len(flawed) == describable  # not described, if it is refused
        try:
            content = loads(line) if is_counted and len(line) < LARGE_BODY else parse(line)
            document = Document.model_validate(content)
        except (MalformedBody, ValueError, RecursionError) as error:
            if is_counted:
                more += 1
            elif isinstance(error, ValidationError):
                errors = error.errors(include_url=False)[:MAX_FLAWS]
                flawed[number] = flaws_of(errors, content, of_document=True)
            else:
                flawed[number] = [Flaw("", str(error).replace("the body", "the line"))]
        else:
            documents[number] = parse_document(document.id, document)
    return ParsedBatch(documents, flawed, more)


def _shape_refusals(flawed: Mapping[int, list[Flaw]]) -> list[dict[str, Any]]:
    return [
        {"line": number, "detail": flaws[0].detail, "errors": [asdict(flaw) for flaw in flaws]}
        for number, flaws in sorted(flawed.items())
    ]
