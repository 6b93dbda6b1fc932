"""JSON responses, and large JSON bodies and responses in parts, so that other threads get Python's lock in between.

A limit of 8 MiB on JSON, parsed at once, would need no reader of parts, but makes other threads wait longer than 30 MiB
in parts do.
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

import numpy as np
import orjson
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from softkv_service.scheduling import BODIES

Array = np.ndarray[Any, Any]

PART_BYTES = 128 * 1024
PART_NUMBERS = 16 * 1024  # numbers of a response serialised at a time
SHORT_LIST = 256  # a list of at most this many elements may have large elements
RELEASED_ELEMENTS = 1024  # elements of a list released at a time
BLOCK = 1 << 20  # bytes scanned at a time
MAX_LISTS = 1_000_000
"""Lists and objects in one body: each needs up to a hundred times its JSON bytes in memory."""
MAX_VALUES = 8_000_000
QUOTE, COMMA, OPENS, CLOSES, TO_BRACE = b'",{} '
OPTIONS = orjson.OPT_SERIALIZE_NUMPY


MAX_DIGITS = 4300  # of an integer, which Python parses in quadratic time
_SHAPES = bytes.maketrans(b"123456789[:, \t\r\n", b"000000000,,,,,,,")
_LONG_INTEGERS = b"," + 20 * b"0", b"-" + 19 * b"0"


class TooManyValues(ValueError):
    """A JSON text with too many values to keep in memory."""


def loads(text: bytes) -> Any:
    """Parse JSON text without loss: NaN and Infinity are refused (RFC 8259), and integers keep all their digits.

    orjson reads integers beyond 64 bits as floats, so a text that may have such integers is parsed by the standard
    library's parser, which takes two to five times as long.

    Raises:
        ValueError: the text is not JSON, or the parser does not accept it.
        RecursionError: the text is nested too deeply.
    """
    shapes = text.translate(_SHAPES)  # each digit as 0, and what may stand before a number as a comma
    is_long = _LONG_INTEGERS[0] in shapes or _LONG_INTEGERS[1] in shapes
    return loads_slowly(text) if is_long else orjson.loads(text)


def loads_slowly(text: bytes) -> Any:
    """Parse JSON text as `loads` does, but by the standard library's parser, which also accepts lone surrogates.

    Numbers beyond float64 become infinite floats.

    Raises:
        ValueError: the text is not JSON.
        RecursionError: the text is nested too deeply.
    """
    return json.loads(text, parse_int=_integer, parse_constant=_refuse_constant)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


def parse_large(body: bytes) -> Any:
    """Parse JSON text; long lists are parsed a few elements at a time, so that other threads may run in between.

    Raises:
        TooManyValues: the text has too many values to keep in memory; nothing was parsed.
        ValueError: the text is not JSON, or the parser does not accept it.
        RecursionError: the text is nested too deeply.
    """
    lists = _long_lists(body)
    if not lists:
        return loads(body)
    mark, frame, end = secrets.token_hex(8), list[bytes](), 0
    for number, (first, last, _) in enumerate(lists):
        frame += [body[end:first], f'"{mark}{number}"'.encode()]
        end = last + 1
    content = loads(b"".join((*frame, body[end:])))
    for name, value in content.items():
        if isinstance(value, str) and value.startswith(mark):
            content[name] = _elements(body, *lists[int(value[len(mark) :])])
    return content


def _elements(body: bytes, first: int, last: int, commas: Array) -> list[Any]:
    """Return the elements of a long list in a JSON text, parsed a few at a time.

    Args:
        body: the text.
        first, last: the byte offsets of the list's brackets.
        commas: the byte offsets of the commas between its elements.
    """
    elements, start = list[Any](), first + 1
    for comma in (*commas[np.diff(commas // PART_BYTES, prepend=commas[:1] // PART_BYTES) > 0].tolist(), last):
        part = loads(b"".join((b"[", body[start:comma], b"]")))
        if not part:
            raise orjson.JSONDecodeError("a list has a comma too many", "", 0)
        elements += part
        start = comma + 1
    return elements


def _long_lists(body: bytes) -> list[tuple[int, int, Array]]:
    """Return where the long lists in a JSON text are, those that are fields of its outermost object.

    Returns:
        For each list the byte offsets of its two brackets, and of the commas between its elements.

    Raises:
        TooManyValues: the text has too many values to keep in memory.
    """
    begins, ends, commas = list[Array](), list[Array](), list[Array]()
    lists = values = 0
    for start, levels, opens, between, closes in _outline(body):
        lists, values = lists + int(opens.sum()), values + int(between.sum())
        if lists > MAX_LISTS or values > MAX_VALUES:
            raise TooManyValues(
                f"the body has {lists} lists and objects and {values} values or more, this service takes {MAX_LISTS} "
                f"and {MAX_VALUES}: send it in parts, or vectors as base64"
            )
        begins.append(start + np.flatnonzero(opens & (levels == 2)))
        ends.append(start + np.flatnonzero(closes & (levels == 1)))
        commas.append(start + np.flatnonzero(between & (levels == 2)))
    first, last, parting = (np.concatenate(offsets) for offsets in (begins, ends, commas))
    if len(first) != len(last) or not body[:PART_BYTES].lstrip().startswith(b"{"):
        return []  # not JSON, or not an object
    text = np.frombuffer(body, np.uint8)
    long = (last - first > PART_BYTES) & (text[first] == ord("[")) & (text[last] == ord("]"))
    pairs = [(int(i), int(j)) for i, j in zip(first[long], last[long], strict=True)]
    edges = [np.searchsorted(parting, pair) for pair in pairs]
    return [(i, j, parting[low:high]) for (i, j), (low, high) in zip(pairs, edges, strict=True)]


def _outline(body: bytes) -> Iterator[tuple[int, Array, Array, Array, Array]]:
    """Yield the structure of a JSON text, block by block.

    Yields:
        The offset of the block in the text; and for each of its bytes the nesting depth, and whether the byte opens,
        separates or closes a value.
    """
    inside, depth, escapes = 0, 0, False
    for start in range(0, len(body), BLOCK):
        text = body[start : start + BLOCK]
        if escapes:  # the block before ends with a backslash
            text = b"_" + text[1:]
        if b"\\" in text:
            text = text.replace(rb"\\", b"__").replace(rb"\"", b"__")
        escapes = text.endswith(b"\\")
        block = np.frombuffer(text, np.uint8)
        quotes = block == QUOTE
        outside = ((np.cumsum(quotes, dtype=np.int32) + inside) & 1) == 0
        inside = (inside + int(quotes.sum())) & 1
        braces = block | TO_BRACE
        opens, closes = (braces == OPENS) & outside, (braces == CLOSES) & outside
        levels = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32) + depth
        depth = int(levels[-1])
        yield start, levels, opens, (block == COMMA) & outside, closes


def release(content: Any) -> None:
    """Release a parsed body in parts, because to release millions of objects takes as long as to create them."""
    for value in content.values() if isinstance(content, dict) else (content,):
        if not isinstance(value, list):
            continue
        if len(value) <= SHORT_LIST:
            for element in value:
                if isinstance(element, dict):
                    release(element)
        while value:
            del value[-RELEASED_ELEMENTS:]


def estimate_size(content: Any) -> int:
    """Estimate the size of a response as a count of numbers; 8 characters of text count as one number.

    Only the first element of a list is measured.
    """
    kind = type(content)
    if kind in SCALARS:
        return 1
    if kind is str:
        return 1 + len(content) // 8
    if isinstance(content, dict):
        return len(content) + sum(
            [estimate_size(value) - 1 for value in content.values() if type(value) not in SCALARS]
        )
    if isinstance(content, (list, tuple)):
        return len(content) * (1 + estimate_size(content[0])) if content else 1
    return content.size if isinstance(content, np.ndarray) else 1


def serialise_parts(content: Any) -> Iterator[bytes]:
    """Yield the JSON of a response in parts."""
    if isinstance(content, dict):
        yield b"{"
        for number, (name, value) in enumerate(content.items()):
            yield (b"," if number else b"") + orjson.dumps(name) + b":"
            yield from serialise_parts(value)
        yield b"}"
    elif isinstance(content, list) or (isinstance(content, np.ndarray) and content.ndim and len(content) > 1):
        yield b"["
        yield from _in_parts(content)
        yield b"]"
    else:
        yield orjson.dumps(content, option=OPTIONS)


def _in_parts(content: Any) -> Iterator[bytes]:
    """Yield the JSON of the elements of a list or an array, in parts.

    A part has many small elements, or a piece of a large one.
    """
    if isinstance(content, list):
        heaviest = max(
            (estimate_size(element) for element in islice(content, 0, None, max(1, len(content) // 16))), default=1
        )
    else:
        heaviest = content[0].size if content.ndim > 1 else 1
    step = PART_NUMBERS // max(1, heaviest)
    for start in range(0, len(content), max(1, step)):
        if start:
            yield b","
        if step:
            yield orjson.dumps(content[start : start + step], option=OPTIONS)[1:-1]
        else:
            yield from serialise_parts(content[start])


def pick(source: object, *names: str) -> dict[str, Any]:
    """Return attributes of an object as fields of JSON, in this order."""
    return {name: getattr(source, name) for name in names}


NDJSON = "application/x-ndjson"
COMPRESSION = 9  # of gzip's levels
MIN_COMPRESSED_BYTES = 4096  # bytes
SCALARS = frozenset((float, int, bool, type(None)))
LARGE_ANSWER = 16 * 1024  # as of `estimate_size`: a millisecond of serialising


class JSONAnswer(JSONResponse):
    """A response serialised by orjson: NumPy arrays as lists, non-finite numbers as null."""

    def __init__(self, content: Any, **named: Any) -> None:
        self._large = content if estimate_size(content) > LARGE_ANSWER else None
        super().__init__(None if self._large is not None else content, **named)

    def render(self, content: Any) -> bytes:
        """Return the bytes of the response; empty for a large response, which is serialised when it is sent."""
        return b"" if self._large is not None else orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)

    def all_bytes(self) -> bytes:
        """Return all bytes of the response, even if it is large."""
        return bytes(self.body) if self._large is None else b"".join(serialise_parts(self._large))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; a large one is serialised in a thread and sent in parts. An ASGI call."""
        if self._large is None:
            await super().__call__(scope, receive, send)
            return
        parts = await BODIES.run(self._parts, self._large)
        self._large = None
        self.headers["Content-Length"] = str(sum(map(len, parts)))

        async def in_parts(message: Message) -> None:
            if message["type"] == "http.response.body":
                for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send(message)

        await super().__call__(scope, receive, in_parts)

    def _parts(self, content: Any) -> list[bytes]:
        """Return the parts of a large response, as they are sent."""
        return _collect_parts(content)


