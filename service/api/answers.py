"""What a call may answer instead of what was asked for, for the API's description."""

from __future__ import annotations

from typing import Any

Responses = dict[int | str, dict[str, Any]]

REASONS = {
    400: "The body is not JSON.",
    401: "No key, or an unknown one.",
    403: "A read-only key writes, or the Host header does not name this machine.",
    404: "No such collection.",
    409: "It exists already.",
    413: "More than the service takes in one request.",
    415: "The body is not declared as a media type that this call takes.",
    422: "Well-formed JSON with wrong content, or a name that no collection can have; nothing was written.",
    429: "Too many requests are under way: try again.",
    503: "Something that this call needs is still loading, or is busy: try again.",
    507: "The disk is full: nothing was written, nothing is lost.",
}
SECONDS = {"description": "After how many seconds to try again.", "schema": {"type": "integer", "minimum": 0}}
HEADERS = {
    401: {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string", "const": "Bearer"}}},
    429: {"Retry-After": SECONDS},
    503: {"Retry-After": SECONDS},
}
WITH_BODY = (400, 413, 415, 422)


def refusals(*statuses: int, because: dict[int, str] | None = None) -> Responses:
    """The refusals of a call; `because` holds reasons of its own, by status."""
    reasons = {status: REASONS[status] for status in statuses} | (because or {})
    return {status: _refusal(status, reason) for status, reason in sorted(reasons.items())}


def _refusal(status: int, reason: str) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answer = {"description": reason, "content": {"application/problem+json": problem}}
    return answer | ({"headers": HEADERS[status]} if status in HEADERS else {})


ANY_CALL = refusals(401, 403, 429)
