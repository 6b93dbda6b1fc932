"""Request ids, checks for ambiguous requests, and HEAD: the middleware that needs to know neither caller nor route.

Middleware that has nothing to do after the answer returns the call that it passes on. So the event loop does not enter
it again each time that the call goes on.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable
from http import HTTPStatus
from urllib.parse import unquote, unquote_to_bytes

import structlog
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.access import ANONYMOUS
from service.api.problems.errors import AmbiguousLength, APIError, MalformedHost, MalformedPath, MalformedRequest
from service.api.problems.handlers import problem_response

log = structlog.get_logger("softkv")
ACCEPTABLE = re.compile(r"[!-~]{1,128}")
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that are polled every few seconds, so their requests are logged at level debug only."""
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# The last three directives do not fall back to the first.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "


class RequestIdMiddleware:
    """The outermost middleware: it sets the request id and the headers of every response, and logs the request.

    The id comes from the request's X-Request-ID, or is random. It is returned to the client, and is in each log line
    about the request.

    Args:
        frame_ancestors: origins that may show this service's pages in a frame, as in a Content-Security-Policy.
    """

    def __init__(self, app: ASGIApp, *, frame_ancestors: str) -> None:
        self._app = app
        headers = HEADERS | {"Content-Security-Policy": POLICY + frame_ancestors}
        self._headers = [(name.lower().encode(), content.encode()) for name, content in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its id, add the headers to its response, and log it; an ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get("x-request-id", "")
        identifier = sent_id if ACCEPTABLE.fullmatch(sent_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = identifier
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                names = {name for name, _ in headers}
                defaults = (header for header in self._headers if header[0] not in names)
                message["headers"] = [*headers, *defaults, (b"x-request-id", identifier.encode())]
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=identifier)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            write = log.debug if get_route_path(scope) in PROBES else log.info
            holder = scope["state"].get("holder")
            client = scope.get("client")
            # Only a caller without a valid key is logged with its address, so that a firewall can keep it out.
            address = {"client": client[0]} if status == HTTPStatus.UNAUTHORIZED and client else {}
            write(
                "request",
                **address,
                **({} if holder is None or holder.name == ANONYMOUS else {"key": holder.name}),
                method=scope["method"],
                path=scope["path"],
                status=status,
                took_ms=round((time.perf_counter() - started) * 1e3, 2),
            )
            structlog.contextvars.reset_contextvars(**bound)


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc: C0, DEL and C1
ABSOLUTE = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE)

VERSIONS = ("1.1", "1.0")
UNREADABLE = "unreadable"  # key in a request's state: the error that the server had when it parsed the request


class RequestValidationMiddleware:
    """A middleware that refuses, with a 400, requests that a proxy and this service could understand differently.

    If a request's target has scheme and host, the middleware replaces them by a path and a Host header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it if it is ambiguous; an ASGI call."""
        if scope["type"] == "http":
            try:
                if (unreadable := scope.get("state", {}).get(UNREADABLE)) is not None:
                    raise unreadable
                _to_origin_form(scope)
                _check_version(scope["http_version"])
                _check_path(scope["path"], scope.get("raw_path") or b"")
                _check_length(Headers(scope=scope), scope["http_version"])
            except APIError as refusal:
                return problem_response(refusal)(scope, receive, send)
        return self._app(scope, receive, send)


def _to_origin_form(scope: Scope) -> None:
    """Replace a target `http://host/path` by a path and a Host header (RFC 9112, 3.2.2).

    The header replaces the one that was sent.

    Raises:
        MalformedHost: the target has no host.
    """
    absolute = ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if absolute is None:
        return
    host, path = absolute[1], absolute[2] or b"/"
    if not host:
        raise MalformedHost(
            "Expected a path or an address with a host, got an address without one. Send the path alone."
        )
    scope["path"], scope["raw_path"] = unquote(path.decode("ascii")), path
    scope["headers"] = [*(header for header in scope["headers"] if header[0] != b"host"), (b"host", host)]


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise MalformedRequest(f"the request is of HTTP/{version}: send it as HTTP/1.1")


def _check_path(path: str, raw: bytes) -> None:
    if match := CONTROL.search(path):
        raise MalformedPath(
            f"the path holds the control character U+{ord(match[0]):04X} as its character {match.start() + 1}: no name "
            "and no id has one, leave it out"
        )
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise MalformedPath(f"the path is not UTF-8 (byte {error.start}): percent-encode its UTF-8 bytes") from None


def _check_length(headers: Headers, http_version: str) -> None:
    """Raise AmbiguousLength if the headers give two lengths of the body (RFC 9112, 6.1).

    A proxy could use the other length, and a second request could hide in the body.
    """
    if "transfer-encoding" not in headers:
        return
    if "content-length" in headers:
        raise AmbiguousLength(
            f"the request came with Content-Length: {headers['content-length']} and with Transfer-Encoding: "
            f"{headers['transfer-encoding']}: send one of them"
        )
    if http_version == "1.0":
        raise AmbiguousLength("the request came with a Transfer-Encoding, which HTTP/1.0 does not have: use HTTP/1.1")


class HeadMiddleware:
    """A middleware that answers HEAD like GET; the HTTP server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a HEAD request on as GET, and other requests unchanged; an ASGI call."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        return self._app(scope, receive, send)
