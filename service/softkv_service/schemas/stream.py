"""Models of the lines in NDJSON streams. OpenAPI 3.1 itself can describe a stream only as one text."""

from __future__ import annotations

from typing import Any

from softkv.answers.lines import EncodeLine, TableLine, UploadLine
from softkv_service.schemas.document import Document

LINES = (UploadLine, EncodeLine, TableLine)


def _of(line: str, description: str, example: str) -> dict[str, Any]:
    """Return the OpenAPI description of the media type of a stream of lines.

    `x-itemSchema` has the schema of a line, for which OpenAPI 3.2 has `itemSchema`.

    Args:
        line: the name of the schema of a line.
        description: the description of the stream.
        example: an example of the stream.
    """
    return {
        "schema": {"type": "string", "format": "binary", "description": f"{description} A line is a `{line}`."},
        "x-itemSchema": {"$ref": f"#/components/schemas/{line}"},
        "example": example,
    }


UPLOAD_BODY = _of(
    Document.__name__,
    "One document per line, as in the JSON form. The whole stream has no limit; a line may be "
    "as long as a JSON body. Empty lines are skipped.",
    '{"id": "qa76", "key": "relational databases", "value": "A first course"}\n'
    '{"id": "sf447", "key": "keeping cats"}\n',
)
UPLOAD_ANSWER = _of(
    "UploadLine",
    "One line for each batch of 1,000 lines, sent while the body is still being read. Lines "
    "are counted from 1. Then a last line: the whole body has been read only if it says `done: true`.",
    '{"upserted": 2, "truncated": [], "refused": []}\n{"done": true, "upserted": 2, "refused": 0}\n',
)
ENCODE_ANSWER = _of(
    "EncodeLine",
    "With `Accept: application/x-ndjson`: one line per text, in order, as batches finish. "
    "Then a last line: the answer is complete only if it says `done: true`.",
    '{"index": 0, "embedding": [0.1], "token_count": 4, "truncated": false, "unknown_tokens": 0}\n'
    '{"done": true, "model": "all-MiniLM-L6-v2", "dimension": 384, "encoded": 1}\n',
)
TABLE_BODY: dict[str, Any] = {
    "schema": {"type": "string", "format": "binary", "description": "The bytes of the file, as it is."},
    "example": "id,key\nqa76,relational databases\nsf447,keeping cats\n",
}
TABLE_ANSWER = _of(
    "TableLine",
    "A line about the table, then a line for each row. Then a last line: the whole file has been read only if it says "
    "`done: true`.",
    '{"name": "books.csv", "unit": "line", "total": 1, "columns": ["id", "key"], "settings": {}, "notices": []}\n'
    '{"line": 2, "cells": {"id": "qa76", "key": "relational databases"}}\n'
    '{"done": true, "rows": 1, "refused": 0, "keyless": 0, "expired": 0}\n',
)
