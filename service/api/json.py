"""JSON as the API writes it: one answer, or a line at a time."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi.responses import JSONResponse

NDJSON = "application/x-ndjson"


class JSONAnswer(JSONResponse):
    """An answer written by orjson: NumPy arrays as lists, non-finite numbers as null."""

    def render(self, content: Any) -> bytes:
        """The answer's bytes."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def ndjson(content: dict[str, Any]) -> bytes:
    """A line of NDJSON, written as an answer is."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
