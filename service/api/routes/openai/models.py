"""The models of this service, as OpenAI lists them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response

from service.api.json import JSONAnswer
from service.api.problems.openai import ANY_OPENAI_CALL, openai_refusals
from service.api.routing import json_router
from service.api.state import Running
from service.encoding import LoadingEncoder
from service.retrieval.collections import find_model
from service.schemas.openai import Model, ModelList

router = json_router("/v1/models", "openai", "read", "nothing", ANY_OPENAI_CALL)


def _describe(model: LoadingEncoder) -> dict[str, Any]:
    encoder = model.encoder
    return {
        "id": model.name,
        "object": "model",
        "created": encoder.created if encoder else 0,
        "owned_by": "softkv",
        "state": model.state,
        "runs_on": encoder.runs_on if encoder else None,
        "dimension": encoder.dimension if encoder else None,
        "max_tokens": encoder.max_tokens if encoder else None,
        "precision": encoder.precision if encoder else None,
        "similarity": encoder.similarity if encoder else None,
        "temperature": encoder.temperature.value if encoder else None,
        "temperature_source": encoder.temperature.source if encoder else None,
        "batched": encoder.batched if encoder else None,
        "notes": encoder.notes if encoder else None,
    }


@router.get("", response_model=ModelList, response_description="The models.", summary="Every model")
async def list_models(running: Running) -> Response:
    """One, or none in a service that runs without an encoder; `runs_on` says which code computes it."""
    encoder = running.catalogue.encoder
    return JSONAnswer({"object": "list", "data": [_describe(encoder)] if encoder else []})


@router.get(
    "/{id:path}",
    response_model=Model,
    responses=openai_refusals("model_not_found"),
    response_description="The model.",
    summary="One model",
)
async def get_model(
    id: Annotated[str, Path(description="The model's name; a / in it works.", examples=["all-MiniLM-L6-v2"])],  # noqa: A002
    running: Running,
) -> Response:
    """Whether it is loaded, what computes it, and the width of its vectors."""
    return JSONAnswer(_describe(find_model(running.catalogue.encoder, id)))
