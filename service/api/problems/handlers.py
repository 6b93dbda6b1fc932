"""Every error of the service, answered as a problem: application/problem+json (RFC 9457)."""

from __future__ import annotations

import errno
import http
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

from service.api.json import JSONAnswer
from service.api.keyring import Holder
from service.api.large import free
from service.api.problems.errors import NoDescriptors
from service.api.problems.flaws import flaws_of, words_of
from service.api.problems.openai import openai_error, openai_status, speaks_openai
from service.api.problems.table import CODES, HEADERS, OF_STATUS, TABLE
from service.retrieval import CollectionNotFound, Flaw, InvalidContent
from service.scheduling import BODIES

log = structlog.get_logger("softkv")

MOST_FLAWS = 100
MOST_NAMED = 20
"""Collections that the refusal of another one names."""
NO_MEMORY = "there is no memory for this request now: try again, send less at a time, or give the service more"
NO_DESCRIPTORS = (
    "the service has as many files and connections open as its system lets it: try again, close connections, or raise "
    "its limit (ulimit -n)"
)
# Where the next request would begin is not known.
LAST_ON_ITS_CONNECTION = ("ambiguous_length", "malformed_request", "head_too_large", "too_slow", "connections_full")
READING = ("GET", "HEAD")


class ProblemAnswer(JSONAnswer):
    """A problem; on the paths of OpenAI's clients, said as OpenAI says it."""

    media_type = "application/problem+json"

    def __init__(self, status: int, code: str, detail: str, flaws: Sequence[Flaw] | None = None) -> None:
        self.problem: dict[str, Any] = {
            "type": "about:blank",
            "title": http.HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
        }
        if flaws is not None:
            self.problem["errors"] = [asdict(flaw) for flaw in flaws[:MOST_FLAWS]]
        headers = {HEADERS[status].name: HEADERS[status].sent} if status in HEADERS else {}
        if code in LAST_ON_ITS_CONNECTION:
            headers["Connection"] = "close"
        super().__init__(self.problem, status_code=status, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        scope.setdefault("state", {})["refused"] = self.problem["code"]
        if not speaks_openai(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        answer = JSONAnswer(openai_error(self.problem), status_code=openai_status(self.status_code))
        kept = {name: value for name, value in self.headers.items() if not name.startswith("content-")}
        answer.headers.update(kept)
        await answer(scope, receive, send)


def of_error(error: Exception) -> ProblemAnswer:
    """The answer to an error of the table."""
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    status = TABLE[code].status
    detail = NO_MEMORY if isinstance(error, MemoryError) else str(error)
    flaws = error.flaws if isinstance(error, InvalidContent) else [Flaw("", detail)]
    return ProblemAnswer(status, code, detail, flaws if status == 422 else None)


def of_validation(error: RequestValidationError, *, of_document: bool = False) -> ProblemAnswer:
    """The answer to a body, path or query string of the wrong form; `of_document` as of `flaws_of`."""
    found = error.errors()
    # Only those that are shown are put into words: a body of some megabytes may have a million.
    within = islice((flaw for flaw in found if flaw["loc"][0] == "body"), MOST_FLAWS)
    besides = islice((flaw for flaw in found if flaw["loc"][0] != "body"), MOST_FLAWS)
    within_body = ({**flaw, "loc": flaw["loc"][1:]} for flaw in within)
    flaws = flaws_of(within_body, error.body, of_document=of_document)
    flaws += [Flaw("", f"{'.'.join(map(str, flaw['loc']))}: {words_of(flaw)}") for flaw in besides]
    first = flaws[0]
    detail = f"{first.pointer}: {first.detail}" if first.pointer else first.detail
    more = f" (and {len(found) - 1} more, see errors)" if len(found) > 1 else ""
    return ProblemAnswer(422, "invalid_content", detail + more, flaws)


def allowed(request: Request) -> str:
    """The methods that the path of a request takes, where Starlette names those of one route."""
    routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]
    taken = [
        method
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if not taken or "GET" in taken:  # what no route takes is a file
        taken = [*READING, *(method for method in taken if method != "GET")]
    return ", ".join(taken)


def install(app: FastAPI) -> None:
    """Answer every error of the service as a problem."""

    async def ours(_: Request, error: Exception) -> Response:
        return of_error(error)

    async def no_collection(request: Request, error: Exception) -> Response:
        assert isinstance(error, CollectionNotFound)
        holder: Holder = request.state.holder
        page, more = request.app.state.parts.catalogue.page(holder.prefix, None, MOST_NAMED)
        return of_error(CollectionNotFound(error.name, [each.name for each in page], more=more))

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        of_document = request.method in ("PUT", "PATCH") and {"name", "id"} <= request.path_params.keys()
        answer = of_validation(error, of_document=of_document)
        if error.body is not None:
            BODIES.submit(partial(free, error.body))
        return answer

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers, detail = dict(error.headers or {}), str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.scope['path']}: /docs lists every call"
        if error.status_code == 405:
            headers["Allow"] = allowed(request)
            detail = f"{request.scope['path']} takes {headers['Allow']}, not {request.method}"
        code = OF_STATUS.get(error.status_code) or OF_STATUS[error.status_code // 100 * 100]
        answer = ProblemAnswer(error.status_code, code, detail)
        answer.headers.update(headers)
        return answer

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it

    async def without_a_thread(request: Request, error: Exception) -> Response:
        if "can't start new thread" in str(error):  # which takes memory
            return of_error(MemoryError())
        return await unexpected(request, error)

    async def of_the_system(request: Request, error: Exception) -> Response:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            log.error("no file descriptor is left", path=request.scope["path"], reason=str(error))
            return of_error(NoDescriptors(NO_DESCRIPTORS))
        return await unexpected(request, error)

    async def unexpected(request: Request, error: Exception) -> Response:
        identifier = getattr(request.state, "request_id", "unknown")
        log.error("unexpected error", request_id=identifier, exc_info=error)
        return ProblemAnswer(
            500, OF_STATUS[500], f"softkv failed on this request; its log has the cause under {identifier}"
        )

    for kind in CODES:
        app.add_exception_handler(kind, no_collection if kind is CollectionNotFound else ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(OSError, of_the_system)
    app.add_exception_handler(RuntimeError, without_a_thread)
    app.add_exception_handler(Exception, unexpected)
