"""The refusals of each call, as the API's description lists them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.api.problems.table import HEADERS, TABLE

Responses = dict[int | str, dict[str, Any]]

MALFORMED = ("malformed_path", "ambiguous_length", "malformed_host")
WITH_BODY = (
    *MALFORMED,
    "malformed_json",
    "body_too_large",
    "unsupported_media_type",
    "invalid_content",
    "out_of_memory",
)
STORED = ("database_damaged", "storage_failed", "store_unavailable")
OF_A_COLLECTION = (
    "forbidden",
    "host_refused",
    "collection_not_found",
    "invalid_content",
    "collection_loading",
    *STORED,
)
OF_DOCUMENTS = (*OF_A_COLLECTION, "document_damaged")
WRITING = ("forbidden", "idempotency_key_reused", "host_refused", "database_busy", "disk_full", *STORED)
ENCODING = ("library_missing", "encoder_unavailable")
ASKING = (*OF_DOCUMENTS, "collection_damaged", "shards_missing", *ENCODING)
ANSWERING = (*ASKING, "nothing_to_read")

REASONS = {code: refusal.reason for code, refusal in TABLE.items() if refusal.reason is not None}


def _example(code: str, reason: str) -> dict[str, Any]:
    status = TABLE[code].status
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": reason}
    flaws = {"errors": [{"pointer": "/query", "detail": reason}]} if status == 422 else {}
    return {"value": problem | {"code": code} | flaws}


# for the description's components, by code
EXAMPLES = {code: _example(code, reason) for code, reason in REASONS.items()}


def refusals(*codes: str) -> Responses:
    """The refusals of a call, by the codes that it may answer."""
    statuses = sorted({TABLE[code].status for code in codes})
    return {status: _refusal(status, [code for code in REASONS if code in codes]) for status in statuses}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    reasons = {code: REASONS[code] for code in codes if TABLE[code].status == status}
    problem = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in reasons},
    }
    answer = {
        "description": "; ".join(f"`{code}`: {reason}" for code, reason in reasons.items()) + ".",
        "content": {"application/problem+json": problem},
    }
    return answer | headers(status)


def headers(status: int) -> dict[str, Any]:
    """The part of a response's description that names the headers of its status; empty where there are none."""
    if status not in HEADERS:
        return {}
    header = HEADERS[status]
    return {"headers": {header.name: {"description": header.description, "schema": header.schema}}}


OPEN_TO_ALL = refusals(*MALFORMED, "host_refused")
ANY_CALL = refusals(*MALFORMED, "key_refused", "host_refused", "queue_full")
