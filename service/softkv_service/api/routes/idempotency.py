"""Idempotent writes: a write with an Idempotency-Key is done once, and a repetition gets its first answer.

The header is that of draft-ietf-httpapi-idempotency-key-header; the key is used exactly as sent, quotes included.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Request, Response
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from softkv_service.api.json import JSONAnswer
from softkv_service.api.middleware import access_record
from softkv_service.api.paths import route_path
from softkv_service.api.state import Running
from softkv_service.retrieval import InvalidContent
from softkv_service.scheduling import READS
from softkv_service.storage import LIFETIME_SECONDS, IdempotentWrite
from softkv_service.storage.errors import WriteAnswered
from softkv_service.storage.records import WriteAnswer, WriteRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY = 255
HOURS = LIFETIME_SECONDS // 3600
PRINTABLE = r"^[!-~]([ -~]*[!-~])?$"
WANTED = f"wanted 1 to {MAX_KEY} characters of printable ASCII, without spaces around them, such as a UUID"
COUNTS = ("upserted", "deleted", "updated", "kept")
"""The fields of answers that count the documents, or the records of feedback, which a write changed."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Repeatable:
    """A write and the Idempotency-Key that its caller sent, so that a repetition gets the first answer.

    Without an Idempotency-Key, the write is done each time it is sent.
    """

    request: WriteRequest | None

    def once(self, answer: Callable[[Result], Response]) -> IdempotentWrite[Result] | None:
        """Return the object by which the store does this write only once; None if no Idempotency-Key was sent.

        Args:
            answer: returns the response from the result of the write. It is called inside the write's transaction, and
                the store keeps the response for repetitions.
        """
        if self.request is None:
            return None

        def record_answer(result: Result) -> WriteAnswer:
            response = answer(result)
            body = response.all_bytes() if isinstance(response, JSONAnswer) else bytes(response.body)
            return WriteAnswer(response.status_code, body)

        return IdempotentWrite(self.request, record_answer)


def _check_key(key: str) -> str:
    if len(key) > MAX_KEY or not re.fullmatch(PRINTABLE, key):
        raise PydanticCustomError("idempotency_key", "{wanted}", {"wanted": WANTED})
    return key


async def _repeatable(
    request: Request,
    running: Running,
    key: Annotated[
        Annotated[str, AfterValidator(_check_key)] | None,
        Header(
            alias=HEADER,
            json_schema_extra={"maxLength": MAX_KEY, "pattern": PRINTABLE},
            description=f"A name of your own for this write, such as a UUID: sent again within {HOURS} hours, it "
            f"is not done again, but answered as it was the first time, with the header `{REPLAYED}: true`. A refusal "
            "is not kept: what was refused is tried afresh. A stream of NDJSON takes none.",
        ),
    ] = None,
) -> Repeatable:
    """Return a request's write with its Idempotency-Key, if it has one.

    If a write with that key was answered before, raise WriteAnswered, for which the stored answer is sent.
    """
    if key is None:
        return Repeatable(None)
    if len(request.headers.getlist(HEADER)) > 1:
        raise InvalidContent.at("", f"several {HEADER} headers came: send one")
    body = await request.body()
    now = int(time.time())

    def claim() -> WriteRequest:
        write = WriteRequest(request.state.caller, key, _digest(request, body), now)
        running.catalogue.store.refuse_answered(write)
        return write

    return Repeatable(await READS.run(claim))


def _digest(request: Request, body: bytes) -> bytes:
    """Return the digest of a request, which shows whether a repetition is the same: method, path, query string and
    body.
    """
    digest = hashlib.sha256()
    for part in (request.method.encode(), route_path(request.scope).encode(), request.scope["query_string"], body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


Idempotent = Annotated[Repeatable, Depends(_repeatable)]


def refuse_key(request: Request) -> None:
    """Refuse a request with an Idempotency-Key, because the call writes in several transactions.

    Only a single transaction can be repeated safely.
    """
    if HEADER in request.headers:
        raise InvalidContent.at(
            "",
            f"a stream of NDJSON takes no {HEADER}, as it is written batch by batch: leave the header out, and where "
            "the answer is lost send the stream again, which replaces the same documents; or send them as JSON",
        )


def install(app: FastAPI) -> None:
    """Register the handler that gives a repeated write its first answer."""

    async def replay(_: Request, error: Exception) -> Response:
        assert isinstance(error, WriteAnswered)
        body = json.loads(error.answer.body or b"{}")
        count = next((body[field] for field in COUNTS if field in body), None)
        access_record.note(count=count, outcome=access_record.REPLAYED)
        kind = "application/json" if error.answer.body else None
        return Response(error.answer.body, error.answer.status, {REPLAYED: "true"}, kind)

    app.add_exception_handler(WriteAnswered, replay)
