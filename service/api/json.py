"""JSON as the API writes it."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi.responses import JSONResponse


class JSONAnswer(JSONResponse):
    """An answer written by orjson: NumPy arrays as lists, non-finite numbers as null."""

    def render(self, content: Any) -> bytes:
        """The answer's bytes."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
