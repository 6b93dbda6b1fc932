"""The one table from errors to HTTP statuses, and their form: application/problem+json (RFC 9457)."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from attention.errors import AttentionError
from service import encoding, retrieval
from service.api.json import JSONAnswer
from service.api.problems import errors as api
from service.api.problems.flaws import flaws_of, words_of
from service.api.problems.methods import allowed
from service.api.problems.openai import openai_error, openai_status, speaks_openai
from service.retrieval import Flaw
from service.storage import errors as storage

log = structlog.get_logger("softkv")

# error → (status, code); the most particular class wins
TABLE: Mapping[type[Exception], tuple[int, str]] = {
    api.MalformedPath: (400, "malformed_path"),
    api.AmbiguousLength: (400, "ambiguous_length"),
    api.MalformedHost: (400, "malformed_host"),
    api.MalformedBody: (400, "malformed_json"),
    api.KeyRefused: (401, "key_refused"),
    api.Forbidden: (403, "forbidden"),
    api.HostRefused: (403, "host_refused"),
    retrieval.CollectionNotFound: (404, "collection_not_found"),
    retrieval.DocumentNotFound: (404, "document_not_found"),
    retrieval.ModelNotFound: (404, "model_not_found"),
    storage.CollectionMissing: (404, "collection_not_found"),
    retrieval.CollectionConflict: (409, "collection_conflict"),
    retrieval.DocumentChanged: (409, "document_changed"),
    storage.DocumentsExist: (409, "documents_exist"),
    api.LengthRequired: (411, "length_required"),
    api.BodyTooLarge: (413, "body_too_large"),
    api.TooMuch: (413, "too_much"),
    api.UnsupportedMediaType: (415, "unsupported_media_type"),
    retrieval.InvalidContent: (422, "invalid_content"),
    retrieval.TooLarge: (413, "too_much"),
    storage.WidthMismatch: (422, "invalid_content"),
    storage.DocumentsRepeated: (422, "invalid_content"),
    storage.Unstorable: (422, "invalid_content"),
    storage.InvalidCondition: (422, "invalid_content"),
    AttentionError: (422, "invalid_content"),
    encoding.InvalidText: (422, "invalid_content"),
    encoding.Untraceable: (422, "untraceable"),
    encoding.QueueClosed: (503, "stopping"),
    encoding.EncodingError: (503, "encoder_unavailable"),
    MemoryError: (503, "out_of_memory"),
    api.QueueFull: (429, "queue_full"),
    retrieval.CollectionLoading: (503, "collection_loading"),
    retrieval.EncoderUnavailable: (503, "encoder_unavailable"),
    retrieval.CollectionUnsound: (503, "collection_damaged"),
    storage.DocumentDamaged: (503, "document_damaged"),
    storage.CollectionDamaged: (503, "collection_damaged"),
    storage.DatabaseDamaged: (503, "database_damaged"),
    storage.StorageFailed: (503, "storage_failed"),
    storage.DatabaseBusy: (503, "database_busy"),
    storage.StoreClosed: (503, "stopping"),
    storage.DiskFull: (507, "disk_full"),
}
MOST_FLAWS = 100
NO_MEMORY = "there is no memory for this request now: try again, send less at a time, or give the service more"
RETRY_AFTER_SECONDS = {429: "1", 503: "2"}
LAST_ON_ITS_CONNECTION = "ambiguous_length"  # where the next request would begin is not known


class ProblemAnswer(JSONAnswer):
    """A problem; on the paths of OpenAI's clients, said as OpenAI says it."""

    media_type = "application/problem+json"

    def __init__(self, content: dict[str, Any], *, status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, status_code=status_code, headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if not speaks_openai(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        answer = JSONAnswer(openai_error(self._content), status_code=openai_status(self.status_code))
        kept = {name: value for name, value in self.headers.items() if not name.startswith("content-")}
        answer.headers.update(kept)
        await answer(scope, receive, send)


def problem(status: int, code: str, detail: str, *, flaws: Sequence[Flaw] | None = None) -> Response:
    """An error's answer."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if flaws is not None:
        content["errors"] = [asdict(flaw) for flaw in flaws[:MOST_FLAWS]]
    headers = {"Retry-After": RETRY_AFTER_SECONDS[status]} if status in RETRY_AFTER_SECONDS else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if code == LAST_ON_ITS_CONNECTION:
        headers["Connection"] = "close"
    return ProblemAnswer(content, status_code=status, headers=headers)


def of_error(error: Exception) -> Response:
    """The answer to an error of the table."""
    status, code = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    detail = NO_MEMORY if isinstance(error, MemoryError) else str(error)
    flaws = error.flaws if isinstance(error, retrieval.InvalidContent) else [Flaw("", detail)]
    return problem(status, code, detail, flaws=flaws if status == 422 else None)


def of_validation(error: RequestValidationError) -> Response:
    """The answer to a body, path or query string of the wrong form."""
    found = error.errors()
    flaws = flaws_of([{**flaw, "loc": flaw["loc"][1:]} for flaw in found if flaw["loc"][0] == "body"], error.body)
    flaws += [
        Flaw("", f"{'.'.join(map(str, flaw['loc']))}: {words_of(flaw)}") for flaw in found if flaw["loc"][0] != "body"
    ]
    first = flaws[0]
    detail = f"{first.pointer}: {first.detail}" if first.pointer else first.detail
    more = f" (and {len(flaws) - 1} more, see errors)" if len(flaws) > 1 else ""
    return problem(422, "invalid_content", detail + more, flaws=flaws)


def install(app: FastAPI) -> None:
    """Answer every error of the service as a problem."""

    async def ours(_: Request, error: Exception) -> Response:
        return of_error(error)

    async def validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return of_validation(error)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers, detail = dict(error.headers or {}), str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.url.path}: /docs lists every call"
        if error.status_code == 405:
            headers["Allow"] = allowed(request)
            detail = f"{request.url.path} takes {headers['Allow']}, not {request.method}"
        code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        answer = problem(error.status_code, code, detail)
        answer.headers.update(headers)
        return answer

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it

    async def without_a_thread(request: Request, error: Exception) -> Response:
        if "can't start new thread" in str(error):  # which takes memory
            return of_error(MemoryError())
        return await unexpected(request, error)

    async def unexpected(request: Request, error: Exception) -> Response:
        identifier = getattr(request.state, "request_id", "unknown")
        log.error("unexpected error", request_id=identifier, exc_info=error)
        return problem(
            500, "internal_error", f"softkv failed on this request; its log has the cause under {identifier}"
        )

    for kind in TABLE:
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(RuntimeError, without_a_thread)
    app.add_exception_handler(Exception, unexpected)
