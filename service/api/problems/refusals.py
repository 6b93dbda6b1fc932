"""What a call may answer instead of what was asked for, for the API's description."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

Responses = dict[int | str, dict[str, Any]]

# code → its status, and why it comes; `problems.TABLE` says which error has which code
CODES = {
    "malformed_path": (400, "the path holds a control character, or is not UTF-8"),
    "ambiguous_length": (400, "the request has a Content-Length and a Transfer-Encoding; the connection is closed"),
    "malformed_host": (400, "several Host headers, or one that is no host, and no key"),
    "malformed_json": (400, "the body is not JSON"),
    "key_refused": (401, "no key, or an unknown one"),
    "forbidden": (403, "this key may read and not write"),
    "host_refused": (403, "the Host header has a name that is not this service's, and there is no key"),
    "collection_not_found": (404, "there is no such collection"),
    "document_not_found": (404, "there is no such document"),
    "model_not_found": (404, "the service runs no such model"),
    "collection_conflict": (409, "the collection exists with other settings"),
    "documents_exist": (409, 'with `mode: "create"`, one of the documents exists'),
    "document_changed": (409, "others kept changing the document meanwhile: try again"),
    "body_too_large": (413, "more bytes than the service takes in one request"),
    "too_much": (413, "more items than the service takes in one request"),
    "unsupported_media_type": (415, "the body is not declared as a media type that this call takes"),
    "invalid_content": (422, "well-formed JSON with wrong content, or a name that cannot be; nothing was written"),
    "untraceable": (422, "the model cannot show its attention: all-MiniLM-L6-v2 can"),
    "queue_full": (429, "too many requests are under way: try again"),
    "encoder_unavailable": (503, "the encoder is still loading, or could not be loaded"),
    "collection_loading": (503, "the collection is still being read from disk: try again"),
    "collection_damaged": (503, "what is stored of the collection is not what was written: see /readyz"),
    "document_damaged": (503, "the stored document is not what was written: write it anew or delete it"),
    "database_damaged": (503, "the database file is damaged: see /readyz"),
    "storage_failed": (503, "the database could not be read or written: see /readyz"),
    "database_busy": (503, "another program holds the database: try again"),
    "out_of_memory": (503, "there is no memory for this request now: try again, or send less"),
    "disk_full": (507, "the disk is full: nothing was written, nothing is lost"),
}
MALFORMED = ("malformed_path", "ambiguous_length", "malformed_host")
WITH_BODY = (
    *MALFORMED,
    "malformed_json",
    "body_too_large",
    "unsupported_media_type",
    "invalid_content",
    "out_of_memory",
)
STORED = ("database_damaged", "storage_failed")
OF_A_COLLECTION = ("collection_not_found", "invalid_content", *STORED)
OF_DOCUMENTS = (*OF_A_COLLECTION, "document_damaged")
WRITING = ("forbidden", "host_refused", "database_busy", "disk_full", *STORED)
ASKING = (*OF_DOCUMENTS, "collection_loading", "collection_damaged", "encoder_unavailable")

SECONDS = {"description": "After how many seconds to try again.", "schema": {"type": "integer", "minimum": 0}}
HEADERS = {
    401: {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string", "const": "Bearer"}}},
    429: {"Retry-After": SECONDS},
    503: {"Retry-After": SECONDS},
}


def _example(code: str) -> dict[str, Any]:
    status, reason = CODES[code]
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": reason}
    flaws = {"errors": [{"pointer": "/query", "detail": reason}]} if status == 422 else {}
    return {"value": problem | {"code": code} | flaws}


# for the description's components, by code
EXAMPLES = {code: _example(code) for code in CODES}


def refusals(*codes: str) -> Responses:
    """The refusals of a call, by the codes that it may answer."""
    statuses = sorted({CODES[code][0] for code in codes})
    return {status: _refusal(status, [code for code in CODES if code in codes]) for status in statuses}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    reasons = {code: CODES[code][1] for code in codes if CODES[code][0] == status}
    problem = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in reasons},
    }
    answer = {
        "description": "; ".join(f"`{code}`: {reason}" for code, reason in reasons.items()) + ".",
        "content": {"application/problem+json": problem},
    }
    return answer | ({"headers": HEADERS[status]} if status in HEADERS else {})


OPEN_TO_ALL = refusals(*MALFORMED, "host_refused")
ANY_CALL = refusals(*MALFORMED, "key_refused", "host_refused", "queue_full")
