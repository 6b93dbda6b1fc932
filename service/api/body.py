"""Request bodies: their media type (RFC 9110, 8.3), and strict parsing of JSON with an error for each flaw."""

from __future__ import annotations

import json
import mmap
import re
from typing import Any, NoReturn

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers

from service.api.json import TooManyValues, parse_large, release
from service.api.problems.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType
from service.scheduling import BODIES

BYTES_PER_JSON_BYTE = 16  # memory for Python objects per byte of JSON, rarely more
LARGE_BODY = 256 * 1024  # parsing takes a millisecond or more, which would block the event loop

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
# Possessive throughout: no backtracking, however long the header is.
WELL_FORMED = re.compile(rf"({TOKEN}/{TOKEN})(?:[ \t]*+;[ \t]*+(?:{TOKEN}=(?:{TOKEN}|{QUOTED}))?+)*+[ \t]*+")


def media_type(headers: Headers) -> str:
    """Return `type/subtype` in lower case, without parameters.

    The result is empty if the Content-Type header is missing, repeated or malformed.
    """
    declared = headers.getlist("content-type")
    match = WELL_FORMED.fullmatch(declared[0].strip(" \t")) if len(declared) == 1 else None
    return match[1].lower() if match else ""


def _is_json(kind: str) -> bool:
    """Return whether a media type is `application/json` or has the suffix +json."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def parse(body: bytes) -> Any:
    """Parse JSON text strictly: NaN and Infinity are refused (RFC 8259).

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
        return parse_large(body) if len(body) >= LARGE_BODY else orjson.loads(body)
    except TooManyValues as error:
        raise BodyTooLarge(str(error)) from None
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


def _require_memory(size: int) -> None:
    """Raise MemoryError if the system cannot map `size` bytes. Without this check, orjson would end the process."""
    try:
        mmap.mmap(-1, size).close()
    except OSError:
        raise MemoryError from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


class JSONRequest(Request):
    """A request whose JSON is parsed by `parse`."""

    async def json(self) -> Any:
        """Return the parsed body. The first call parses it, and later calls return the same object."""
        if not hasattr(self, "_parsed"):
            body = await self.body()
            self._parsed = parse(body) if len(body) < LARGE_BODY else await BODIES.run(parse, body)
        return self._parsed

    async def validate_large(self, field: Any) -> None:
        """Validate a large body in a thread, so that other requests are served meanwhile.

        Afterwards `json` returns the validated object, so that FastAPI's own validation takes no time.

        Args:
            field: FastAPI's field of the body.

        Raises:
            RequestValidationError: the body does not fit the field.
        """
        if len(await self.body()) < LARGE_BODY:
            return
        content = await self.json()
        model, flaws = await BODIES.run(field.validate, content, {}, loc=("body",))
        if flaws:
            raise RequestValidationError(flaws, body=content)
        self._parsed = model
        if isinstance(content, dict):
            unused = {name: value for name, value in content.items() if getattr(model, name, None) is not value}
            await BODIES.run(release, unused)


def require_json_type(headers: Headers) -> None:
    """Raise UnsupportedMediaType if the body is not declared as JSON, or is compressed."""
    if not _is_json(media_type(headers)):
        declared = ", ".join(headers.getlist("content-type"))
        raise UnsupportedMediaType(
            f"this call takes application/json, the body came as {declared or 'no content type'}: "
            "set the header Content-Type: application/json"
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
