"""Problems as OpenAI's clients know them: `{"error": {message, type, param, code}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.api.problems.refusals import HEADERS, Responses
from service.schemas.openai import ErrorAnswer

REASONS = {
    400: "The path, the Host, the body or its content is wrong; of the content, `param` says what.",
    401: "No key, or an unknown one.",
    403: "The Host header has a name that is not this service's, and there is no key.",
    404: "No such model.",
    413: "The body has more bytes than the service takes.",
    415: "The body is not declared as application/json.",
    429: "Too many requests are under way: try again.",
    503: "The model is still loading, or the service stops: try again.",
}
CODES = {"key_refused": "invalid_api_key", "queue_full": "rate_limit_exceeded"}
PARAMS = {"model_not_found": "model"}


def openai_refusals(*statuses: int) -> Responses:
    """The refusals of a call, for the API's description."""
    headers = {status: {"headers": HEADERS[status]} for status in statuses if status in HEADERS}
    return {
        status: {"model": ErrorAnswer, "description": REASONS[status]} | headers.get(status, {}) for status in statuses
    }


ANY_OPENAI_CALL = openai_refusals(400, 401, 403, 429)


def speaks_openai(path: str) -> bool:
    """Whether the callers of a path are OpenAI's clients."""
    return path in ("/v1/embeddings", "/v1/models") or path.startswith("/v1/models/")


def openai_status(status: int) -> int:
    """Wrong content is a 400 there, not a 422."""
    return 400 if status == 422 else status


def openai_error(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A problem → OpenAI's error object."""
    status, code = problem["status"], problem["code"]
    flaws = problem.get("errors") or [{"pointer": ""}]
    param = flaws[0]["pointer"].removeprefix("/").replace("/", ".")
    kind = "requests" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem["detail"],
            "type": kind,
            "param": param or PARAMS.get(code),
            "code": CODES.get(code, code),
        }
    }
