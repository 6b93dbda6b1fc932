"""Request bodies: limits on their bytes, media types (RFC 9110, 8.3), and strict parsing with an error for each flaw.

Only a few requests with large bodies run at once.
"""

from __future__ import annotations

import mmap
import re
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from softkv_service.api.admission import Admission, CallerShares
from softkv_service.api.json import TooManyValues, loads, loads_slowly, parse_large, release
from softkv_service.api.problems.errors import (
    BodyTooLarge,
    LengthRequired,
    MalformedBody,
    QueueFull,
    UnsupportedMediaType,
)
from softkv_service.scheduling import BODIES, CALLER, FairSemaphore

HEAVY = 3
"""The number of requests that need much memory and may run at once. One caller may have at most all but one of them."""
MAX_BODIES = 8
"""The number of bodies of the maximum size that may be in memory at once."""


class BodyLimits:
    """The limits of bodies: those over `max_body_bytes` are refused (413), unless the route lifts the limit.

    Only the route of NDJSON streams lifts the limit.
    """

    def __init__(self, *, max_body_bytes: int, admission: Admission) -> None:
        self._max_body_bytes = max_body_bytes
        self._admission = admission
        self._semaphore = FairSemaphore(size=HEAVY, share=HEAVY - 1)
        self._bodies = CallerShares(MAX_BODIES * max_body_bytes)

    def limit(self, scope: Scope, receive: Receive, headers: Headers) -> BodyLimit:
        """Return the limit on the body of a request.

        The request's state gets `body_limit`, `admission` and `heavy_turn`.

        Raises:
            LengthRequired: the length of the body is no number.
        """
        turn = HeavyTurn(self._semaphore)
        limit = BodyLimit(receive, headers, max_bytes=self._max_body_bytes, bodies=self._bodies, turn=turn)
        scope["state"].update(body_limit=limit, admission=self._admission, heavy_turn=turn)
        return limit


def _content_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise LengthRequired(f"Content-Length is {length!r}: send the number of bytes, or a chunked body")
    return int(length)


class BodyLimit:
    """The body of one request, limited to `max_bytes` unless the route lifts the limit.

    Close it when the request was answered: its bytes then no longer count as memory in use by its caller. The request's
    turn among those that need much memory ends, too.

    Attributes:
        has_body: whether the request declares a body.
    """

    def __init__(
        self,
        receive: Receive,
        headers: Headers,
        *,
        max_bytes: int,
        bodies: CallerShares,
        turn: HeavyTurn | None = None,
    ) -> None:
        self._receive = receive
        self._declared = _content_length(headers)
        self._max_bytes: int | None = max_bytes
        self._advice = "send fewer documents at a time, or application/x-ndjson, which has no limit"
        self._received = 0
        self._bodies, self._turn = bodies, turn
        self._caller, self._size = "", 0
        self._read: Message | None = None
        self.has_body = self._declared > 0 or "transfer-encoding" in headers

    def lift(self) -> None:
        """Accept a body of any length, for a route that reads it in parts and limits each part."""
        self._max_bytes = None

    def lower(self, max_bytes: int) -> None:
        """Lower the limit to `max_bytes`, for a route whose bodies are short."""
        self._max_bytes = max_bytes if self._max_bytes is None else min(self._max_bytes, max_bytes)
        self._advice = "send less at a time"

    def check(self) -> None:
        """Raise BodyTooLarge if the declared length of the body is too large, before the body is read."""
        self._at_most(self._declared)

    async def receive(self) -> Message:
        """Return the next part of the body."""
        if self._read is not None:
            message, self._read = self._read, None
            return message
        self.check()
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._at_most(self._received)
        return message

    async def read(self, caller: str) -> None:
        """Read the whole body, which `receive` then returns.

        Raises:
            ClientDisconnect: the client disconnected.
            QueueFull: the bodies of this caller, or of all callers, need too much memory.
        """
        self._caller, parts, more = caller, list[bytes](), True
        try:
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                more = message.get("more_body", False)
                self._add(message.get("body", b""), parts)
        except BaseException:
            self._release()
            raise
        self._read = {"type": "http.request", "body": b"".join(parts), "more_body": False}

    def _add(self, part: bytes, parts: list[bytes]) -> None:
        size, bodies = len(part), self._bodies
        if bodies.full(size) or bodies.over(self._caller, size, always=self._max_bytes or 0):
            raise QueueFull(
                f"{bodies.taken} bytes of request bodies are in memory, the limit of this caller or of the service. "
                "Retry, and send fewer requests at once."
            )
        bodies.take(self._caller, size)
        self._size += size
        parts.append(part)

    def close(self) -> None:
        """Release the memory of the body, and end the request's turn."""
        if self._turn is not None:
            self._turn.end()
        self._release()

    def _release(self) -> None:
        self._bodies.take(self._caller, -self._size)
        self._size = 0

    def _at_most(self, size: int) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            raise BodyTooLarge(
                f"the body has {size} bytes or more, this service takes {self._max_bytes} here: {self._advice}"
            )


