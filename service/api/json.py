"""JSON as the API writes it: one answer, or a line at a time."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from service.api.large import PART_BYTES, free, weight, written
from service.scheduling import BODIES

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