def _collect_parts(content: Any) -> list[bytes]:
    """Serialise a large response into parts of about PART_BYTES, and release its content."""
    parts, pieces, size = list[bytes](), list[bytes](), 0
    for piece in serialise_parts(content):
        pieces.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            parts.append(b"".join(pieces))
            pieces, size = [], 0
    release(content)
    return [*parts, b"".join(pieces)]


class ArraysAnswer(JSONAnswer):
    """A response of arrays. A large one is serialised while it is sent, because its JSON needs more memory than they.

    So its length is unknown at its start, and it is sent in chunks.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; each part of a large one is serialised in a thread when it is sent. An ASGI call."""
        if self._large is None:
            await super().__call__(scope, receive, send)
            return
        pieces, self._large = serialise_parts(self._large), None
        del self.headers["Content-Length"]

        async def in_parts(message: Message) -> None:
            if message["type"] == "http.response.body":
                while part := await BODIES.run(next, pieces, b""):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send(message)

        await super().__call__(scope, receive, in_parts)


class CompressedAnswer(JSONAnswer):
    """A JSON response, gzipped if the client accepts it, for large responses over slow networks."""

    def __init__(self, content: Any, request: Request) -> None:
        super().__init__(content, headers={"Vary": "Accept-Encoding"})
        accepted = "gzip" in request.headers.get("accept-encoding", "")
        self._packed = accepted and (self._large is not None or len(self.body) >= MIN_COMPRESSED_BYTES)
        if not self._packed:
            return
        self.headers["Content-Encoding"] = "gzip"
        if self._large is None:
            self.body = gzip.compress(self.body, COMPRESSION, mtime=0)
            self.headers["Content-Length"] = str(len(self.body))

    def _parts(self, content: Any) -> list[bytes]:
        parts = super()._parts(content)
        return [gzip.compress(b"".join(parts), COMPRESSION, mtime=0)] if self._packed else parts


def ndjson(content: dict[str, Any]) -> bytes:
    """Return a line of NDJSON (one JSON value and a newline), serialised like a response."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
