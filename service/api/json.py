"""JSON responses, and large JSON bodies and responses in parts, so that other threads get Python's lock in between."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import orjson
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from service.scheduling import BODIES

Array = np.ndarray[Any, Any]

PART_BYTES = 128 * 1024
PART_NUMBERS = 16 * 1024  # of an answer, written at a time
FEW, FREED = 256, 1024  # elements of a list: so few may be large themselves; so many are let go of at a time
BLOCK = 1 << 20  # bytes looked through at a time
MOST_LISTS = 1_000_000
"""Lists and objects of one body: each takes a hundred times the bytes that it may have come as."""
MOST_VALUES = 8_000_000
QUOTE, BACKSLASH, COMMA, OPENS, CLOSES, TO_BRACE = b'"\\,{} '
OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def crowd(body: bytes) -> tuple[int, int] | None:
    """How many lists and objects, and how many commas a body has, where it is more than could be held of either."""
    if body.count(b"{") + body.count(b"[") <= MOST_LISTS and body.count(b",") <= MOST_VALUES:
        return None
    lists = values = 0
    for _, _, opens, commas, _ in _outline(body):
        lists, values = lists + int(opens.sum()), values + int(commas.sum())
    return (lists, values) if lists > MOST_LISTS or values > MOST_VALUES else None


def loads(body: bytes) -> Any:
    """JSON text → Python values, the elements of its longest lists a part at a time.

    Raises:
        orjson.JSONDecodeError: it is not JSON, or not as orjson reads it.
    """
    lists = _long_lists(body)
    if not lists:
        return orjson.loads(body)
    mark, frame, end = secrets.token_hex(8), list[bytes](), 0
    for number, (first, last, _) in enumerate(lists):
        frame += [body[end:first], f'"{mark}{number}"'.encode()]
        end = last + 1
    content = orjson.loads(b"".join((*frame, body[end:])))
    for name, value in content.items():
        if isinstance(value, str) and value.startswith(mark):
            content[name] = _elements(body, *lists[int(value[len(mark) :])])
    return content


def _elements(body: bytes, first: int, last: int, commas: Array) -> list[Any]:
    """The list between two brackets, whose elements these commas part."""
    elements, start = list[Any](), first + 1
    for comma in (*commas[np.diff(commas // PART_BYTES, prepend=commas[:1] // PART_BYTES) > 0].tolist(), last):
        part = orjson.loads(b"".join((b"[", body[start:comma], b"]")))
        if not part:
            raise orjson.JSONDecodeError("a list has a comma too many", "", 0)
        elements += part
        start = comma + 1
    return elements


def _long_lists(body: bytes) -> list[tuple[int, int, Array]]:
    """Of each long list that is a field of the outermost object: where its brackets and its own commas are."""
    text = np.frombuffer(body, np.uint8)
    if not body[:PART_BYTES].lstrip().startswith(b"{"):
        return []
    begins, ends, commas = list[Array](), list[Array](), list[Array]()
    for start, levels, opens, between, closes in _outline(body):
        begins.append(start + np.flatnonzero(opens & (levels == 2)))
        ends.append(start + np.flatnonzero(closes & (levels == 1)))
        commas.append(start + np.flatnonzero(between & (levels == 2)))
    first, last, parting = (np.concatenate(each) for each in (begins, ends, commas))
    if len(first) != len(last):
        return []  # no JSON
    long = (last - first > PART_BYTES) & (text[first] == ord("[")) & (text[last] == ord("]"))
    found = [(int(i), int(j)) for i, j in zip(first[long], last[long], strict=True)]
    edges = [np.searchsorted(parting, pair) for pair in found]
    return [(i, j, parting[low:high]) for (i, j), (low, high) in zip(found, edges, strict=True)]


def _outline(body: bytes) -> Iterator[tuple[int, Array, Array, Array, Array]]:
    """A block at a time: where it begins; of each byte how deep it is; whether it opens, parts or closes anything."""
    text, inside, depth, escapes = np.frombuffer(body, np.uint8), 0, 0, False
    for start in range(0, len(text), BLOCK):
        block = text[start : start + BLOCK]
        quotes = block == QUOTE
        if escapes or (block == BACKSLASH).any():
            escaped, escapes = _escaped(block, escapes)
            quotes &= ~escaped
        outside = ((np.cumsum(quotes, dtype=np.int32) + inside) & 1) == 0
        inside = (inside + int(quotes.sum())) & 1
        braces = block | TO_BRACE
        opens, closes = (braces == OPENS) & outside, (braces == CLOSES) & outside
        levels = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32) + depth
        depth = int(levels[-1])
        yield start, levels, opens, (block == COMMA) & outside, closes


def _escaped(block: Array, before: bool) -> tuple[Array, bool]:
    """Which bytes a backslash goes before that is not one of a pair; and whether the last byte is such a one."""
    places = np.flatnonzero(block == BACKSLASH)
    if before:
        places = np.concatenate([[-1], places])
    runs = np.cumsum(np.diff(places, prepend=places[:1] - 2) > 1)
    first = places[np.searchsorted(runs, runs)]
    odd = places[(places - first) % 2 == 0] + 1
    escaped = np.zeros(len(block) + 1, bool)
    escaped[odd] = True
    return escaped[:-1], bool(escaped[-1])


def free(content: Any) -> None:
    """Let go of what a body has said, a part at a time: of objects by the million this takes as long as making them."""
    for value in content.values() if isinstance(content, dict) else (content,):
        if not isinstance(value, list):
            continue
        if len(value) <= FEW:
            for each in value:
                if isinstance(each, dict):
                    free(each)
        while value:
            del value[-FREED:]


def weight(content: Any) -> int:
    """About how many numbers, or eighths of a text's bytes, an answer has; a list's first stands for all of it."""
    if isinstance(content, dict):
        return sum(map(weight, content.values()))
    if isinstance(content, list | tuple):
        return len(content) * (1 + weight(content[0])) if content else 1
    if isinstance(content, np.ndarray):
        return content.size
    return 1 + len(content) // 8 if isinstance(content, str) else 1


def written(content: Any) -> Iterator[bytes]:
    """An answer as JSON, in parts."""
    if isinstance(content, dict):
        yield b"{"
        for number, (name, value) in enumerate(content.items()):
            yield (b"," if number else b"") + orjson.dumps(name) + b":"
            yield from written(value)
        yield b"}"
    elif isinstance(content, list) or (isinstance(content, np.ndarray) and content.ndim and len(content) > 1):
        yield b"["
        yield from _in_parts(content)
        yield b"]"
    else:
        yield orjson.dumps(content, option=OPTIONS)


def _in_parts(content: Any) -> Iterator[bytes]:
    """The elements of a list or an array: many small ones at a time, large ones in parts themselves."""
    if isinstance(content, list):
        heaviest = max((weight(each) for each in islice(content, 0, None, max(1, len(content) // 16))), default=1)
    else:
        heaviest = content[0].size if content.ndim > 1 else 1
    step = PART_NUMBERS // max(1, heaviest)
    for start in range(0, len(content), max(1, step)):
        if start:
            yield b","
        if step:
            yield orjson.dumps(content[start : start + step], option=OPTIONS)[1:-1]
        else:
            yield from written(content[start])


NDJSON = "application/x-ndjson"
COMPRESSION = 9  # of gzip's levels
LEAST_COMPRESSED = 4096  # bytes
LARGE_ANSWER = 16 * 1024  # numbers, or eighths of a text's bytes: a millisecond of writing


class JSONAnswer(JSONResponse):
    """An answer written by orjson: NumPy arrays as lists, non-finite numbers as null."""

    def __init__(self, content: Any, **named: Any) -> None:
        self._large = content if weight(content) > LARGE_ANSWER else None
        super().__init__(None if self._large is not None else content, **named)

    def render(self, content: Any) -> bytes:
        """The answer's bytes; empty where it is written when it is sent."""
        return b"" if self._large is not None else orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)

    def whole(self) -> bytes:
        """All of it, also of what is written only when it is sent."""
        return bytes(self.body) if self._large is None else b"".join(written(self._large))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call; a large answer is written in a thread, and sent part by part."""
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
        """The bytes of a large answer, as they are sent."""
        return _gathered(content)


def _gathered(content: Any) -> list[bytes]:
    """A large answer's bytes, in parts of a size to be sent; what it says is let go of."""
    parts, some, size = list[bytes](), list[bytes](), 0
    for piece in written(content):
        some.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            parts.append(b"".join(some))
            some, size = [], 0
    free(content)
    return [*parts, b"".join(some)]


class CompressedAnswer(JSONAnswer):
    """The same in gzip, to who takes it: for answers that people wait for over slow lines."""

    def __init__(self, content: Any, request: Request) -> None:
        super().__init__(content, headers={"Vary": "Accept-Encoding"})
        taken = "gzip" in request.headers.get("accept-encoding", "")
        self._packed = taken and (self._large is not None or len(self.body) >= LEAST_COMPRESSED)
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
    """A line of NDJSON, written as an answer is."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
