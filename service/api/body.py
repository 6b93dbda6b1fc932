"""Reading a request's body: its media type (RFC 9110, 8.3) and its JSON, strictly, with the reason of a refusal."""

from __future__ import annotations

import json
import mmap
import re
from typing import Any, NoReturn

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers

from service.api.json import MOST_LISTS, MOST_VALUES, crowd, free, loads
from service.api.problems.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType
from service.scheduling import BODIES

ROOM = 16  # bytes that a byte of JSON takes as Python objects, at most as a rule
LARGE_BODY = 256 * 1024  # parsing that takes a millisecond and more is no work for the event loop

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
# Possessive throughout: what has been read once is not read again, however long the header.
WELL_FORMED = re.compile(rf"({TOKEN}/{TOKEN})(?:[ \t]*+;[ \t]*+(?:{TOKEN}=(?:{TOKEN}|{QUOTED}))?+)*+[ \t]*+")


def media_type(headers: Headers) -> str:
    """`type/subtype` in lower case, without parameters; empty where there is none, several or a malformed one."""
    declared = headers.getlist("content-type")
    found = WELL_FORMED.fullmatch(declared[0].strip(" \t")) if len(declared) == 1 else None
    return found[1].lower() if found else ""


def _is_json(kind: str) -> bool:
    """Whether a media type is JSON's or one built on it."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def parse(body: bytes) -> Any:
    """JSON text → Python values; what RFC 8259 does not allow (NaN, Infinity) is refused.

    orjson is fast but rejects lone surrogates and numbers beyond float64 without saying where; the
    standard library's parser takes those, so that validation can point at the field.

    Raises:
        MalformedBody: it is not JSON.
        BodyTooLarge: it has more values than could be held.
        MemoryError: there is no room for what it says.
    """
    if len(body) >= LARGE_BODY:
        _require_room(ROOM * len(body))
        if (found := crowd(body)) is not None:
            raise BodyTooLarge(
                f"the body has {found[0]} lists and objects and {found[1]} values or more, this service takes "
                f"{MOST_LISTS} and {MOST_VALUES}: send it in parts, or vectors as base64"
            )
    try:
        return loads(body) if len(body) >= LARGE_BODY else orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedBody("the body is nested too deeply: send at most 100 levels") from None
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 (byte {error.start}): encode JSON as UTF-8") from None
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None


def _require_room(size: int) -> None:
    """Raise MemoryError where the system has no such address space left: orjson would end the process on the way."""
    try:
        mmap.mmap(-1, size).close()
    except OSError:
        raise MemoryError from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


class JSONRequest(Request):
    """A request whose `json()` is `parse`."""

    async def json(self) -> Any:
        """The body's value; parsed once."""
        if not hasattr(self, "_parsed"):
            body = await self.body()
            self._parsed = parse(body) if len(body) < LARGE_BODY else await BODIES.run(parse, body)
        return self._parsed

    async def validate_large(self, field: Any) -> None:
        """Have a large body validated in a thread; whoever validates what `json` gives then finds that done.

        Raises:
            RequestValidationError: it is not what the field wants.
        """
        if len(await self.body()) < LARGE_BODY:
            return
        given = await self.json()
        found, flaws = await BODIES.run(field.validate, given, {}, loc=("body",))
        if flaws:
            raise RequestValidationError(flaws, body=given)
        self._parsed = found
        if isinstance(given, dict):
            done_with = {name: value for name, value in given.items() if getattr(found, name, None) is not value}
            await BODIES.run(free, done_with)


def require_json_type(headers: Headers) -> None:
    """Refuse a body that is not declared as JSON, or is compressed."""
    if not _is_json(media_type(headers)):
        declared = ", ".join(headers.getlist("content-type"))
        raise UnsupportedMediaType(
            f"this call takes application/json, the body came as {declared or 'no content type'}: "
            "set the header Content-Type: application/json"
        )
    refuse_encoded(headers)


async def require_json(request: JSONRequest) -> None:
    """Read the body, and refuse one that is not JSON, or is not declared as such."""
    require_json_type(request.headers)
    if not await request.body():
        raise MalformedBody("the body is empty: send a JSON object, {} where nothing is to be said")
    await request.json()


def refuse_encoded(headers: Headers) -> None:
    """Refuse a body that is compressed: the limits on its size could not be kept."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType(f"the body came with Content-Encoding: {coding}: send it as it is, uncompressed")
