"""Exception handlers: each turns an error into a response of type application/problem+json (RFC 9457)."""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

from softkv_service.api.json import JSONAnswer, release
from softkv_service.api.keyring import Holder
from softkv_service.api.paths import route_path
from softkv_service.api.problems.errors import NoDescriptors, RateExceeded
from softkv_service.api.problems.table import (
    CODES,
    HEADERS,
    OF_STATUS,
    TABLE,
    openai_error,
    openai_status,
    speaks_openai,
    title,
)
from softkv_service.encoding import ProviderUnavailable
from softkv_service.logs import log
from softkv_service.retrieval import CollectionNotFound, Flaw, InvalidContent
from softkv_service.scheduling import BODIES
from softkv_service.schemas.answers import is_record
from softkv_service.schemas.document import Document
from softkv_service.schemas.requests import compile_model
from softkv_service.schemas.wire import escape_pointer
from softkv_service.storage.errors import QuotaExceeded

MAX_STEP = 256  # characters of a name in a pointer, since an answer has it twice
# pydantic's error types → messages; the validators of the service have their own messages
WORDS = {
    "missing": "this field is needed",
    "extra_forbidden": "there is no such field here: leave it out",
    "model_type": "wanted an object, got {came}",
    "model_attributes_type": "wanted an object, got {came}",
    "dict_type": "wanted an object, got {came}",
    "list_type": "wanted a list, got {came}",
    "string_type": "wanted a text, got {came}",
    "bool_type": "wanted true or false, got {came}",
    "int_type": "wanted a whole number, got {came}",
    "int_from_float": "wanted a whole number, got {came}",
    "literal_error": "wanted {expected}, got {came}",
    "greater_than": "wanted a number above {gt}, got {came}",
    "greater_than_equal": "wanted a number from {ge} on, got {came}",
    "less_than": "wanted a number below {lt}, got {came}",
    "less_than_equal": "wanted a number up to {le}, got {came}",
    "too_short": "wanted at least {min_length}, got {actual_length}",
    "too_long": "wanted at most {max_length}, got more",
    "string_too_long": "wanted a text of at most {max_length} characters, got {came}",
    "string_pattern_mismatch": "wanted a text of the form {pattern}, got {came}",
}
NO_FIELD_OF_A_DOCUMENT = (
    "a document has no field {name}: a field of your own goes into `metadata`, the text that is searched is `key`, "
    "and a vector `key_vector`"
)
SHOWN = 60
MEANT: Mapping[str, Sequence[str]] = {
    "query": ("question", "text", "q", "input", "prompt", "query_text", "query_vector", "vector"),
    "queries": ("questions", "texts", "query_texts"),
    "texts": ("text", "input", "inputs", "documents"),
    "top_k": ("k", "n", "limit", "size", "n_results", "num_results"),
    "filter": ("where", "filters", "query_filter"),
    "temperature": ("t", "tau"),
    "key": ("text", "content", "document", "title", "page_content"),
    "key_vector": ("vector", "embedding"),
    "key_vectors": ("vectors", "embeddings"),
    "value": ("answer",),
    "metadata": ("payload", "meta", "metadatas", "properties"),
    "id": ("_id", "uuid"),
    "documents": ("rows", "points", "items", "data"),
    "expires": ("ttl", "expire_after", "expires_at"),
    "normaliser": ("normalizer",),
}
"""The names that other services and older habits give to a field of this one."""
MEANT_CALLS = (
    ("POST", re.compile("/v1/collections"), "PUT /v1/collections/{name} creates a collection"),
    (
        "GET",
        re.compile("/v1/collections/[^/]+/documents"),
        "GET …/documents/{id} reads a document, and POST …/documents/query lists many",
    ),
)
"""Calls of other services, as a method and a path, and which call of this one does the same."""


