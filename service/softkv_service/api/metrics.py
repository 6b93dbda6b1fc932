"""The Prometheus metrics of a service, and the route `GET /metrics`."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from itertools import accumulate
from threading import Lock

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from softkv_service.api.keyring import Holder
from softkv_service.api.problems.table import OF_STATUS, OPEN_TO_ALL, TABLE
from softkv_service.api.routing import GuardedRoute, requires
from softkv_service.api.state import Running, State
from softkv_service.encoding import FAILURES, ProviderCounts
from softkv_service.request_trace import LOOKUP_PATHS, QUEUES, STAGES, LookupPath, Queue, Stage
from softkv_service.retrieval import RetrievalError
from softkv_service.retrieval.collections import ClusterStatus, Collection, QuestionTimes
from softkv_service.storage import Store
from softkv_service.storage.errors import StorageError

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Methods with a metric series of their own: callers may send any method, and a series is never removed."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
VARIATIONS = (1e-15, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)

OF_COLLECTION = {
    "questions": "Questions that a collection was asked.",
    "p99_seconds": "The seconds within which 99 of 100 of its calls were answered.",
    "memory_bytes": "Bytes of its keys, values and codes in memory.",
    "disk_bytes": "About how many bytes it takes in the database.",
    "keys": "Keys of its documents.",
}
"""The metrics of each collection, and what they say."""


class Families:
    """The metrics of one service, and what makes a family of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Return a new gauge."""
        return Gauge(f"softkv_{name}", text, labels, registry=self.registry)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Return a new counter."""
        return Counter(f"softkv_{name}", text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str, bounds: Sequence[float] = SECONDS) -> Histograms:
        """Return new histograms, one for each combination of labels."""
        histograms = Histograms(f"softkv_{name}", text, labels, bounds)
        self.registry.register(histograms)
        return histograms


class Meters:
    """The Prometheus metrics of one service. It is a `RequestListener`, called from any thread.

    Attributes:
        levels: the metrics that are set when they are read.
    """

    def __init__(self) -> None:
        families = Families()
        self.registry, self.levels = families.registry, Levels(families)
        counter, histogram = families.counter, families.histogram
        self.requests = counter("http_requests", "Requests answered.", "method", "route", "status")
        self.seconds = histogram("http_request_duration_seconds", "The duration of requests.", "method", "route")
        self._under_way = families.gauge("http_requests_in_progress", "Requests in progress.")
        self.refusals = counter("refusals", "Requests refused, by the code of the problem.", "code")
        self.slow = counter("slow_requests", "Requests that took longer than SOFTKV_SLOW_REQUEST_MS.")
        self.waits = histogram("queue_wait_seconds", "The time that a request waited for its turn.", "queue")
        self.sizes = histogram("batch_size", "Texts, or questions, in one batch.", "queue", bounds=SIZES)
        self.stages = histogram("stage_duration_seconds", "The duration of a stage, per batch.", "stage")
        self.texts = counter("encoder_texts", "Texts encoded.")
        self.tokens = counter("encoder_tokens", "Tokens read by the encoder.")
        self.variation = histogram(
            "certificate_total_variation",
            "Upper bounds of the total variation in certificates of answers.",
            "method",
            bounds=VARIATIONS,
        )
        self.lookups = counter("lookups", "Lookups of collections, by the thread that answered them.", "path")
        families.gauge("build_info", "The version.", "version").labels(version("softkv")).set(1)

        for code in (*TABLE, *OF_STATUS.values()):  # from the start, so that the first refusal is an increase
            self.refusals.labels(code)
        # Label lookups are cached, because they cost microseconds on every request.
        self._waits = {queue: self.waits.labels(queue) for queue in QUEUES}
        self._sizes = {queue: self.sizes.labels(queue) for queue in QUEUES}
        self._stages = {stage: self.stages.labels(stage) for stage in STAGES}
        self._lookup_paths = {path: self.lookups.labels(path) for path in LOOKUP_PATHS}
        self._series: dict[tuple[str, str, int], tuple[Counter, Observations]] = {}

    def begin_request(self) -> None:
        """Count a request that is in progress."""
        self._under_way.inc()

    def end_request(
        self, method: str, route: str, status: int, seconds: float | None, code: str | None, *, slow: bool
    ) -> None:
        """Count and time a request that was answered; for the arguments see `RequestListener`."""
        self._under_way.dec()
        requests, durations = self._series_of(method, route, status)
        requests.inc()
        if seconds is not None:
            durations.observe(seconds)
        if code is not None:
            self.refusals.labels(code).inc()
        if slow:
            self.slow.inc()

    def _series_of(self, method: str, route: str, status: int) -> tuple[Counter, Observations]:
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


