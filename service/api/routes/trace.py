"""A look into the model: tokens, and the attention between them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import Response

from service.api.json import JSONAnswer
from service.api.problems.refusals import ENCODING, WITH_BODY, refusals
from service.api.routing import json_router
from service.api.state import Running
from service.retrieval.collections import get_model_queue
from service.retrieval.queries import trace_text
from service.scheduling import TEXTS
from service.schemas.trace import TraceAnswer, TraceRequest
from service.schemas.vector import write_vector

if TYPE_CHECKING:
    from attention.transformer import TracedLayer

router = json_router("/v1", "encode", "encode", "nothing")


@router.post(
    "/trace",
    response_model=TraceAnswer,
    responses=refusals(*WITH_BODY, "too_much", "model_not_found", "untraceable", *ENCODING),
    response_description="The tokens, and what each rests on.",
    summary="Look at the attention between a text's tokens",
)
async def trace(body: TraceRequest, running: Running) -> Response:
    """What the encoder computes on the way from this text to its vector, layer by layer and head by head."""
    encoder = (await get_model_queue(running.catalogue.encoder, body.model)).encoder
    fields = {"attention": "weights"} | {name: name for name in body.include if name != "changes"}
    look = partial(trace_text, layers=body.layers, heads=body.heads, causal=body.causal, arrays=list(fields.values()))
    traced = await TEXTS.run(look, encoder, body.text, body.pair)
    answer: dict[str, Any] = {
        "model": encoder.name,
        "tokens": [token._asdict() for token in traced.text.tokens],
        "layers": [layer.layer for layer in traced.layers],
        "heads": traced.layers[0].heads,
    }
    for name, field in fields.items():
        answer[name] = write_vector(np.stack([getattr(layer, field) for layer in traced.layers]), body.vector_format)
    if "changes" in body.include:
        answer["changes"] = [_changes(layer, body.vector_format) for layer in traced.layers]
    return JSONAnswer(answer)


def _changes(layer: TracedLayer, vector_format: str) -> dict[str, Any]:
    return {
        "attention": write_vector(layer.attention_change, vector_format),
        "feed_forward": write_vector(layer.feed_forward_change, vector_format),
        "layer": write_vector(layer.change, vector_format),
    }
