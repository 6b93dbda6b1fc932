"""Stateless attention: arrays in, weights and every intermediate out."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.middleware.limits import heavy
from service.api.problems.refusals import WITH_BODY, refusals
from service.api.routing import json_router
from service.retrieval import queries as own
from service.scheduling import ARRAYS
from service.schemas.attention import AttentionAnswer, AttentionRequest
from service.schemas.vector import write_vector

router = json_router("/v1", "attend", "stateless", "nothing")

HEAVY_PAIRS = 1 << 18  # numbers of query times numbers of key: no fewer than logits


@router.post(
    "/attend",
    response_model=AttentionAnswer,
    responses=refusals(*WITH_BODY, "too_much"),
    response_description="The output, and how it came about.",
    summary="Attention on arrays of your own",
)
async def attend_arrays(body: AttentionRequest, request: Request) -> Response:
    """The core's one definition, on nested lists; nothing is stored. At most 4,000,000 logits in one request."""
    arrays = own.Arrays(
        **{field: getattr(body, field) for field in ("query", "key", "value", "mask", "bias", "null", "similarity")},
        temperature=body.temperature,
        normaliser=body.normaliser,
        parameters=None if body.parameters is None else dict(body.parameters),
        projections=None if body.projections is None else dict(body.projections),
        hopfield_steps=body.hopfield_steps,
        intermediates=body.intermediates,
    )
    await heavy(request.scope, body.query.size * body.key.size, HEAVY_PAIRS)
    attention = await ARRAYS.run(own.attend_arrays, arrays)
    attended = attention.attended
    answer: dict[str, Any] = {
        "output": attention.output,
        **{name: getattr(attended, name) for name in body.include},
        "log_partition": attended.log_partition,
        "null_weight": attended.null_weight,
    }
    if body.intermediates:
        answer["intermediates"] = attention.intermediates
    return JSONAnswer(_written(answer, body.vector_format))


def _written(array: Any, vector_format: str) -> Any:
    if isinstance(array, dict):
        return {name: _written(inner, vector_format) for name, inner in array.items()}
    return None if array is None else write_vector(array, vector_format)
