"""What this service is, and how much it takes: each limit from the place that keeps it."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.routes import once
from service.api.routes.encode import most_texts
from service.api.routing import json_router
from service.api.state import Running, State
from service.retrieval.documents import MAX_KEYS
from service.retrieval.queries import MAX_CHARACTERS, MAX_LABELS, MAX_LOGITS, MAX_NUMBERS
from service.scheduling import READS
from service.schemas import wire
from service.schemas.attention import MAX_HOPFIELD_STEPS
from service.schemas.fields import MAX_FIELDS, MAX_VALUES
from service.schemas.lookup.compare import MAX_ROWS
from service.schemas.lookup.sweep import MAX_TEMPERATURES
from service.schemas.openai import MOST_INPUTS
from service.schemas.rooms.names import MAX_TEXT
from service.schemas.service import ServiceAnswer
from service.schemas.trace import MAX_NAMED
from service.schemas.vector import MAX_WIDTH
from service.storage import MAX_DEPTH, MAX_OPERANDS

router = json_router("/v1", "service", "read", "nothing")


def _limits(running: State) -> dict[str, int]:
    return {
        "body_bytes": running.max_body_bytes,
        "requests_at_once": running.max_queue,
        "calibrate_questions": MAX_LABELS,
        "documents": running.max_documents,
        "queries": running.max_queries,
        "temperatures": MAX_TEMPERATURES,
        "top_k": wire.MAX_TOP_K,
        "page": wire.MAX_PAGE,
        "document_keys": MAX_KEYS,
        "rows": MAX_ROWS,
        "filter_depth": MAX_DEPTH,
        "filter_values": MAX_OPERANDS,
        "fields": MAX_FIELDS,
        "field_values": MAX_VALUES,
        "encode_texts": most_texts(running, tokens=False),
        "encode_texts_with_tokens": most_texts(running, tokens=True),
        "embeddings_inputs": MOST_INPUTS,
        "trace_characters": MAX_CHARACTERS,
        "trace_layers": MAX_NAMED,
        "trace_numbers": MAX_NUMBERS,
        "logits": MAX_LOGITS,
        "hopfield_steps": MAX_HOPFIELD_STEPS,
        "vector_width": MAX_WIDTH,
        "id_characters": wire.MAX_ID,
        "name_characters": wire.MAX_NAME,
        "idempotency_key_characters": once.MAX_KEY,
        "idempotency_hours": once.HOURS,
        "json_depth": wire.MAX_DEPTH,
        "rooms": running.rooms.limits.rooms,
        "room_rows": running.rooms.limits.rows,
        "room_bytes": running.rooms.limits.bytes,
        "room_characters": MAX_TEXT,
        "room_listeners": running.rooms.limits.listeners,
        "room_seconds": int(running.rooms.limits.seconds),
    }


@router.get(
    "",
    response_model=ServiceAnswer,
    response_description="What it is.",
    summary="The service and its limits",
)
async def get_service(request: Request, running: Running) -> Response:
    """Its version, its encoder, whether it wants keys, every limit that a request may meet, and what holds the keys."""
    encoder = running.catalogue.encoder
    shards = await READS.run(running.catalogue.shards)
    return JSONAnswer(
        {
            "version": request.app.version,
            "encoder": None if encoder is None else encoder.name,
            "keys_required": running.keys_required,
            "limits": _limits(running),
            "shards": None if shards is None else asdict(shards),
        }
    )
