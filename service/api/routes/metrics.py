"""What the service does, in Prometheus' format."""

from __future__ import annotations

import asyncio
import math

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.api.problems.refusals import OPEN_TO_ALL
from service.api.routes.probes import readiness
from service.api.routing import GuardedRoute, requires
from service.api.state import Running, State
from service.api.telemetry.meters import Meters
from service.storage import Store

router = APIRouter(tags=["probes"], route_class=GuardedRoute, dependencies=[requires("none")], responses=OPEN_TO_ALL)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    response_description="The numbers, in Prometheus' text format.",
)
async def metrics(request: Request, running: Running) -> Response:
    """Requests by route and status, refusals, queues, stages, certificates, what is stored, and the room for it.

    No series is of a collection, a document or a caller. Those of slots are as many as the cluster has.
    """
    meters: Meters = request.app.state.meters
    for kind, taken in request.app.state.places.taken.items():
        meters.places.labels(kind).set(taken)
    keys = request.app.state.keyring.file
    meters.keys_file.set(keys is None or keys.flaw is None)
    encoder = running.catalogue.encoder
    meters.depth.labels("encode").set(0 if encoder is None else encoder.waiting)
    content = await asyncio.to_thread(_written, meters, running, request.app.state.draining.begun.is_set())
    return Response(content, media_type=CONTENT_TYPE_LATEST)


def _written(meters: Meters, running: State, draining: bool) -> bytes:
    collections = running.catalogue.collections()
    meters.collections.set(len(collections))
    meters.documents.set(sum(each.size for each in collections))
    meters.keys.set(sum(each.keys for each in collections))
    meters.depth.labels("scan").set(sum(each.lookups.waiting for each in collections))
    found = readiness(running)
    meters.ready.set(found.ready and not draining)
    meters.damaged.set(len(found.failed))
    if (shards := running.catalogue.shards()) is not None:
        meters.held(shards)
    _weigh(meters, running.catalogue.store)
    return generate_latest(meters.registry)


def _weigh(meters: Meters, store: Store) -> None:
    for part, size in store.sizes().items():
        meters.stored.labels(part).set(size)
    disk = store.disk()
    meters.disk.set(math.nan if disk is None else disk.total)
    meters.room.set(math.nan if disk is None else disk.free)
    meters.full.set(store.full)
