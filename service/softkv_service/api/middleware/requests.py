"""The life of a request, in one layer around all routes: its id and log line, its time for metrics and spans, its end
at a shutdown, checks for ambiguous requests, its caller, and the limit of its body.

Layers of their own for these would take several times the time of a short call.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from softkv_service.api.access_log import AccessLog
from softkv_service.api.body import BodyLimits
from softkv_service.api.keyring import CHANGING, Holder
from softkv_service.api.middleware.access import ANONYMOUS, AccessCheck, answer_origins
from softkv_service.api.middleware.access_record import AccessRecordMiddleware
from softkv_service.api.paths import PROBES, is_call, route_path
from softkv_service.api.problems.errors import (
    AmbiguousLength,
    APIError,
    MalformedHost,
    MalformedPath,
    MalformedRequest,
    ServiceStopping,
)
from softkv_service.api.problems.handlers import Handlers, answer_error, problem_response
from softkv_service.api.shutdown import Call, Shutdown
from softkv_service.api.telemetry import RequestListener, SlowRequest, SlowRequests, Tracing
from softkv_service.logs import bound_fields, log
from softkv_service.request_trace import RequestTrace

EVENT_STREAM = "text/event-stream"
ACCEPTABLE = re.compile(r"[!-~]{1,128}")
NO_STORE = "no-store"
"""The Cache-Control of every answer that has none of its own. A cache could otherwise send it to a caller without the
key: RFC 9111, section 3.5 protects only answers to `Authorization`."""
HEADERS = {"Cache-Control": NO_STORE, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# The last three directives do not fall back to the first.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "


UNKNOWN_CAUSE = "no stage took part of the time: the process was busy, or the caller sent or read slowly"
"""The cause of a slow request that has no stages, if the service loads nothing meanwhile."""


@dataclass(frozen=True)
class Telemetry:
    """The observations of each request: metrics, spans, and the slow requests.

    Ids and names in a path create no metrics or spans of their own.

    Attributes:
        listener: counts and times requests and their stages.
        slow: the slow requests, which are also logged with the time of each stage, never with their content.
        loading: returns what the service loads in the background, which keeps its process busy.
        tracing: records spans; None for no spans.
    """

    listener: RequestListener
    slow: SlowRequests
    loading: Callable[[], list[str]]
    tracing: Tracing | None

    def report(
        self, scope: Scope, trace: RequestTrace, status: int, started: float, ended: float, *, lasts: bool
    ) -> None:
        """Count and time a request that was answered, and log it if it was slow.

        Args:
            scope: its ASGI scope.
            trace: the trace of its stages.
            status: the status of its response.
            started, ended: in seconds of `time.perf_counter`.
            lasts: whether it is an event stream, which lasts as long as its client listens.
        """
        state = scope["state"]
        route = route_of(scope)
        seconds = None if lasts else ended - started
        is_slow = seconds is not None and self.slow.is_slow(seconds)
        self.listener.end_request(scope["method"], route, status, seconds, state.get("refused"), slow=is_slow)
        if is_slow:
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
            self.slow.add(slow)
            _log_slow(scope, slow, trace, self.loading())


class RequestMiddleware:
    """The layer around all routes, which every request passes once.

    The request's state gets `request_id`, `call` (see `Call`), `path` (see `route_path`), `holder` and `caller` (see
    `AccessCheck`), and `body_limit`, `admission` and `heavy_turn` (see `BodyLimits`). A route with a direct call is
    called from here, all others by the application.

    The id of a request comes from its X-Request-ID, or is random. It is returned to the client, and is in each log line
    about the request.

    Args:
        app: the application with its routes, and with its answers to errors.
        find_route: returns the route of a request at a path if that needs nothing of the application, else None.
        handlers: the application's answers to errors.
        access: finds the caller, and refuses unknown ones.
        access_log: gets a line for each change; None without it.
        cors_origins: the origins whose pages may call the service.
        frame_ancestors: origins that may show this service's pages in a frame, as in a Content-Security-Policy.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        find_route: Callable[[Scope, str], BaseRoute | None],
        handlers: Handlers,
        telemetry: Telemetry,
        shutdown: Shutdown,
        access: AccessCheck,
        bodies: BodyLimits,
        access_log: AccessLog | None,
        cors_origins: Sequence[str],
        frame_ancestors: str,
    ) -> None:
        self._app = app
        self._find_route = find_route
        self._handlers = handlers
        self._telemetry = telemetry
        self._shutdown = shutdown
        self._access = access
        self._bodies = bodies
        recorded = self._answer if access_log is None else AccessRecordMiddleware(self._answer, log=access_log)
        self._inner = answer_origins(recorded, cors_origins)
        headers = HEADERS | {"Content-Security-Policy": POLICY + frame_ancestors}
        self._headers = [(name.lower().encode(), content.encode()) for name, content in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, log it, and report its counts and times; an ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, state, status, lasts = time.perf_counter(), scope.setdefault("state", {}), 500, False
        sent_id = Headers(scope=scope).get("x-request-id")
        identifier = sent_id if sent_id is not None and ACCEPTABLE.fullmatch(sent_id) else token_hex(16)
        state["request_id"] = identifier
        telemetry, trace = self._telemetry, RequestTrace(self._telemetry.listener)
        tracing = telemetry.tracing

        def complete_span() -> None:
            nonlocal tracing
            if tracing is not None:
                tracing.complete(scope, trace, _details(scope, trace))
                tracing = None

        async def send_and_watch(message: Message) -> None:
            nonlocal status, lasts
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                names = dict(headers)
                lasts = names.get(b"content-type", b"").startswith(EVENT_STREAM.encode())
                defaults = (header for header in self._headers if header[0] not in names)
                message["headers"] = [*headers, *defaults, (b"x-request-id", identifier.encode())]
            elif not message.get("more_body", False):
                complete_span()  # FastAPI ends it when this message is sent
            await send(message)

        telemetry.listener.begin_request()
        with bound_fields(request_id=identifier):
            try:
                with trace:
                    await self._inner(scope, receive, send_and_watch)
            finally:
                complete_span()  # if the answer broke off
                ended = time.perf_counter()
                telemetry.report(scope, trace, status, started, ended, lasts=lasts)
                _log(scope, status, ended - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Track a call and answer it, or refuse it if the shutdown refuses new calls; an ASGI call."""
        task, shutdown, received = asyncio.current_task(), self._shutdown, False
        assert task is not None
        call = scope["state"]["call"] = Call(task)

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

        if shutdown.refusing and route_path(scope) not in PROBES:
            await problem_response(ServiceStopping(UNTOUCHED))(scope, receive, send_part)
            return
        shutdown.add(call)
        try:
            await self._answer_caller(scope, receive_part, send_part)
        except asyncio.CancelledError:
            if not call.stopped:
                raise
            task.uncancel()
            if not call.started:
                await problem_response(ServiceStopping(_reason(call, scope)))(scope, receive, send_part)
        finally:
            shutdown.remove(call)

    async def _answer_caller(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or refuse it if it is ambiguous or its caller is not admitted; an ASGI call."""
        try:
            require_unambiguous(scope)
            headers, path = Headers(scope=scope), route_path(scope)
            scope["state"]["path"] = path
            self._access.check(scope, headers, needs_key=is_call(path) and scope["method"] != "OPTIONS")
            limit = self._bodies.limit(scope, receive, headers)
        except APIError as refusal:
            await problem_response(refusal)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        route = self._find_route(scope, path)
        if route is None:
            await self._app(scope, limit.receive, send)
            return
        try:
            await route.handle(scope, limit.receive, send)
        except Exception as error:
            await answer_error(self._handlers, error, scope, limit.receive, send)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Log a request that was answered."""
    state, client = scope["state"], scope.get("client")
    write, holder = log.debug if state.get("path") in PROBES else log.info, state.get("holder")
    # Only a caller without a valid key is logged with its address, so that a firewall can keep it out.
    address = {"client": client[0]} if status == HTTPStatus.UNAUTHORIZED and client else {}
    write(
        "request",
        **address,
        **({} if holder is None or holder.name == ANONYMOUS else {"key": holder.name}),
        method=scope["method"],
        path=scope["path"],
        status=status,
        took_ms=round(seconds * 1e3, 2),
    )


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


def _reason(call: Call, scope: Scope) -> str:
    if call.awaits_body:
        return UNTOUCHED
    return UNCERTAIN if getattr(scope.get("route"), "required_level", None) in CHANGING else GIVEN_UP


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc: C0, DEL and C1
ABSOLUTE = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE)

VERSIONS = ("1.1", "1.0")
UNREADABLE = "unreadable"  # key in a request's state: the error that the server had when it parsed the request


def require_unambiguous(scope: Scope) -> None:
    """Refuse a request that a proxy and this service could understand differently.

    If its target has scheme and host, they are replaced by a path and a Host header.

    Raises:
        APIError: the request is ambiguous.
    """
    if (unreadable := scope["state"].get(UNREADABLE)) is not None:
        raise unreadable
    _to_origin_form(scope)
    _check_version(scope["http_version"])
    _check_path(scope["path"], scope.get("raw_path") or b"")
    _check_length(Headers(scope=scope), scope["http_version"])


def _to_origin_form(scope: Scope) -> None:
    """Replace a target `http://host/path` by a path and a Host header (RFC 9112, 3.2.2).

    The header replaces the one that was sent.

    Raises:
        MalformedHost: the target has no host.
    """
    target = scope.get("raw_path") or b""
    absolute = None if target.startswith(b"/") else ABSOLUTE.fullmatch(target)
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
    if b"%" not in raw and raw.isascii():
        return
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
