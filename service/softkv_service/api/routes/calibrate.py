"""The route of calibration: it fits a collection to labelled questions."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Request, Response

from softkv.answers.calibration import Calibration as CalibrateAnswer
from softkv_service.api.json import JSONAnswer, pick
from softkv_service.api.problems.table import ANSWERING, FULL, WITH_BODY, refusals
from softkv_service.api.routing import admit_call, json_router
from softkv_service.api.state import NameInPath, Running, collection_behind, instant_of
from softkv_service.retrieval.calibration import VERSION, Calibration, Variant
from softkv_service.retrieval.labels import LabelledQuestion, calibrate_collection
from softkv_service.schemas.calibration import CalibrateRequest, labels
from softkv_service.schemas.instants import format_time
from softkv_service.storage.instants import SECOND
from softkv_service.storage.records import CollectionRecord

router = json_router("/v1/collections", "collections", "lookup", "collection", "whole")


@router.post(
    "/{name}/calibrate",
    response_model=CalibrateAnswer,
    responses=refusals(*WITH_BODY, *ANSWERING, "collection_conflict", "database_busy", *FULL),
    response_description="The fit, its quality before and after, and whether it is stored.",
    summary="Calibrate a collection",
)
async def calibrate(name: NameInPath, body: CalibrateRequest, request: Request, running: Running) -> Response:
    """Fit a calibration to labelled questions: temperature, null key, weights and confidences.

    The quality is measured on questions that the fit did not use.
    """
    started = time.perf_counter()
    if body.apply:
        admit_call(request.scope, "write", "collection")
    questions = [
        LabelledQuestion(question.query, tuple(ids), tuple(f"/questions/{i}{pointer}" for pointer in ids.values()))
        for i, question in enumerate(body.questions or ())
        for ids in [labels(question)]
    ]
    result = await calibrate_collection(
        running.catalogue,
        name,
        questions,
        source=body.from_,
        now=instant_of(request) / SECOND,
        apply=body.apply,
        rerank=body.rerank,
    )
    calibration, assessed = result.calibration, result.assessed
    return JSONAnswer(
        {
            "temperature": calibration.temperature,
            "level": calibration.plain.level,
            "full_text": calibration.full_text,
            **_variant(calibration.plain),
            "words": calibration.words and _variant(calibration.words),
            **pick(assessed, "before", "after", "after_words"),
            "rerank": calibration.rerank,
            "reranked": calibration.reranked and _variant(calibration.reranked),
            "after_reranked": result.reranked and result.reranked.after,
            "summary": result.bought.sentence,
            "gained": pick(assessed.gain, "label_loss", "log_loss"),
            "from": calibration.source,
            "at": format_time(calibration.at),
            "labels": pick(calibration, "present", "absent"),
            **pick(calibration, "documents", "encoder"),
            **pick(result, "applied", "reason", "left_out"),
            **collection_behind(request),
            "took_ms": (time.perf_counter() - started) * 1e3,
        }
    )


def shape_kept(record: CollectionRecord) -> dict[str, Any] | None:
    """Return the JSON of the stored calibration of a collection, or None if it has none."""
    settings = record.settings
    stored = Calibration.read(settings.calibration)
    if stored is None:
        return None
    return {
        "version": VERSION,
        "from": stored.source,
        "at": format_time(stored.at),
        **pick(stored, "documents", "encoder", "temperature"),
        "level": stored.plain.level,
        "full_text": stored.full_text,
        "none_from": stored.plain.none_from,
        "errors": stored.plain.bounds,
        "labels": pick(stored, "present", "absent"),
        "rerank": stored.rerank,
        "outgrown": stored.outgrown(record.attendable, settings.encoder, settings.temperature),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        **pick(variant, "level", "none_from"),
        "confidence": variant.curve,
        "errors": variant.bounds,
    }