def flaws_of(
    errors: Iterable[Mapping[str, Any]], body: Any, *, of_document: bool = False, fields: Iterable[str] = ()
) -> list[Flaw]:
    """Return pydantic's errors about a body as flaws for the client, each with a JSON pointer to the invalid field.

    Args:
        errors: the errors.
        body: the body.
        of_document: whether the body is one document or a patch of one. Other bodies have their documents in
            `documents`.
        fields: the fields of the body, one of which an unknown field may mean.
    """

    def words(error: Mapping[str, Any]) -> str:
        path = error["loc"]
        owner = path[:-1]
        in_document = not owner if of_document else len(owner) == 2 and owner[0] == "documents"
        if error["type"] == "string_type" and type(error["input"]) is int and _is_id(path):
            return f'{words_of(error)}: send it as the text "{error["input"]}"'
        if error["type"] != "extra_forbidden":
            return words_of(error)
        meant = _nearest_field(path[-1], Document.model_fields if in_document else () if owner else fields)
        if meant is not None and (meant != "key" or not in_document):
            return f"there is no such field here: `{meant}` may be the one that you mean"
        return NO_FIELD_OF_A_DOCUMENT.format(name=_short_text(path[-1])) if in_document else words_of(error)

    return [Flaw(_pointer(error["loc"], body) + _pointer_within(error), words(error)) for error in errors]


def _nearest_field(name: str, fields: Iterable[str]) -> str | None:
    """Return the field that a caller may mean by the name of a field that does not exist; None if none is near."""
    names = list(fields)
    plain = name.lower().replace("-", "_")
    synonyms = (field for field in names if plain in MEANT.get(field, ()))
    near = get_close_matches(plain, names, 1, 0.75) if len(plain) <= MAX_STEP else ()
    return next(synonyms, None) or next(iter(near), None)


def _is_id(path: Sequence[str | int]) -> bool:
    """Return whether pydantic's location of an error is that of a document's id."""
    return path[-1] == "id" or (len(path) > 1 and path[-2] in ("ids", "delete"))


def _fields_of(request: Request) -> Iterable[str]:
    """Return the names of the fields of the body that a request's route takes; empty if it takes no object."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model: Any = None if body is None else body.field_info.annotation
    if is_record(model):
        model = compile_model(model)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    return [field.alias or name for name, field in model.model_fields.items()]


def _pointer_within(error: Mapping[str, Any]) -> str:
    """Return the pointer of a flaw inside the value that pydantic reports, for values that are parsed as a whole."""
    pointer = error.get("ctx", {}).get("pointer")
    return f"/{pointer}" if pointer else ""


def words_of(error: Mapping[str, Any]) -> str:
    """Return the message for one of pydantic's errors."""
    if error["type"] not in WORDS:
        return str(error["msg"])
    return WORDS[error["type"]].format_map({**error.get("ctx", {}), "came": _short_text(error.get("input"))})


