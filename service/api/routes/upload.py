"""Documents as NDJSON: a stream of any length, written in batches, answered line by line."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Content
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.api.body import media_type, parse, refuse_encoded
from service.api.document_json import parse_document
from service.api.json import NDJSON, ndjson
from service.api.middleware.shutdown import Shutdown
from service.api.problems.errors import BodyTooLarge, MalformedBody
from service.api.problems.handlers import flaws_of, problem_response
from service.api.problems.table import CODES
from service.api.routes.idempotency import refuse_key
from service.api.routing import GuardedRoute, reaches, requires, takes
from service.api.state import NameInPath, Running
from service.retrieval import Flaw
from service.retrieval.collections import Collection
from service.retrieval.documents import SentDocument, UploadResult, upload
from service.scheduling import BODIES
from service.schemas.document import Document

_ENDS = re.compile(rb"\n(?:[ \t\r]*+\n)*+")  # of a line, and the empty ones below it
BATCH_LINES, BATCH_BYTES = 1000, 8 << 20


class NDJSONRoute(GuardedRoute):
    """The route of a body that is declared as NDJSON; the JSON route of the same path takes the others."""

    reads_any_length = True  # its lines have a limit
    outlives_its_caller = True

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, where the content type is NDJSON."""
        if media_type(Headers(scope=scope)) != NDJSON:
            return Match.NONE, {}
        return super().matches(scope)


class Lines(StreamingResponse):
    """Answers while the body is still being read, from the first batch on.

    Starlette's own would wait for the client's disconnect meanwhile, and so swallow parts of the body. Not before the
    first batch: of a body whose answer has begun, proxies as nginx pass on no more.
    """

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        lines = aiter(self.body_iterator)
        self.body_iterator = _from(await anext(lines, b""), lines)
        await self.stream_response(send)


async def _from(first: Content, rest: AsyncIterator[Content]) -> AsyncIterator[Content]:
    yield first
    async for each in rest:
        yield each


router = APIRouter(
    prefix="/v1/collections/{name}/documents",
    tags=["documents"],
    route_class=NDJSONRoute,
    dependencies=[requires("write"), takes("stream"), reaches("collection")],
)


@router.post("", include_in_schema=False)
async def post_lines(name: NameInPath, request: Request, running: Running) -> Response:
    """A line per batch of 1,000 documents or 8 MiB, then one that says how it ended."""
    refuse_encoded(request.headers)
    refuse_key(request)
    running.catalogue.collection(name)  # a 404 has to come before the stream begins
    return Lines(_answer(name, request, running))


async def _answer(name: str, request: Request, running: Running) -> AsyncIterator[bytes]:
    upserted, refused = 0, 0
    draining: Shutdown = request.app.state.shutdown
    try:
        most = running.max_body_bytes
        batches = _batches(_lines(request.stream(), most), min(most, BATCH_BYTES))
        while (batch := await draining.until_begun(anext(batches, None))) is not None:
            uploaded, flawed = await draining.until_late(_written(running.catalogue.collection(name), batch))
            upserted += uploaded.upserted
            refused += len(flawed)
            yield ndjson({"upserted": uploaded.upserted, "truncated": uploaded.truncated, "refused": _refused(flawed)})
    except ClientDisconnect:
        return
    except tuple(CODES) as error:
        yield ndjson(
            {"done": False, "upserted": upserted, "refused": refused, "problem": problem_response(error).problem}
        )
    else:
        yield ndjson({"done": True, "upserted": upserted, "refused": refused})


async def _written(collection: Collection, batch: Mapping[int, bytes]) -> tuple[UploadResult, dict[int, list[Flaw]]]:
    """What became of a batch, and all that is wrong with its lines."""
    documents, flawed = await BODIES.run(_read, batch)
    uploaded = await upload(collection, documents)
    return uploaded, flawed | uploaded.refused


async def _lines(stream: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
    """The body's lines that hold something, with their numbers, from 1; empty ones are only counted."""
    number, rest = 1, bytearray()
    async for chunk in stream:
        done = 0
        # What was looked through once is not again, however long a line becomes.
        for end in chain(_ENDS.finditer(chunk), (None,)):
            rest += chunk[done : None if end is None else end.start()]
            if len(rest) > most_bytes:
                raise BodyTooLarge(
                    f"line {number} has {len(rest)} bytes or more, a line may have {most_bytes}: shorten it"
                )
            if end is not None:
                if rest.strip():
                    yield number, bytes(rest)
                rest.clear()
                done = end.end()
                number += chunk.count(b"\n", end.start(), done)
    if rest.strip():
        yield number, bytes(rest)


async def _batches(lines: AsyncIterator[tuple[int, bytes]], most_bytes: int) -> AsyncIterator[dict[int, bytes]]:
    """Lines by number, a thousand at a time, or fewer that are longer together than so many bytes."""
    batch, size = dict[int, bytes](), 0
    try:
        async for number, line in lines:
            batch[number] = line
            size += len(line)
            if len(batch) == BATCH_LINES or size > most_bytes:
                yield batch
                batch, size = {}, 0
    except BodyTooLarge:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _read(batch: Mapping[int, bytes]) -> tuple[dict[int, SentDocument], dict[int, list[Flaw]]]:
    """The documents of the lines that hold one, and what is wrong with the others."""
    documents, flawed = {}, {}
    for number, line in batch.items():
        try:
            content = parse(line)
            document = Document.model_validate(content)
        except MalformedBody as error:
            flawed[number] = [Flaw("", str(error).replace("the body", "the line"))]
        except ValidationError as error:
            flawed[number] = flaws_of(error.errors(include_url=False), content, of_document=True)
        else:
            documents[number] = parse_document(document.id, document)
    return documents, flawed


def _refused(flawed: Mapping[int, list[Flaw]]) -> list[dict[str, Any]]:
    return [
        {"line": number, "detail": flaws[0].detail, "errors": [asdict(flaw) for flaw in flaws]}
        for number, flaws in sorted(flawed.items())
    ]
