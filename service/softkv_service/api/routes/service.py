"""The service itself: its limits, its health probes and its slow requests."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from softkv.answers.service import Liveness, Readiness, ServiceInfo, SlowRequestList
from softkv.questions import MAX_GROUP_DOCUMENTS, MAX_GROUPS, MAX_READS, MAX_TEMPERATURES, MAX_TOP_K
from softkv_service.api.json import JSONAnswer
from softkv_service.api.problems.table import OPEN_TO_ALL
from softkv_service.api.routes import idempotency
from softkv_service.api.routes.encode import max_texts
from softkv_service.api.routing import JSONRoute, json_router, requires
from softkv_service.api.state import Running, State
from softkv_service.api.telemetry import SlowRequests
from softkv_service.kernels import running_kernels
from softkv_service.retrieval.documents import MAX_KEYS
from softkv_service.retrieval.labels import MAX_LABELS
from softkv_service.retrieval.queries import (
    MAX_ANSWER_GROUPS,
    MAX_CHARACTERS,
    MAX_LOGITS,
    MAX_MATCHES,
    MAX_NUMBERS,
    MAX_REQUEST_PARTS,
    MAX_SENTENCES,
    MAX_TOKENS_WITHOUT_HEADS,
)
from softkv_service.scheduling import READS
from softkv_service.schemas import wire
from softkv_service.schemas.attention import MAX_HOPFIELD_STEPS
from softkv_service.schemas.collection import MAX_FIELDS, MAX_VALUES
from softkv_service.schemas.compare import MAX_ROWS
from softkv_service.schemas.encode import MAX_NAMED
from softkv_service.schemas.feedback import MAX_QUESTION
from softkv_service.schemas.openai import MOST_INPUTS
from softkv_service.schemas.query import MAX_PARTS
from softkv_service.schemas.rerank import MAX_PAIRS, MAX_QUERY, MAX_SCORED
from softkv_service.schemas.vector import MAX_WIDTH
from softkv_service.storage.conditions import MAX_COMPARED_FIELDS, MAX_DEPTH, MAX_OPERANDS

probes_router = APIRouter(
    tags=["probes"], route_class=JSONRoute, dependencies=[requires("none")], responses=OPEN_TO_ALL
)


OF_ROOMS = ("rooms", "room_rows", "room_bytes", "room_characters", "room_listeners", "room_seconds")
"""Limits of rooms, which are 0 if no installed distribution has rooms."""


@probes_router.get(
    "/livez", response_model=Liveness, response_description="The process answers.", summary="The process answers"
)
async def livez() -> Response:
    """Answer 200 as long as the process runs."""
    return JSONAnswer({"status": "alive"})


@probes_router.get(
    "/readyz",
    response_model=Readiness,
    response_description="Everything is loaded.",
    responses={
        503: {
            "model": Readiness,
            "description": "A part is still loading or has failed, or the service is shutting down.",
        }
    },
    summary="Everything is loaded",
)
async def readyz(request: Request, running: Running) -> Response:
    """Answer 503 while the encoder, a collection or a demo collection is loading.

    Calls are answered meanwhile. The answer becomes 200 when a first call takes no longer than later ones. It is also
    503 if reads are unreliable: a collection could not be read, or a document is damaged on disk. And it is 503,
    `draining`, after the service got the signal to stop. It still answers calls for a moment, but clients should use
    another service.
    """
    parts = await asyncio.to_thread(running.readiness)
    draining = request.app.state.shutdown.begun.is_set()
    status = "draining" if draining else "ready" if parts.ready else "loading" if parts.loading else "failed"
    content = {
        "status": status,
        "loading": parts.loading,
        "failed": parts.failed,
        "kernels": running_kernels(),
    }
    return JSONAnswer(content, status_code=200 if status == "ready" else 503)


router = json_router("/v1", "service", "read", "nothing", "nothing")


def limits_of(running: State) -> dict[str, int]:
    """Return the limits of requests by their names, which `softkv.answers.service.Limits` explains."""
    return {
        "body_bytes": running.max_body_bytes,
        "requests_at_once": running.max_queue,
        "calibrate_questions": MAX_LABELS,
        "documents": wire.MAX_DOCUMENTS,
        "queries": wire.MAX_QUERIES,
        "temperatures": MAX_TEMPERATURES,
        "top_k": MAX_TOP_K,
        "answer_matches": MAX_MATCHES,
        "query_parts": MAX_PARTS,
        "request_parts": MAX_REQUEST_PARTS,
        "read_fields": MAX_READS,
        "groups": MAX_GROUPS,
        "group_documents": MAX_GROUP_DOCUMENTS,
        "answer_groups": MAX_ANSWER_GROUPS,
        "sweep_weights": wire.MAX_SWEPT_WEIGHTS,
        "page": wire.MAX_PAGE,
        "document_keys": MAX_KEYS,
        "feedback_characters": MAX_QUESTION,
        "rows": MAX_ROWS,
        "highlight_sentences": MAX_SENTENCES,
        "filter_depth": MAX_DEPTH,
        "filter_values": MAX_OPERANDS,
        "filter_fields": MAX_COMPARED_FIELDS,
        "fields": MAX_FIELDS,
        "field_values": MAX_VALUES,
        "encode_texts": max_texts(tokens=False),
        "encode_texts_with_tokens": max_texts(tokens=True),
        "embeddings_inputs": MOST_INPUTS,
        "rerank_documents": MAX_PAIRS,
        "rerank_query_characters": MAX_QUERY,
        "score_characters": MAX_SCORED,
        "trace_characters": MAX_CHARACTERS,
        "trace_layers": MAX_NAMED,
        "trace_numbers": MAX_NUMBERS,
        "trace_without_head_tokens": MAX_TOKENS_WITHOUT_HEADS,
        "logits": MAX_LOGITS,
        "hopfield_steps": MAX_HOPFIELD_STEPS,
        "vector_width": MAX_WIDTH,
        "id_characters": wire.MAX_ID,
        "name_characters": wire.MAX_NAME,
        "idempotency_key_characters": idempotency.MAX_KEY,
        "idempotency_hours": idempotency.HOURS,
        "json_depth": wire.MAX_DEPTH,
        **dict.fromkeys(OF_ROOMS, 0),
        **{name: limit for state in running.added.values() for name, limit in state.limits().items()},
    }


@router.get(
    "",
    response_model=ServiceInfo,
    response_description="The service and its limits.",
    summary="The service and its limits",
)
async def get_service(request: Request, running: Running) -> Response:
    """Return facts about the service: version, encoder, limits of a request, and the shard servers.

    Also return whether calls need an API key. Shard servers are processes that hold the documents' keys in memory;
    `shards` is null if the service holds them itself.
    """
    encoder = running.catalogue.encoders.default
    shards = await READS.run(running.catalogue.shards)
    return JSONAnswer(
        {
            "version": request.app.version,
            "encoder": None if encoder is None else encoder.name,
            "keys_required": running.keys_required,
            "limits": limits_of(running),
            "shards": None if shards is None else asdict(shards),
        }
    )


slow_router = json_router("/v1/service", "service", "read", "everything", "whole")


@slow_router.get(
    "/slow",
    response_model=SlowRequestList,
    response_description="The slowest requests, the slowest first.",
    summary="The slowest requests",
)
async def list_slow_requests(request: Request) -> Response:
    """List the slowest requests since the start, at most 100, without their content.

    Only keys for all collections may read it, because it names collections.
    """
    slow: SlowRequests = request.app.state.slow_requests
    requests = [asdict(one) | {"at": one.at.isoformat(timespec="milliseconds")} for one in slow]
    return JSONAnswer({"threshold_ms": slow.threshold_ms, "requests": requests})