class HeavyTurn:
    """The turn of a request among those that need much memory, of which only a few run at once.

    The request keeps its turn until it is answered.
    """

    def __init__(self, semaphore: FairSemaphore) -> None:
        self._semaphore = semaphore
        self._caller: str | None = None

    async def wait(self) -> None:
        """Wait for the request's turn, unless the request has it already."""
        if self._caller is None:
            caller = CALLER.get()
            await self._semaphore.acquire(caller)
            self._caller = caller

    def end(self) -> None:
        """End the request's turn, so that the next request gets its own; do nothing without a turn."""
        if self._caller is not None:
            self._semaphore.release(self._caller)


async def wait_if_heavy(scope: Scope, size: int, light: int) -> None:
    """Wait for a turn if the request needs much memory: only a few such requests run at once.

    Args:
        scope: the request's ASGI scope.
        size: the size of the request.
        light: a request up to this size needs no turn.
    """
    if size > light and (heavy_turn := scope["state"].get("heavy_turn")) is not None:
        await heavy_turn.wait()


def body_limit(scope: Scope) -> BodyLimit:
    """Return the limit on the body of a request, as the middleware stored it in the request's state."""
    limit: BodyLimit = scope["state"]["body_limit"]
    return limit


BYTES_PER_JSON_BYTE = 16  # memory for Python objects per byte of JSON, rarely more
LARGE_BODY = 256 * 1024  # parsing takes a millisecond or more, which would block the event loop

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
UNQUOTED = r"[\t !#-\[\]-~\x80-\xff]*+"
QUOTED = rf'"{UNQUOTED}(?:\\[\t -~\x80-\xff]{UNQUOTED})*"'
# Each is matched once, where the one before ended: the time grows with the length of the header and no faster. One
# pattern of possessive groups would do, but Python before 3.11.5 matches these wrongly.
TYPE = re.compile(rf"{TOKEN}/{TOKEN}")
PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:{TOKEN}=(?:{TOKEN}|{QUOTED}))?")


def media_type(headers: Headers) -> str:
    """Return `type/subtype` in lower case, without parameters.

    The result is empty if the Content-Type header is missing, repeated or malformed.
    """
    declared = headers.getlist("content-type")
    text = declared[0].strip(" \t") if len(declared) == 1 else ""
    if (kind := TYPE.match(text)) is None:
        return ""
    end = kind.end()
    while parameter := PARAMETER.match(text, end):
        end = parameter.end()
    return kind[0].lower() if end == len(text) else ""


