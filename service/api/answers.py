"""The answers that many calls share, for the API's description."""

from __future__ import annotations

from typing import Any

from service.schemas.problem import Problem

DESCRIPTIONS = {
    400: "The body is not JSON.",
    401: "No key, or an unknown one.",
    403: "A read-only key writes, or the Host is not this machine.",
    404: "No such collection, document or model.",
    409: "It exists with other settings, or a document exists already.",
    411: "The Content-Length is not a length.",
    413: "More than the service takes in one request.",
    415: "The body is not application/json.",
    422: "Well-formed JSON with wrong content; `errors` points at each flaw.",
    429: "Too many requests are under way; see Retry-After.",
    503: "Still loading, or stopping; see Retry-After.",
    507: "The disk is full; nothing was lost.",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "model": Problem,
            "description": DESCRIPTIONS[status],
            "content": {"application/problem+json": {}},
        }
        for status in statuses
    }


PROBLEMS = _problems(*DESCRIPTIONS)
