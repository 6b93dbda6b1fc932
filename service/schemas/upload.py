"""Documents as NDJSON, on the wire: as examples, since OpenAPI 3.1 has no words for a stream of lines."""

from __future__ import annotations

from typing import Any

NDJSON = "application/x-ndjson"

UPLOAD_BODY: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "A document a line, as in the JSON form; the whole has no limit, a line may be as long as a "
        "JSON body. Empty lines are skipped.",
    },
    "example": '{"id": "qa76", "key": "relational databases", "value": "A first course"}\n'
    '{"id": "sf447", "key": "keeping cats"}\n',
}
UPLOAD_ANSWER: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "A line for each batch of 1,000 lines, while the body is still being read: `{upserted, "
        "truncated: [ids], refused: [{line, detail, errors}]}`. The good lines of a batch are written all or none; "
        "lines are counted from 1. Then a last one: `{done, upserted, refused, problem?}`; only with `done: true` has "
        "the whole body been read.",
    },
    "example": '{"upserted": 2, "truncated": [], "refused": []}\n{"done": true, "upserted": 2, "refused": 0}\n',
}
