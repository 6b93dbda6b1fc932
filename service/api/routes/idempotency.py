"""Writes that may be sent again: with an Idempotency-Key one is done once, and answered each time as it was the first.

The header is that of draft-ietf-httpapi-idempotency-key-header; its key is taken as it stands, quotes included.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Request, Response
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from service.api.json import JSONAnswer
from service.api.state import Running
from service.retrieval import InvalidContent
from service.scheduling import READS
from service.storage import LIFETIME_SECONDS, IdempotentWrite, WriteAnswer, WriteAnswered, WriteRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY = 255
HOURS = LIFETIME_SECONDS // 3600
PRINTABLE = r"^[!-~]([ -~]*[!-~])?$"
WANTED = f"wanted 1 to {MAX_KEY} characters of printable ASCII, without spaces around them, such as a UUID"
Did = TypeVar("Did")


@dataclass(frozen=True)
class Repeatable:
    """A write as its caller named it, or without a name; then it is done each time."""

    request: WriteRequest | None

    def once(self, answer: Callable[[Did], Response]) -> IdempotentWrite[Did] | None:
        """What the write is to be done once with.

        Args:
            answer: what the write did → the answer to it, made in its transaction.
        """
        if self.request is None:
            return None

        def stored(did: Did) -> WriteAnswer:
            answered = answer(did)
            body = answered.all_bytes() if isinstance(answered, JSONAnswer) else bytes(answered.body)
            return WriteAnswer(answered.status_code, body)

        return IdempotentWrite(self.request, stored)


def _checked(key: str) -> str:
    if len(key) > MAX_KEY or not re.fullmatch(PRINTABLE, key):
        raise PydanticCustomError("idempotency_key", "{wanted}", {"wanted": WANTED})
    return key


async def _repeatable(
    request: Request,
    running: Running,
    key: Annotated[
        Annotated[str, AfterValidator(_checked)] | None,
        Header(
            alias=HEADER,
            json_schema_extra={"maxLength": MAX_KEY, "pattern": PRINTABLE},
            description=f"A name of your own for this write, such as a UUID: sent again within {HOURS} hours, it "
            f"is not done again, but answered as it was the first time, with the header `{REPLAYED}: true`. A refusal "
            "is not kept: what was refused is tried afresh. A stream of NDJSON takes none.",
        ),
    ] = None,
) -> Repeatable:
    """The write that a request asks for; where it was answered before, nothing else of the request is looked at."""
    if key is None:
        return Repeatable(None)
    if len(request.headers.getlist(HEADER)) > 1:
        raise InvalidContent.at("", f"several {HEADER} headers came: send one")
    body = await request.body()
    at = int(time.time())

    def named() -> WriteRequest:
        write = WriteRequest(request.state.caller, key, _digest(request, body), at)
        running.catalogue.store.refuse_answered(write)
        return write

    return Repeatable(await READS.run(named))


def _digest(request: Request, body: bytes) -> bytes:
    """Of all that a request asks."""
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.scope["path"].encode(), request.scope["query_string"], body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


Idempotent = Annotated[Repeatable, Depends(_repeatable)]


def refuse_key(request: Request) -> None:
    """For a call that is no one transaction, which alone can be done once."""
    if HEADER in request.headers:
        raise InvalidContent.at(
            "",
            f"a stream of NDJSON takes no {HEADER}, as it is written batch by batch: leave the header out, and where "
            "the answer is lost send the stream again, which replaces the same documents; or send them as JSON",
        )


def install(app: FastAPI) -> None:
    """Answer a write that was answered before as it was then."""

    async def answered(_: Request, error: Exception) -> Response:
        assert isinstance(error, WriteAnswered)
        kind = "application/json" if error.answer.body else None
        return Response(error.answer.body, error.answer.status, {REPLAYED: "true"}, kind)

    app.add_exception_handler(WriteAnswered, answered)