def _short_text(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _pointer(path: Sequence[Any], body: Any) -> str:
    """Convert pydantic's location of an error to a JSON pointer into the body.

    Steps that name a type of a union are left out, and the end of a long name.
    """
    steps = []
    for last, step in ((i == len(path) - 1, step) for i, step in enumerate(path)):
        if isinstance(body, dict) and (step in body or last):
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            body = body[step]
        else:
            continue
        steps.append(escape_pointer(f"{step[:MAX_STEP]}…" if isinstance(step, str) and len(step) > MAX_STEP else step))
    return "".join(f"/{step}" for step in steps)


MAX_FLAWS = 100
MAX_NAMED = 20
"""The maximum number of existing collections named in the error for a missing one."""
NO_MEMORY = "there is no memory for this request now: try again, send less at a time, or give the service more"
NO_DESCRIPTORS = (
    "the service has as many files and connections open as its system lets it: try again, close connections, or raise "
    "its limit (ulimit -n)"
)
# After these, the start of the next request is unknown: the connection is closed.
LAST_ON_ITS_CONNECTION = ("ambiguous_length", "malformed_request", "head_too_large", "too_slow", "connections_full")
READING = ("GET", "HEAD")


class ProblemAnswer(JSONAnswer):
    """The error response for a problem. On the paths that OpenAI's clients call, it has OpenAI's format."""

    media_type = "application/problem+json"

    def __init__(self, status: int, code: str, detail: str, flaws: Sequence[Flaw] | None = None) -> None:
        self.problem: dict[str, Any] = {
            "type": "about:blank",
            "title": title(status),
            "status": status,
            "detail": detail,
            "code": code,
        }
        if flaws is not None:
            self.problem["errors"] = [asdict(flaw) for flaw in flaws[:MAX_FLAWS]]
        headers = {HEADERS[status].name: HEADERS[status].sent} if status in HEADERS else {}
        if code in LAST_ON_ITS_CONNECTION:
            headers["Connection"] = "close"
        super().__init__(self.problem, status_code=status, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the error response, in OpenAI's format on the paths that OpenAI's clients call; an ASGI call.

        The problem's code is stored in the request's state, for logs and metrics.
        """
        scope.setdefault("state", {})["refused"] = self.problem["code"]
        if not speaks_openai(route_path(scope)):
            await super().__call__(scope, receive, send)
            return
        answer = JSONAnswer(openai_error(self.problem), status_code=openai_status(self.status_code))
        headers = {name: value for name, value in self.headers.items() if not name.startswith("content-")}
        answer.headers.update(headers)
        await answer(scope, receive, send)


def problem_response(error: Exception) -> ProblemAnswer:
    """Return the error response for an exception that the table of refusals lists."""
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    status = TABLE[code].status
    detail = NO_MEMORY if isinstance(error, MemoryError) else str(error)
    flaws = error.flaws if isinstance(error, InvalidContent) else [Flaw("", detail)]
    answer = ProblemAnswer(status, code, detail, flaws if status == 422 else None)
    if isinstance(error, ProviderUnavailable) and error.retry_after is not None:
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, RateExceeded):
        answer.headers["Retry-After"] = str(error.seconds)
    elif isinstance(error, QuotaExceeded):  # no time makes room, only deleting does
        del answer.headers["Retry-After"]
    return answer


def validation_response(
    error: RequestValidationError, *, of_document: bool = False, fields: Iterable[str] = ()
) -> ProblemAnswer:
    """Return the response to an invalid body, path or query string; for `of_document` and `fields` see `flaws_of`."""
    errors = error.errors()
    # Only flaws that are shown get a message: a body of some megabytes may have a million.
    within = islice((flaw for flaw in errors if flaw["loc"][0] == "body"), MAX_FLAWS)
    besides = islice((flaw for flaw in errors if flaw["loc"][0] != "body"), MAX_FLAWS)
    within_body = ({**flaw, "loc": flaw["loc"][1:]} for flaw in within)
    flaws = flaws_of(within_body, error.body, of_document=of_document, fields=fields)
    flaws += [Flaw("", f"{'.'.join(map(str, flaw['loc']))}: {words_of(flaw)}") for flaw in besides]
    first = flaws[0]
    # The message of a filter or a bias names its field already, in the same words as the clients' own checks.
    names_its_field = errors[0]["type"] in ("filter", "bias")
    detail = f"{first.pointer}: {first.detail}" if first.pointer and not names_its_field else first.detail
    more = f" (and {len(errors) - 1} more, see errors)" if len(errors) > 1 else ""
    return ProblemAnswer(422, "invalid_content", detail + more, flaws)


def methods_of(request: Request, path: str) -> list[str]:
    """Return the methods of all routes on a path. Starlette names those of one route."""
    routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]
    scope = {**request.scope, "path": path}
    return [
        method
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE")
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def find_methods(request: Request) -> str:
    """Return the methods of the path of a request, for a header."""
    methods = methods_of(request, request.scope["path"])
    if not methods or "GET" in methods:  # a path without a route is a file
        methods = [*READING, *(method for method in methods if method != "GET")]
    return ", ".join(methods)


Handlers = Mapping[Any, Callable[[Request, Any], Any]]
"""The functions that turn an error into a response, by the class of the error."""


async def answer_error(handlers: Handlers, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with the error that its route raised, as the application does for routes that it calls.

    Raises:
        Exception: the same error, if it was unexpected or the response had begun.
    """
    started: bool = scope["state"]["call"].started
    kind = next(kind for kind in type(error).__mro__ if kind in handlers)
    unexpected = kind is Exception or started
    response: Response = await handlers[Exception if unexpected else kind](Request(scope, receive), error)
    if not started:
        await response(scope, receive, send)
    if unexpected:
        raise error
    error.__traceback__ = None  # an error that is raised again would keep those of all requests


def _instead_of(path: str) -> str:
    if path in ("/v1/chat/completions", "/v1/completions", "/v1/responses"):
        return "softkv writes no texts; of OpenAI's calls it has /v1/embeddings"
    if path == "/metrics":
        return "a service inside a program has no metrics; `softkv serve` has them"
    return "/docs/api lists every call"


def _meant_call(method: str, path: str) -> str:
    """Return what to call in place of a call of other services, for the end of a message; empty for any other."""
    return next((f": {call}" for verb, form, call in MEANT_CALLS if verb == method and form.fullmatch(path)), "")


def install(app: FastAPI) -> None:
    """Register handlers that answer every error as a problem."""

    async def table_error(_: Request, error: Exception) -> Response:
        return problem_response(error)

    async def no_collection(request: Request, error: Exception) -> Response:
        assert isinstance(error, CollectionNotFound)
        holder: Holder = request.state.holder
        page, more = request.app.state.parts.catalogue.page(holder.prefixes, None, MAX_NAMED)
        return problem_response(CollectionNotFound(error.name, [collection.name for collection in page], more=more))

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        of_document = request.method in ("PUT", "PATCH") and {"name", "id"} <= request.path_params.keys()
        answer = validation_response(error, of_document=of_document, fields=_fields_of(request))
        if error.body is not None:
            BODIES.submit(partial(release, error.body))
        return answer

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers, detail, status = dict(error.headers or {}), str(error.detail), error.status_code
        path: str = request.scope["path"]
        short = path.rstrip("/")
        if status == 404 and methods_of(request, path):  # the mount of the page takes all methods of other paths, too
            status = 405
        if status == 404:
            is_longer = short != path and request.method in methods_of(request, short)
            detail = f"there is nothing at {path}: {f'write {short}' if is_longer else _instead_of(path)}"
        if status == 405:
            headers["Allow"] = find_methods(request)
            meant = _meant_call(request.method, route_path(request.scope).rstrip("/"))
            detail = f"{path} takes {headers['Allow']}, not {request.method}{meant}"
        if status in (404, 405) and request.method in methods_of(request, f"/v1{path}"):
            detail += f": write /v1{path}"
        code = OF_STATUS.get(status) or OF_STATUS[status // 100 * 100]
        answer = ProblemAnswer(status, code, detail)
        answer.headers.update(headers)
        return answer

    async def client_disconnect(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # the client has disconnected

    async def runtime_error(request: Request, error: Exception) -> Response:
        if "can't start new thread" in str(error):  # a thread needs memory
            return problem_response(MemoryError())
        return await answer_unexpected(request, error)

    async def os_error(request: Request, error: Exception) -> Response:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            log.error("no file descriptor is left", path=request.scope["path"], reason=str(error))
            return problem_response(NoDescriptors(NO_DESCRIPTORS))
        return await answer_unexpected(request, error)

    async def answer_unexpected(request: Request, error: Exception) -> Response:
        identifier = getattr(request.state, "request_id", "unknown")
        log.error("unexpected error", request_id=identifier, exc_info=error)
        return ProblemAnswer(
            500, OF_STATUS[500], f"softkv failed on this request; its log has the cause under {identifier}"
        )

    for kind in CODES:
        app.add_exception_handler(kind, no_collection if kind is CollectionNotFound else table_error)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, client_disconnect)
    app.add_exception_handler(OSError, os_error)
    app.add_exception_handler(RuntimeError, runtime_error)
    app.add_exception_handler(Exception, answer_unexpected)
