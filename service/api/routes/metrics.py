"""What the service does, in Prometheus' format."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems.refusals import OPEN_TO_ALL
from service.api.routing import GuardedRoute, requires
from service.api.state import Running

router = APIRouter(tags=["probes"], route_class=GuardedRoute, dependencies=[requires("none")], responses=OPEN_TO_ALL)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Those that have series of their own: a caller may call a method anything, and a series is never forgotten."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Meters:
    """The numbers of one service; every app has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        by_call = ("method", "path", "status")
        self.requests = Counter("softkv_requests", "Requests answered.", by_call, registry=self.registry)
        self.seconds = Histogram(
            "softkv_request_seconds",
            "How long answers took.",
            ("method", "path"),
            registry=self.registry,
            buckets=SECONDS,
        )
        self.under_way = Gauge("softkv_requests_under_way", "Requests being answered.", registry=self.registry)
        self.places = Gauge(
            "softkv_places_taken", "Calls under way, by the kind of place.", ("kind",), registry=self.registry
        )
        self.full = Gauge(
            "softkv_disk_full", "1 where the last write was refused for want of room.", registry=self.registry
        )
        self.free = Gauge("softkv_disk_free_bytes", "Room that is left in the data directory.", registry=self.registry)
        self.collections = Gauge("softkv_collections", "Collections.", registry=self.registry)
        self.documents = Gauge("softkv_documents", "Documents in all collections.", registry=self.registry)
        self.waiting = Gauge("softkv_encoder_waiting_texts", "Texts that wait for the encoder.", registry=self.registry)
        self._found: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def of(self, method: str, path: str, status: int) -> tuple[Counter, Histogram]:
        """The count and the times of such requests, which are looked for among the labels once."""
        found = self._found.get((method, path, status))
        if found is None:
            found = self.requests.labels(method, path, status), self.seconds.labels(method, path)
            self._found[method, path, status] = found
        return found


class Metered:
    """Counts and times requests by the route they took, so that ids and names make no series of their own."""

    def __init__(self, app: ASGIApp, *, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._meters.under_way.track_inprogress():
            try:
                await self._app(scope, receive, watched)
            finally:
                method = scope["method"] if scope["method"] in METHODS else "other"
                requests, seconds = self._meters.of(method, _route(scope), status)
                requests.inc()
                seconds.observe(time.perf_counter() - started)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "other"


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    response_description="The numbers, in Prometheus' text format.",
)
async def metrics(request: Request, running: Running) -> Response:
    """Requests by route and status, their times, places taken by kind, documents, and how many texts wait."""
    meters: Meters = request.app.state.meters
    for kind, taken in request.app.state.places.taken.items():
        meters.places.labels(kind).set(taken)
    catalogue = running.catalogue
    meters.full.set(catalogue.store.full)
    meters.free.set(catalogue.store.free)
    meters.collections.set(len(catalogue.collections()))
    meters.documents.set(sum(collection.size for collection in catalogue.collections()))
    meters.waiting.set(0 if catalogue.encoder is None else catalogue.encoder.waiting)
    return Response(await asyncio.to_thread(generate_latest, meters.registry), media_type=CONTENT_TYPE_LATEST)
