"""Problems as OpenAI's clients know them: `{"error": {message, type, param, code}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.api.problems.refusals import REASONS, Responses, headers
from service.api.problems.table import TABLE
from service.schemas.openai import ErrorAnswer


def speaks_openai(path: str) -> bool:
    """Whether the callers of a path are OpenAI's clients."""
    return path in ("/v1/embeddings", "/v1/models") or path.startswith("/v1/models/")


def openai_status(status: int) -> int:
    """Wrong content is a 400 there, not a 422."""
    return 400 if status == 422 else status


def openai_refusals(*codes: str) -> Responses:
    """The refusals of a call, for the API's description: of each status, the reason of one code."""
    described: Responses = {}
    for code in codes:
        refusal = TABLE[code]
        reason = refusal.openai_reason or REASONS[code]
        described[openai_status(refusal.status)] = {
            "model": ErrorAnswer,
            "description": f"{reason[0].upper()}{reason[1:]}.",
            **headers(refusal.status),
        }
    return described


ANY_OPENAI_CALL = openai_refusals("invalid_content", "key_refused", "host_refused", "queue_full")


def openai_error(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A problem → OpenAI's error object."""
    status, code = problem["status"], problem["code"]
    refusal = TABLE.get(code)
    flaws = problem.get("errors") or [{"pointer": ""}]
    param = flaws[0]["pointer"].removeprefix("/").replace("/", ".")
    kind = "requests" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem["detail"],
            "type": kind,
            "param": param or (refusal and refusal.openai_param),
            "code": (refusal and refusal.openai_code) or code,
        }
    }