def _is_json(kind: str) -> bool:
    """Return whether a media type is `application/json` or has the suffix +json."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def parse(body: bytes) -> Any:
    """Parse JSON text strictly: NaN and Infinity are refused (RFC 8259), and integers keep all their digits.

    orjson is fast, but rejects lone surrogates and numbers beyond float64 without naming the field. If orjson fails,
    the standard library's parser reads the text, so that validation can name the field.

    Raises:
        MalformedBody: the body is not JSON.
        BodyTooLarge: the body has too many values to keep in memory.
        MemoryError: there is too little memory for the values of the body.
    """
    if len(body) >= LARGE_BODY:
        _require_memory(BYTES_PER_JSON_BYTE * len(body))
    try:
        return parse_large(body) if len(body) >= LARGE_BODY else loads(body)
    except TooManyValues as error:
        raise BodyTooLarge(str(error)) from None
    except (ValueError, RecursionError):
        pass
    try:
        return loads_slowly(body)
    except RecursionError:
        raise MalformedBody("the body is nested too deeply: send at most 100 levels") from None
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 (byte {error.start}): encode JSON as UTF-8") from None
    except ValueError as error:
        advice = ": documents, one a line, are sent as application/x-ndjson" if _is_lines(body) else ""
        raise MalformedBody(f"the body is not JSON: {error}{advice}") from None


def _is_lines(body: bytes) -> bool:
    """Return whether a body that is not JSON has a JSON object in each of its first two lines."""
    first, _, rest = body.partition(b"\n")
    try:
        return all(isinstance(loads_slowly(line), dict) for line in (first, rest.partition(b"\n")[0]))
    except (ValueError, RecursionError):
        return False


def _require_memory(size: int) -> None:
    """Raise MemoryError if the system cannot map `size` bytes. Without this check, orjson would end the process."""
    try:
        mmap.mmap(-1, size).close()
    except OSError:
        raise MemoryError from None


class JSONRequest(Request):
    """A request whose JSON is parsed by `parse`.

    Attributes:
        content: the parsed body, or the object that it was validated as; missing until `json` is called.
    """

    content: Any

    async def json(self) -> Any:
        """Return the parsed body. The first call parses it, and later calls return the same object."""
        if not hasattr(self, "content"):
            body = await self.body()
            self.content = parse(body) if len(body) < LARGE_BODY else await BODIES.run(parse, body)
        return self.content

    async def validate_large(self, field: Any) -> None:
        """Validate a large body in a thread, so that other requests are served meanwhile.

        Afterwards `json` returns the validated object, so that FastAPI's own validation takes no time.

        Args:
            field: FastAPI's field of the body.

        Raises:
            RequestValidationError: the body does not fit the field.
        """
        # A filter's dates take the longest: one of 64 KiB with 1,600 dates takes some 15 ms.
        if len(await self.body()) < LARGE_BODY // 4:
            return
        content = await self.json()
        model, flaws = await BODIES.run(field.validate, content, {}, loc=("body",))
        if flaws:
            raise RequestValidationError(flaws, body=content)
        self.content = model
        if isinstance(content, dict):
            unused = {name: value for name, value in content.items() if getattr(model, name, None) is not value}
            await BODIES.run(release, unused)


def require_json_type(headers: Headers, *, takes_lines: bool = False) -> None:
    """Raise UnsupportedMediaType if the body is not declared as JSON, or is compressed.

    Args:
        headers: the headers of the request.
        takes_lines: whether another route of the same path takes NDJSON.
    """
    if not _is_json(media_type(headers)):
        declared = ", ".join(headers.getlist("content-type"))
        lines = " (application/x-ndjson for documents, one a line)" if takes_lines else ""
        raise UnsupportedMediaType(
            f"this call takes application/json, the body came as {declared or 'no content type'}: "
            f"set the header Content-Type: application/json{lines}"
        )
    refuse_encoded(headers)


async def require_json(request: JSONRequest) -> None:
    """Read the body, and raise an APIError if it is not JSON or not declared as JSON."""
    require_json_type(request.headers)
    if not await request.body():
        raise MalformedBody("the body is empty: send a JSON object, {} where nothing is to be said")
    await request.json()


def refuse_encoded(headers: Headers) -> None:
    """Raise UnsupportedMediaType if the body is compressed: the limits on bodies count uncompressed bytes."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType(f"the body came with Content-Encoding: {coding}: send it as it is, uncompressed")
