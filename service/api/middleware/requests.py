"""The life of a request, in the middleware that needs to know neither caller nor route, the outermost first: its id and
log line, its time for metrics and spans, its end at a shutdown, and checks for ambiguous requests.

Middleware that has nothing to do after the answer returns the call that it passes on. So the event loop does not enter
it again each time that the call goes on.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import structlog
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.keyring import CHANGING, Holder
from service.api.middleware.access import ANONYMOUS
from service.api.problems.errors import (
    AmbiguousLength,
    APIError,
    MalformedHost,
    MalformedPath,
    MalformedRequest,
    ServiceStopping,
)
from service.api.problems.handlers import problem_response
from service.api.shutdown import Call, Shutdown
from service.api.telemetry import Meters, SlowRequest, SlowRequests, Tracing
from service.request_trace import RequestTrace, use_trace

log = structlog.get_logger("softkv")
EVENT_STREAM = "text/event-stream"
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


UNKNOWN_CAUSE = "no stage took part of the time: the process was busy, or the caller sent or read slowly"
"""The cause of a slow request that has no stages, if the service loads nothing meanwhile."""


class TelemetryMiddleware:
    """A middleware that counts, times and traces requests by route.

    Ids and names in a path create no metrics or spans of their own.

    Args:
        slow: the slow requests, which are also logged with the time of each stage, never with their content.
        loading: returns what the service loads in the background, which keeps its process busy.
        tracing: records spans; None for no spans.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        meters: Meters,
        slow: SlowRequests,
        loading: Callable[[], list[str]],
        tracing: Tracing | None,
    ) -> None:
        self._app = app
        self._meters = meters
        self._slow = slow
        self._loading = loading
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and report its counts and times when it is answered; an ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace, started, status, lasts = RequestTrace(self._meters), time.perf_counter(), 500, False
        tracing = self._tracing

        def complete_span() -> None:
            nonlocal tracing
            if tracing is not None:
                tracing.complete(scope, trace, _details(scope, trace))
                tracing = None

        async def send_and_watch(message: Message) -> None:
            nonlocal status, lasts
            if message["type"] == "http.response.start":
                status = message["status"]
                lasts = Headers(raw=message.get("headers", [])).get("content-type", "").startswith(EVENT_STREAM)
            elif not message.get("more_body", False):
                complete_span()  # FastAPI ends it when this message is sent
            await send(message)

        with self._meters.under_way.track_inprogress():
            try:
                with use_trace(trace):
                    await self._app(scope, receive, send_and_watch)
            finally:
                complete_span()  # if the answer broke off
                self._report(scope, trace, status, started, time.perf_counter(), lasts=lasts)

    def _report(
        self, scope: Scope, trace: RequestTrace, status: int, started: float, ended: float, *, lasts: bool
    ) -> None:
        state = scope.get("state", {})
        route = route_of(scope)
        requests, seconds = self._meters.series_of(scope["method"], route, status)
        requests.inc()
        if not lasts:  # an event stream lasts as long as its client listens
            seconds.observe(ended - started)
        if (code := state.get("refused")) is not None:
            self._meters.refusals.labels(code).inc()
        if not lasts and self._slow.is_slow(ended - started):
            self._meters.slow.inc()
            slow = SlowRequest(
                took_ms=round((ended - started) * 1e3, 2),
                at=datetime.now(UTC),
                method=scope["method"],
                route=route,
                status=status,
                stages_ms={name: round(timing.seconds * 1e3, 2) for name, timing in trace.timings.items()},
                collection=scope.get("path_params", {}).get("name"),
                request_id=state.get("request_id"),
            )
            self._slow.add(slow)
            _log_slow(scope, slow, trace, self._loading())


def _details(scope: Scope, trace: RequestTrace) -> dict[str, Any]:
    """Return the collection of a request and its number of documents, as far as it has them."""
    about = {"collection": scope.get("path_params", {}).get("name"), "documents": trace.documents}
    return {name: value for name, value in about.items() if value is not None}


def _log_slow(scope: Scope, slow: SlowRequest, trace: RequestTrace, loading: list[str]) -> None:
    """Log a slow request with the time of its stages; without stages, log what may have kept it waiting."""
    cause = f"the process was busy, it loads {', '.join(loading)}" if loading else UNKNOWN_CAUSE
    holder: Holder | None = scope.get("state", {}).get("holder")
    log.warning(
        "slow request",
        method=slow.method,
        route=slow.route,
        status=slow.status,
        took_ms=slow.took_ms,
        **({"stages_ms": slow.stages_ms} if slow.stages_ms else {"cause": cause}),
        **_details(scope, trace),
        **({} if holder is None else {"key": holder.name}),
    )


def route_of(scope: Scope) -> str:
    """Return the path template of a request's route, or `other` if it has none."""
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "other"


UNTOUCHED = "The service is shutting down and has not started on this request. Retry later."
GIVEN_UP = "The service is shutting down, and this request took too long. Retry later."
UNCERTAIN = (
    "The service is shutting down, and this write took too long. It may or may not have been written. Check later, or "
    "send it again, with the same Idempotency-Key if it had one."
)
CLOSE = (b"connection", b"close")


class ShutdownMiddleware:
    """A middleware that tracks every call, and answers the calls that the shutdown stops.

    The request's state holds the `Call` as `call`.
    """

    def __init__(self, app: ASGIApp, *, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Track a call and pass it on, or refuse it if the shutdown refuses new calls; an ASGI call."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        call, shutdown, received = Call(task), self._shutdown, False

        async def receive_part() -> Message:
            nonlocal received
            if not received and shutdown.refusing:
                raise ServiceStopping(UNTOUCHED)
            call.awaits_body = not received
            message = await receive()
            call.awaits_body = False
            received = received or not message.get("more_body", False)
            return message

        async def send_part(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.started = True
                if shutdown.begun.is_set():
                    message["headers"] = [*message.get("headers", ()), CLOSE]
            await send(message)

        if shutdown.refusing and get_route_path(scope) not in PROBES:
            await problem_response(ServiceStopping(UNTOUCHED))(scope, receive, send_part)
            return
        scope["state"]["call"] = call
        with shutdown.track(call):
            try:
                await self._app(scope, receive_part, send_part)
            except asyncio.CancelledError:
                if not call.stopped:
                    raise
                task.uncancel()
                if not call.started:
                    await problem_response(ServiceStopping(_reason(call, scope)))(scope, receive, send_part)


def _reason(call: Call, scope: Scope) -> str:
    if call.awaits_body:
        return UNTOUCHED
    return UNCERTAIN if getattr(scope.get("route"), "required_level", None) in CHANGING else GIVEN_UP


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc: C0, DEL and C1
ABSOLUTE = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE)

VERSIONS = ("1.1", "1.0")
UNREADABLE = "unreadable"  # key in a request's state: the error that the server had when it parsed the request


class RequestValidationMiddleware:
    """A middleware that refuses, with a 400, requests that a proxy and this service could understand differently.

    If a request's target has scheme and host, the middleware replaces them by a path and a Host header. It passes HEAD
    on as GET; the HTTP server leaves the body of the answer out.
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
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET"}
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
