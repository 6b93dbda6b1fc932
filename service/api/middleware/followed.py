"""How each request went: counted, timed, traced, and told of where it was slow."""

from __future__ import annotations

import time
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.events import MEDIA_TYPE
from service.api.keyring import Holder
from service.api.telemetry.meters import Meters
from service.api.telemetry.tracing import Tracing
from service.request_trace import RequestTrace, use_trace

log = structlog.get_logger("softkv")


class Followed:
    """Follows requests by the route they took, so that ids and names make no series and no span of their own.

    Args:
        slow_ms: a request that takes longer is a line of the log: where its time went, and never what was asked.
        tracing: makes spans of it; None for none.
    """

    def __init__(self, app: ASGIApp, *, meters: Meters, slow_ms: float, tracing: Tracing | None) -> None:
        self._app = app
        self._meters = meters
        self._slow_ms = slow_ms
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace, started, status, lasts = RequestTrace(self._meters), time.perf_counter(), 500, False

        async def watched(message: Message) -> None:
            nonlocal status, lasts
            if message["type"] == "http.response.start":
                status = message["status"]
                lasts = Headers(raw=message.get("headers", [])).get("content-type", "").startswith(MEDIA_TYPE)
            await send(message)

        with self._meters.under_way.track_inprogress():
            try:
                with use_trace(trace):
                    await self._app(scope, receive, watched)
            finally:
                self._tell(scope, trace, status, started, time.perf_counter(), lasts=lasts)

    def _tell(
        self, scope: Scope, trace: RequestTrace, status: int, started: float, ended: float, *, lasts: bool
    ) -> None:
        state = scope.get("state", {})
        route = route_of(scope)
        requests, seconds = self._meters.of(scope["method"], route, status)
        requests.inc()
        if not lasts:  # which is as long as somebody listened
            seconds.observe(ended - started)
        if (code := state.get("refused")) is not None:
            self._meters.refusals.labels(code).inc()
        about = {"collection": scope.get("path_params", {}).get("name"), "documents": trace.documents}
        said = {name: each for name, each in about.items() if each is not None}
        if not lasts and 0 < self._slow_ms < (ended - started) * 1e3:
            self._meters.slow.inc()
            _say_slow(scope, route, status, trace, ended - started, said)
        if self._tracing is not None:
            self._tracing.tell(scope, route, status, trace, started, ended, said)


def _say_slow(scope: Scope, route: str, status: int, trace: RequestTrace, seconds: float, said: dict[str, Any]) -> None:
    holder: Holder | None = scope.get("state", {}).get("holder")
    log.warning(
        "slow request",
        method=scope["method"],
        route=route,
        status=status,
        took_ms=round(seconds * 1e3, 2),
        stages_ms={name: round(timing.seconds * 1e3, 2) for name, timing in trace.timings.items()},
        **said,
        **({} if holder is None else {"key": holder.name}),
    )


def route_of(scope: Scope) -> str:
    """The path of the route that a request took, with the names of its parameters; `other` where it took none."""
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "other"
