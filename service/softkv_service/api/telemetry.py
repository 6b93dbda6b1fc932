"""Telemetry: Prometheus metrics, OpenTelemetry spans, and the slowest requests."""

from __future__ import annotations

import heapq
import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from itertools import accumulate
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette._utils import get_route_path
from starlette.types import Scope

from softkv_service.api.problems.table import OF_STATUS, TABLE
from softkv_service.encoding import FAILURES, ProviderCounts
from softkv_service.request_trace import LOOKUP_PATHS, QUEUES, STAGES, LookupPath, Queue, RequestTrace, Stage
from softkv_service.retrieval.collections import ClusterStatus

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler


METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Methods with a metric series of their own: callers may send any method, and a series is never removed."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
VARIATIONS = (1e-15, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)


class Meters:
    """The Prometheus metrics of one service. It is a `Listener` of request traces, called from any thread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"softkv_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"softkv_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, label: str, *labels: str, bounds: Sequence[float] = SECONDS) -> Histograms:
            histograms = Histograms(f"softkv_{name}", text, (label, *labels), bounds)
            registry.register(histograms)
            return histograms

        self.requests = counter("http_requests", "Requests answered.", "method", "route", "status")
        self.seconds = histogram("http_request_duration_seconds", "The duration of requests.", "method", "route")
        self.under_way = gauge("http_requests_in_progress", "Requests in progress.")
        self.refusals = counter("refusals", "Requests refused, by the code of the problem.", "code")
        self.slow = counter("slow_requests", "Requests that took longer than SOFTKV_SLOW_REQUEST_MS.")
        self.taken_slots = gauge("places_taken", "Admission slots in use, by kind.", "kind")

        self.depth = gauge("queue_depth", "Items that wait: texts to encode, questions to scan for.", "queue")
        self.waits = histogram("queue_wait_seconds", "The time that a request waited for its turn.", "queue")
        self.sizes = histogram("batch_size", "Texts, or questions, in one batch.", "queue", bounds=SIZES)
        self.stages = histogram("stage_duration_seconds", "The duration of a stage, per batch.", "stage")
        self.texts = counter("encoder_texts", "Texts encoded.")
        self.tokens = counter("encoder_tokens", "Tokens read by the encoder.")
        self._providers = ProviderMetrics()
        registry.register(self._providers)
        self.variation = histogram(
            "certificate_total_variation",
            "Upper bounds of the total variation in certificates of answers.",
            "method",
            bounds=VARIATIONS,
        )

        self.lookups = counter("lookups", "Lookups of collections, by the thread that answered them.", "path")
        self.collections = gauge("collections", "Collections.")
        self.loaded = gauge("collections_loaded", "Collections whose keys are in memory.")
        self.documents = gauge("documents", "Documents that can be attended to, in all collections.")
        self.keys = gauge("document_keys", "Keys of all these documents.")
        self.by_collection = {
            name: gauge(
                f"collection_{name}", f"{text} The collections beyond the largest are together in `*`.", "collection"
            )
            for name, text in (
                ("questions", "Questions that a collection was asked."),
                ("p99_seconds", "The seconds within which 99 of 100 of its calls were answered."),
                ("memory_bytes", "Bytes of its keys, values and codes in memory."),
                ("disk_bytes", "About how many bytes it takes in the database."),
                ("keys", "Keys of its documents."),
            )
        }
        self.shards = gauge("ranges", "Shards whose copies are all, partly or not at all ready.", "copies")
        self.server_shards = gauge("server_ranges", "Shards that a server holds.", "server")
        self.server_keys = gauge("server_keys", "Keys in these shards that can be attended to.", "server")
        self.server_lag = gauge("server_lag_versions", "Versions that a server is behind the store.", "server")
        self.stored = gauge("storage_bytes", "Bytes on the disk: the database, its log, other files.", "part")
        self.disk_free = gauge("disk_free_bytes", "Free bytes on the disk of the data directory.")
        self.disk = gauge("disk_size_bytes", "Size of that disk.")
        self.full = gauge("disk_full", "1 if the last write was refused because the disk is full.")
        self.ready = gauge("ready", "1 if /readyz answers ready.")
        self.re_encoding = gauge(
            "re_encoding_documents_left", "Documents that jobs have still to encode with another encoder."
        )
        self.damaged = gauge("damage", "The number of failures in /readyz: collections, the file, an encoder.")
        self.keys_file = gauge(
            "keys_file_usable", "0 if the key file cannot be read again, so that the older keys stay valid."
        )
        gauge("build_info", "The version.", "version").labels(version("softkv")).set(1)

        for code in (*TABLE, *OF_STATUS.values()):  # from the start, so that the first refusal is an increase
            self.refusals.labels(code)
        # Label lookups are cached, because they cost microseconds on every request.
        self._waits = {queue: self.waits.labels(queue) for queue in QUEUES}
        self._sizes = {queue: self.sizes.labels(queue) for queue in QUEUES}
        self._stages = {stage: self.stages.labels(stage) for stage in STAGES}
        self._lookup_paths = {path: self.lookups.labels(path) for path in LOOKUP_PATHS}
        self._servers = set[str]()
        self._series: dict[tuple[str, str, int], tuple[Counter, Observations]] = {}

    def series_of(self, method: str, route: str, status: int) -> tuple[Counter, Observations]:
        """Return the counter and the histogram of requests with this method, route and status."""
        method = method if method in METHODS else "other"
        series = self._series.get((method, route, status))
        if series is None:
            series = self.requests.labels(method, route, status), self.seconds.labels(method, route)
            self._series[method, route, status] = series
        return series

    def record_wait(self, queue: Queue, seconds: float) -> None:
        """Record how long a request waited in a queue."""
        self._waits[queue].observe(seconds)

    def record_stage(self, stage: Stage, seconds: float, size: int) -> None:
        """Record how long a stage of processing took, and for how many items, such as texts or queries."""
        self._stages[stage].observe(seconds)
        if stage == "encode":
            self.texts.inc(size)
        if stage in ("encode", "scan"):
            self._sizes[stage].observe(size)

    def record_tokens(self, tokens: int) -> None:
        """Add to the count of tokens that the encoder has read."""
        self.tokens.inc(tokens)

    def record_answer(self, method: str, total_variation: float) -> None:
        """Record the proven error bound (total variation) of an answer, by the method that computed it."""
        self.variation.labels(method).observe(total_variation)

    def record_lookups(self, path: LookupPath, number: int) -> None:
        """Count the lookups of a batch, by the thread that answered them."""
        self._lookup_paths[path].inc(number)

    def set_cluster(self, shards: ClusterStatus) -> None:
        """Set the metrics of the shard servers. Unknown numbers are NaN, and removed servers get no series."""
        counts = {"all": shards.whole, "fewer": shards.fewer, "none": shards.unheld}
        for copies, count in counts.items():
            self.shards.labels(copies).set(_or_nan(count))
        for server in shards.servers:
            self.server_shards.labels(server.name).set(server.ranges)
            self.server_keys.labels(server.name).set(_or_nan(server.keys))
            self.server_lag.labels(server.name).set(_or_nan(server.lag))
        current = {server.name for server in shards.servers}
        for gone in self._servers - current:
            for series in (self.server_shards, self.server_keys, self.server_lag):
                series.remove(gone)
        self._servers = current

    def set_providers(self, counts: Mapping[str, ProviderCounts]) -> None:
        """Set the metrics of encoders behind a URL.

        Args:
            counts: the counts of each encoder's provider, by the encoder's name.
        """
        self._providers.counts = counts

    def set_collections(self, series: Mapping[str, Mapping[str, float | None]]) -> None:
        """Set the metrics of collections, and remove those of others.

        Args:
            series: for each label of `by_collection` its values by metric; those that are unknown are None.
        """
        for name, gauge in self.by_collection.items():
            gauge.clear()
            for label, values in series.items():
                if name in values:
                    gauge.labels(label).set(_or_nan(values[name]))


class Observations:
    """The number of observed values up to each bound, and their sum; threads may add to it.

    prometheus_client's own histogram takes several times as long for each value, and a request has six.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, value: float) -> None:
        """Count a value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def read(self) -> tuple[list[int], float]:
        """Return how many values were at most each bound, then how many there were, and their sum."""
        with self._lock:
            return list(accumulate(self._counts)), self._sum


class Histograms(Collector):
    """The histograms of one metric, by the values of its labels.

    Args:
        name: the name of the metric.
        text: its description.
        names: the names of its labels.
        bounds: the upper bounds of its buckets, ascending.
    """

    def __init__(self, name: str, text: str, names: Sequence[str], bounds: Sequence[float]) -> None:
        self._about = name, text
        self._names, self._bounds = names, bounds
        self._series: dict[tuple[str, ...], Observations] = {}

    def labels(self, *values: str) -> Observations:
        """Return the observations of the series with these labels."""
        series = self._series.get(values)
        return self._series.setdefault(values, Observations(self._bounds)) if series is None else series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the metric with its series."""
        family = HistogramMetricFamily(*self._about, labels=self._names)
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for values, series in list(self._series.items()):
            counts, total = series.read()
            family.add_metric(values, list(zip(bounds, counts, strict=True)), total)
        yield family


