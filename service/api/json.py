"""JSON as the API writes it: one answer, or a line at a time."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import JSONResponse

NDJSON = "application/x-ndjson"
COMPRESSION = 9  # of gzip's levels
LEAST_COMPRESSED = 4096  # bytes


class JSONAnswer(JSONResponse):
    """An answer written by orjson: NumPy arrays as lists, non-finite numbers as null."""

    def render(self, content: Any) -> bytes:
        """The answer's bytes."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


class CompressedAnswer(JSONAnswer):
    """The same in gzip, to who takes it: for answers that people wait for over slow lines."""

    def __init__(self, content: Any, request: Request) -> None:
        super().__init__(content, headers={"Vary": "Accept-Encoding"})
        if len(self.body) >= LEAST_COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
            self.body = gzip.compress(self.body, COMPRESSION, mtime=0)
            self.headers["Content-Length"] = str(len(self.body))
            self.headers["Content-Encoding"] = "gzip"


def ndjson(content: dict[str, Any]) -> bytes:
    """A line of NDJSON, written as an answer is."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
