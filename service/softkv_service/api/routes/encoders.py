"""Routes of the service's encoders: what they are, and the memory that they take."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response

from softkv.answers.service import EncoderInfo, EncoderList
from softkv_service.api.json import JSONAnswer, pick
from softkv_service.api.problems.table import refusals
from softkv_service.api.routing import filters, json_router, reaches, requires
from softkv_service.api.state import Running
from softkv_service.encoding import Encoders, LoadingEncoder, LoadingReranker
from softkv_service.retrieval.collections import find_model

router = json_router("/v1/encoders", "encode", "read", "nothing", "nothing")


def _describe(encoder: LoadingEncoder, encoders: Encoders) -> dict[str, Any]:
    loaded, facts = encoder.encoder, encoder.facts
    notes = " ".join(f"{note}." for note in loaded.notes) if loaded is not None else ""
    return {
        **pick(encoder, "name", "kind", "model"),
        "dimension": None if facts is None else facts.dimension,
        "state": encoder.state,
        "detail": str(encoder.failure) if encoder.failure is not None else notes or None,
        "temperature": None if facts is None else facts.temperature,
        "background": None if facts is None else facts.backgrounds.texts,
        "late": facts is not None and facts.is_late,
        "memory_bytes": 0 if loaded is None else loaded.memory_bytes,
        "default": encoder is encoders.default,
    }


def _describe_reranker(reranker: LoadingReranker) -> dict[str, Any]:
    loaded = reranker.encoder
    return {
        "name": reranker.name,
        "kind": None if loaded is None else loaded.kind,
        "model": reranker.model,
        "max_tokens": None if loaded is None else loaded.max_tokens,
        "state": reranker.state,
        "detail": None if reranker.failure is None else str(reranker.failure),
        "memory_bytes": 0 if loaded is None else loaded.memory_bytes,
    }


@router.get(
    "", response_model=EncoderList, response_description="The encoders, and their state.", summary="List the encoders"
)
async def list_encoders(running: Running) -> Response:
    """List the encoders and rerankers of the service, with what is known of each.

    Only the default encoder is loaded at the start. Any other, and a reranker, is loaded by the first text that needs
    it.
    """
    encoders = running.catalogue.encoders
    return JSONAnswer(
        {
            "encoders": [_describe(encoder, encoders) for encoder in encoders],
            "rerankers": [_describe_reranker(reranker) for reranker in encoders.rerankers.values()],
        }
    )


@router.delete(
    "/{encoder:path}/memory",
    response_model=EncoderInfo,
    responses=refusals("model_not_found", "forbidden", "host_refused"),
    dependencies=[requires("write"), reaches("everything"), filters("whole")],
    response_description="The encoder, which is not in memory any more.",
    summary="Release the memory of an encoder",
)
async def unload_encoder(
    encoder: Annotated[str, Path(description="The encoder's name; it may contain a /.", examples=["all-MiniLM-L6-v2"])],
    running: Running,
) -> Response:
    """Release the memory of an encoder. The next text that needs it loads it again, which takes seconds.

    Texts that wait for it are still encoded. An encoder that is not in memory stays so.
    """
    encoders = running.catalogue.encoders
    model = find_model(encoders, encoder)
    model.unload()
    return JSONAnswer(_describe(model, encoders))