class ProviderMetrics(Collector):
    """The metrics of the providers of encoders, which count by themselves.

    Attributes:
        counts: the counts of each encoder's provider, by the encoder's name.
    """

    def __init__(self) -> None:
        self.counts: Mapping[str, ProviderCounts] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield a family of counters for each kind of event."""

        def family(name: str, text: str, *labels: str) -> CounterMetricFamily:
            return CounterMetricFamily(f"softkv_provider_{name}", text, labels=("encoder", *labels))

        requests = family("requests", "HTTP requests to the provider of an encoder, repetitions included.")
        repeats = family("repeats", "Requests to the provider that repeated a failed one.")
        failures = family("failures", "Batches that the provider failed to encode in the end, by reason.", "reason")
        tokens = family("tokens", "Tokens that the provider counted.")
        for encoder, counts in self.counts.items():
            requests.add_metric([encoder], counts.requests)
            repeats.add_metric([encoder], counts.repeats)
            tokens.add_metric([encoder], counts.tokens)
            for reason in FAILURES:  # from the start, so that the first failure is an increase
                failures.add_metric([encoder, reason], counts.failures[reason])
        yield from (requests, repeats, failures, tokens)


def _or_nan(count: float | None) -> float:
    return math.nan if count is None else count


FLUSH_SECONDS = 2.0  # spans not sent by then are lost
UNNAMED = "unknown_service"
QUIET = frozenset(("/livez", "/readyz", "/metrics"))  # polled every few seconds
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
            tracing=True, tracer_provider=self._provider, exclude=lambda scope: get_route_path(scope) in QUIET
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
        if get_route_path(scope) in QUIET or not span.is_recording():  # it has no span, or one that is not sampled
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
