"""Requests as spans of OpenTelemetry, where `softkv[otel]` is installed: when, how long, and never what was asked."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from service.request_trace import RequestTrace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

FLUSH_SECONDS = 2.0  # what is not sent by then is lost: the service has to be gone
UNNAMED = "unknown_service"
QUIET = frozenset(("/livez", "/readyz", "/metrics"))  # asked every few seconds by machines


class TracingMissing(RuntimeError):
    """Traces were asked for, and the packages for them are not installed."""


class Tracing:
    """Makes a span of a request when it is answered, and in it one of each stage; other threads send them.

    A request that names a trace, by `traceparent`, becomes a part of it. A span has the method, the route, the status,
    the collection, how many documents that has, the request's id and the name of the key: no path, which has ids, no
    query, no header and no text.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith(UNNAMED):  # neither OTEL_SERVICE_NAME nor …_ATTRIBUTES
            resource = resource.merge(Resource({"service.name": "softkv"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("softkv")

    @classmethod
    def by_otlp(cls) -> Tracing:
        """Spans to where OTEL_EXPORTER_OTLP_ENDPOINT says, http://localhost:4318 by default.

        Raises:
            TracingMissing: the packages are not there.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise TracingMissing(
                f"SOFTKV_TRACES is otlp, and its packages are not here ({error}): pip install 'softkv[otel]'"
            ) from None
        return cls(OTLPSpanExporter())

    def tell(
        self,
        scope: Scope,
        route: str,
        status: int,
        request: RequestTrace,
        started: float,
        ended: float,
        said: dict[str, Any],
    ) -> None:
        """A request was answered; the instants are of `time.perf_counter`."""
        if route in QUIET:
            return
        from opentelemetry import trace
        from opentelemetry.semconv.attributes import http_attributes as http
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        zero = time.time_ns() - int(time.perf_counter() * 1e9)

        def at(instant: float) -> int:
            return zero + int(instant * 1e9)

        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        state, method = scope.get("state", {}), scope["method"]
        about = {
            http.HTTP_REQUEST_METHOD: method,
            http.HTTP_ROUTE: route,
            http.HTTP_RESPONSE_STATUS_CODE: status,
            "softkv.request_id": state.get("request_id"),
            "softkv.key": getattr(state.get("holder"), "name", None),
            "softkv.code": state.get("refused"),
            **{f"softkv.{name}": each for name, each in said.items()},
        }
        span = self._tracer.start_span(
            f"{method} {route}",
            context=TraceContextTextMapPropagator().extract(sent),
            kind=trace.SpanKind.SERVER,
            attributes={name: each for name, each in about.items() if each is not None},
            start_time=at(started),
        )
        if status // 100 == 5:
            span.set_status(trace.StatusCode.ERROR)
        within = trace.set_span_in_context(span)
        for name, timing in request.timings.items():
            times = {"softkv.times": timing.times, "softkv.seconds": timing.seconds}
            stage = self._tracer.start_span(name, context=within, attributes=times, start_time=at(timing.began))
            stage.end(at(timing.ended))
        span.end(at(ended))

    def close(self) -> None:
        """Send what waits, if that is quick; blocks."""
        ending = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)
