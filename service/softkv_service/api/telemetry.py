"""Telemetry: what listens to requests, OpenTelemetry spans, and the slowest requests."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from fastapi.telemetry import TelemetryConfig
from starlette.types import Scope

from softkv_service.api.paths import PROBES, route_path
from softkv_service.request_trace import Listener, NullListener, RequestTrace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler


class RequestListener(Listener, Protocol):
    """Receives the beginning and the end of each request, too."""

    def begin_request(self) -> None:
        """Record that a request has begun."""

    def end_request(
        self, method: str, route: str, status: int, seconds: float | None, code: str | None, *, slow: bool
    ) -> None:
        """Record a request that was answered.

        Args:
            method, route, status: its method, the path template of its route, and the status of its answer.
            seconds: how long it took; None for an event stream, which lasts as long as its client listens.
            code: the code of the problem for which it was refused, or None.
            slow: whether it is among the slow requests.
        """


class NullRequestListener(NullListener):
    """A listener that ignores every event."""

    def begin_request(self) -> None:
        """Ignore the event."""

    def end_request(
        self, method: str, route: str, status: int, seconds: float | None, code: str | None, *, slow: bool
    ) -> None:
        """Ignore the event."""


FLUSH_SECONDS = 2.0  # spans not sent by then are lost
UNNAMED = "unknown_service"
KEPT = frozenset(("http.request.method", "network.protocol.version", "softkv.seconds", "softkv.times", "url.scheme"))
"""The attributes that a span may have from its start. FastAPI adds the route, the status and the type of an error."""
# FastAPI's other telemetry would send the messages of exceptions, and spans for each call of a dependency.
NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)


class TracingMissing(RuntimeError):
    """Tracing is enabled, but its packages are not installed."""


class Tracing:
    """The tracer of FastAPI's spans, one per request, with a child span per stage. Other threads send them.

    FastAPI starts the span before all middleware, so it is the active span while the request is processed. A request
    with `traceparent` joins that trace. A span has the method, the route, the status, the collection and its size, the
    id of the request and the name of the key. It has no path, query, header or text, because `KEPT` lists what it has.

    Attributes:
        config: the argument `telemetry` of FastAPI.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith(UNNAMED):  # neither OTEL_SERVICE_NAME nor …_ATTRIBUTES
            resource = resource.merge(Resource({"service.name": "softkv"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.sampler = _keep_known_attributes(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("softkv")
        self.config = NO_TELEMETRY | TelemetryConfig(
            tracing=True, tracer_provider=self._provider, exclude=lambda scope: route_path(scope) in PROBES
        )

    @classmethod
    def with_otlp(cls) -> Tracing:
        """Send spans to OTEL_EXPORTER_OTLP_ENDPOINT, by default http://localhost:4318.

        Raises:
            TracingMissing: the packages are not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise TracingMissing(
                f"SOFTKV_TRACES is otlp, and its packages are not here ({error}): run `pip install opentelemetry-sdk "
                "opentelemetry-exporter-otlp-proto-http`"
            ) from None
        return cls(OTLPSpanExporter())

    def complete(self, scope: Scope, request: RequestTrace, details: dict[str, Any]) -> None:
        """Complete the span of the current request before it ends: add attributes, and its stages as children.

        Args:
            scope: its ASGI scope.
            request: the trace of its stages.
            details: further attributes.
        """
        from opentelemetry import trace

        span = trace.get_current_span()
        if route_path(scope) in PROBES or not span.is_recording():  # it has no span, or one that is not sampled
            return
        state = scope.get("state", {})
        about = {
            "request_id": state.get("request_id"),
            "key": getattr(state.get("holder"), "name", None),
            "code": state.get("refused"),
            **details,
        }
        span.set_attributes({f"softkv.{name}": value for name, value in about.items() if value is not None})
        zero = time.time_ns() - int(time.perf_counter() * 1e9)
        for name, timing in request.timings.items():
            times = {"softkv.times": timing.times, "softkv.seconds": timing.seconds}
            stage = self._tracer.start_span(name, attributes=times, start_time=zero + int(timing.began * 1e9))
            stage.end(zero + int(timing.ended * 1e9))

    def close(self) -> None:
        """Send the remaining spans, for at most FLUSH_SECONDS; blocks."""
        ending = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


def _keep_known_attributes(sampler: Sampler) -> Sampler:
    """Return a sampler that decides as another one does, and drops attributes of new spans that `KEPT` does not list.

    A span starts with the attributes that its sampler returns. A processor or an exporter cannot remove attributes.
    """
    from opentelemetry.sdk.trace import sampling

    class KnownAttributes(sampling.Sampler):
        def should_sample(self, *arguments: Any, **named: Any) -> sampling.SamplingResult:
            result = sampler.should_sample(*arguments, **named)
            attributes = {name: value for name, value in result.attributes.items() if name in KEPT}
            return sampling.SamplingResult(result.decision, attributes, result.trace_state)

        def get_description(self) -> str:
            return sampler.get_description()

    return KnownAttributes()


@dataclass(frozen=True, order=True)
class SlowRequest:
    """A request that took longer than `SOFTKV_SLOW_REQUEST_MS`, without its path and content. The shorter sorts first.

    Attributes:
        took_ms: the milliseconds that it took.
        at: the time at which it ended.
        stages_ms: the milliseconds that it spent in each stage.
        collection: the collection that its path names.
    """

    took_ms: float
    at: datetime
    method: str = field(compare=False)
    route: str = field(compare=False)
    status: int = field(compare=False)
    stages_ms: dict[str, float] = field(compare=False)
    collection: str | None = field(compare=False)
    request_id: str | None = field(compare=False)


class SlowRequests:
    """The slowest requests since the start, at most 100 of them.

    Args:
        threshold_ms: requests that take longer are slow; 0 for none.
    """

    def __init__(self, threshold_ms: float) -> None:
        self.threshold_ms = threshold_ms
        self._heap: list[SlowRequest] = []

    def __iter__(self) -> Iterator[SlowRequest]:
        """Iterate over the requests, the slowest first."""
        return iter(sorted(self._heap, reverse=True))

    def is_slow(self, seconds: float) -> bool:
        """Return whether a request that took so long is slow."""
        return 0 < self.threshold_ms < seconds * 1e3

    def add(self, request: SlowRequest) -> None:
        """Keep a request if it is among the slowest."""
        if len(self._heap) < MAX_SLOW:
            heapq.heappush(self._heap, request)
        else:
            heapq.heappushpop(self._heap, request)


MAX_SLOW = 100