class Levels:
    """The metrics of a service that are set when they are read: its queues, collections, servers and disk."""

    def __init__(self, families: Families) -> None:
        gauge = families.gauge
        self.taken_slots = gauge("places_taken", "Admission slots in use, by kind.", "kind")
        self.depth = gauge("queue_depth", "Items that wait: texts to encode, questions to scan for.", "queue")
        self._providers = ProviderMetrics()
        families.registry.register(self._providers)
        self.collections = gauge("collections", "Collections.")
        self.loaded = gauge("collections_loaded", "Collections whose keys are in memory.")
        self.documents = gauge("documents", "Documents that can be attended to, in all collections.")
        self.keys = gauge("document_keys", "Keys of all these documents.")
        self.by_collection = {
            name: gauge(
                f"collection_{name}", f"{text} The collections beyond the largest are together in `*`.", "collection"
            )
            for name, text in OF_COLLECTION.items()
        }
        self.shards = gauge("ranges", "Shards whose copies are all, partly or not at all ready.", "copies")
        self.server_shards = gauge("server_ranges", "Shards that a server holds.", "server")
        self.server_keys = gauge("server_keys", "Keys in these shards that can be attended to.", "server")
        self.server_lag = gauge("server_lag_versions", "Versions that a server is behind the store.", "server")
        self._servers = set[str]()
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


METRICS_TURN = Lock()
MAX_LABELLED = 100
"""Collections that have metrics of their own."""

router = APIRouter(tags=["probes"], route_class=GuardedRoute, dependencies=[requires("none")], responses=OPEN_TO_ALL)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    response_description="The metrics, in the text format of Prometheus.",
)
async def metrics(request: Request, running: Running) -> Response:
    """Return metrics: requests by route and status, refusals, queues, stages, certificates, stored bytes and free disk.

    The hundred collections with the most questions have series of their own, and the others together one. A caller that
    may not list all collections gets none of these. No metric is labelled with a document or a caller. Each shard
    server has series of its own.
    """
    meters: Meters = request.app.state.meters
    levels = meters.levels
    for kind, taken in request.app.state.admission.slots_in_use.items():
        levels.taken_slots.labels(kind).set(taken)
    keys = request.app.state.keyring.file
    levels.keys_file.set(keys is None or keys.flaw is None)
    levels.depth.labels("encode").set(running.catalogue.encoders.waiting)
    levels.set_providers(running.catalogue.encoders.provider_counts())
    # The metrics are of the whole service, also for a caller with a restricted key.
    parts = request.app.state.parts
    holder: Holder = request.state.holder
    may_list = holder.level != "none" and not holder.prefixes and holder.restriction is None
    draining = request.app.state.shutdown.begun.is_set()
    content = await asyncio.to_thread(_render_metrics, meters, parts, draining, by_collection=may_list)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


def _render_metrics(meters: Meters, running: State, draining: bool, *, by_collection: bool) -> bytes:
    levels, collections = meters.levels, running.catalogue.collections()
    levels.collections.set(len(collections))
    levels.loaded.set(sum(collection.loaded for collection in collections))
    levels.documents.set(sum(collection.size for collection in collections))
    keys = {collection.name: collection.keys for collection in collections}
    levels.keys.set(sum(keys.values()))
    levels.depth.labels("scan").set(sum(collection.lookups.waiting for collection in collections))
    parts = running.readiness()
    levels.ready.set(parts.ready and not draining)
    levels.damaged.set(len(parts.failed))
    with suppress(StorageError):  # the number before stays
        levels.re_encoding.set(sum(status.documents - status.done for status in running.re_encodings.active()))
    if (shards := running.catalogue.shards()) is not None:
        levels.set_cluster(shards)
    _weigh(levels, running.catalogue.store)
    with METRICS_TURN:  # the series by collection are of one caller's answer
        levels.set_collections(_by_collection(collections, keys) if by_collection else {})
        return generate_latest(meters.registry)


def _by_collection(collections: Iterable[Collection], keys: Mapping[str, int]) -> dict[str, dict[str, float | None]]:
    """Return the metrics of the collections with the most questions, and of the rest under the label `*`.

    Collections without a question are not among the first. For the rest, disk bytes are not measured.

    Args:
        keys: the number of keys of each collection.
    """
    ordered = sorted(collections, key=lambda collection: (-collection.lookups.times.questions, collection.name))
    most_asked = [collection for collection in ordered[:MAX_LABELLED] if collection.lookups.times.questions]
    rest = ordered[len(most_asked) :]
    series = dict[str, dict[str, float | None]]()
    for collection in most_asked:
        with suppress(RetrievalError, StorageError):
            with collection.reading() as (record, reader):
                costs = collection.costs(record, reader)
            assert costs is not None  # the collections are those of the whole service
            series[collection.name] = asdict(costs) | {"keys": keys[collection.name]}
    if rest:
        series["*"] = {
            "questions": sum(collection.lookups.times.questions for collection in rest),
            "p99_seconds": QuestionTimes.p99(collection.lookups.times for collection in rest),
            "memory_bytes": sum(collection.memory_bytes or 0 for collection in rest),
            "keys": sum(keys[collection.name] for collection in rest),
        }
    return series


def _weigh(levels: Levels, store: Store) -> None:
    for part, size in store.sizes().items():
        levels.stored.labels(part).set(size)
    disk = store.disk()
    levels.disk.set(math.nan if disk is None else disk.total)
    levels.disk_free.set(math.nan if disk is None else disk.free)
    levels.full.set(store.full)
