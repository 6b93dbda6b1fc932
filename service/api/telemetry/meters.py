"""The numbers of a service: every series that /metrics has, each of a bounded number of labels."""

from __future__ import annotations

import math
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from service.api.problems.table import OF_STATUS, TABLE
from service.request_trace import QUEUES, STAGES, Queue, Stage
from service.retrieval.collections import ClusterStatus

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Those that have series of their own: a caller may call a method anything, and a series is never forgotten."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
VARIATIONS = (1e-15, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)


class Meters:
    """The numbers of one service; every app has its own. It hears of stages as a `Listener`, from any thread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def gauge(name: str, said: str, *labels: str) -> Gauge:
            return Gauge(f"softkv_{name}", said, labels, registry=registry)

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"softkv_{name}", said, labels, registry=registry)

        def histogram(name: str, said: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"softkv_{name}", said, labels, registry=registry, buckets=buckets)

        self.requests = counter("http_requests", "Requests answered.", "method", "route", "status")
        self.seconds = histogram("http_request_duration_seconds", "How long answers took.", "method", "route")
        self.under_way = gauge("http_requests_in_progress", "Requests being answered.")
        self.refusals = counter("refusals", "Requests refused, by the code of the problem.", "code")
        self.slow = counter("slow_requests", "Requests that took longer than SOFTKV_SLOW_MS.")
        self.places = gauge("places_taken", "Calls under way, by the kind of place.", "kind")

        self.depth = gauge("queue_depth", "What waits now: texts to encode, questions to scan for.", "queue")
        self.waits = histogram("queue_wait_seconds", "How long a request waited for its turn.", "queue")
        self.sizes = histogram("batch_size", "Texts, or questions, that ran together.", "queue", buckets=SIZES)
        self.stages = histogram("stage_duration_seconds", "How long a stage took, a batch at a time.", "stage")
        self.texts = counter("encoder_texts", "Texts that were encoded.")
        self.tokens = counter("encoder_tokens", "Tokens that the encoder read.")
        self.variation = histogram(
            "certificate_total_variation", "What certificates promise of answers.", "method", buckets=VARIATIONS
        )

        self.collections = gauge("collections", "Collections.")
        self.documents = gauge("documents", "Documents that can be attended to, in all collections.")
        self.keys = gauge("document_keys", "Keys that they have.")
        self.ranges = gauge("ranges", "Ranges of which all, fewer or none of the copies are ready.", "copies")
        self.slot_ranges = gauge("slot_ranges", "Ranges that a slot has ready.", "slot")
        self.slot_keys = gauge("slot_keys", "Keys that live in them.", "slot")
        self.slot_lag = gauge("slot_lag_versions", "Versions that a slot is behind the store.", "slot")
        self.stored = gauge("storage_bytes", "What is on the disk: the database, its log, other files.", "part")
        self.room = gauge("disk_free_bytes", "Room on the disk of the data directory.")
        self.disk = gauge("disk_size_bytes", "Size of that disk.")
        self.full = gauge("disk_full", "1 where the last write was refused for want of room.")
        self.ready = gauge("ready", "1 where /readyz says so.")
        self.damaged = gauge("damage", "What /readyz names as failed: collections, the file, an encoder.")
        self.keys_file = gauge("keys_file_usable", "0 where the file of keys cannot be read anew, so older ones stay.")
        gauge("build_info", "The version.", "version").labels(version("softkv")).set(1)

        for code in (*TABLE, *OF_STATUS.values()):  # from the start, so that the first is an increase
            self.refusals.labels(code)
        # Looked for among the labels once: a question is a matter of microseconds.
        self._waits = {queue: self.waits.labels(queue) for queue in QUEUES}
        self._sizes = {queue: self.sizes.labels(queue) for queue in QUEUES}
        self._stages = {stage: self.stages.labels(stage) for stage in STAGES}
        self._slots = set[str]()
        self._found: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """The count and the times of such requests."""
        method = method if method in METHODS else "other"
        found = self._found.get((method, route, status))
        if found is None:
            found = self.requests.labels(method, route, status), self.seconds.labels(method, route)
            self._found[method, route, status] = found
        return found

    def record_wait(self, queue: Queue, seconds: float) -> None:
        """A request stood in a queue."""
        self._waits[queue].observe(seconds)

    def record_stage(self, stage: Stage, seconds: float, size: int) -> None:
        """A batch went through a stage."""
        self._stages[stage].observe(seconds)
        if stage == "encode":
            self.texts.inc(size)
        if stage in ("encode", "scan"):
            self._sizes[stage].observe(size)

    def record_tokens(self, tokens: int) -> None:
        """The encoder read so many tokens."""
        self.tokens.inc(tokens)

    def record_answer(self, method: str, total_variation: float) -> None:
        """A question was answered with such a certificate."""
        self.variation.labels(method).observe(total_variation)

    def held(self, shards: ClusterStatus) -> None:
        """Slots hold this now; what is not known is NaN, and slots that are gone have no series."""
        counts = {"all": shards.whole, "fewer": shards.fewer, "none": shards.unheld}
        for copies, count in counts.items():
            self.ranges.labels(copies).set(_known(count))
        for slot in shards.slots:
            self.slot_ranges.labels(slot.name).set(slot.ranges)
            self.slot_keys.labels(slot.name).set(_known(slot.keys))
            self.slot_lag.labels(slot.name).set(_known(slot.lag))
        there = {slot.name for slot in shards.slots}
        for gone in self._slots - there:
            for series in (self.slot_ranges, self.slot_keys, self.slot_lag):
                series.remove(gone)
        self._slots = there


def _known(count: int | None) -> float:
    return math.nan if count is None else count
