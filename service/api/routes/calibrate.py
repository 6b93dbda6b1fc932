"""Labelled questions, and what they say of a collection."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.middleware.access import admit
from service.api.problems.table import ANSWERING, WITH_BODY, refusals
from service.api.routing import json_router
from service.api.state import NameInPath, Running
from service.retrieval.calibration import VERSION, Calibration, Metrics, Variant
from service.retrieval.queries import LabelledQuestion, calibrate_collection
from service.schemas.calibration import CalibrateAnswer, CalibrateRequest, labels
from service.storage import CollectionRecord

router = json_router("/v1/collections", "collections", "lookup", "collection")


@router.post(
    "/{name}/calibrate",
    response_model=CalibrateAnswer,
    responses=refusals(*WITH_BODY, *ANSWERING, "collection_conflict", "database_busy", "disk_full"),
    response_description="What was fitted, how the collection does without it and with it, and whether it is kept.",
    summary="Fit to labelled questions how sure an answer may be",
)
async def calibrate(name: NameInPath, body: CalibrateRequest, request: Request, running: Running) -> Response:
    """Temperature, null key, words, confidence and sets, judged on questions that were held out of the fit."""
    started = time.perf_counter()
    if body.apply:
        admit(request.scope, "write", "collection")
    questions = [
        LabelledQuestion(each.query, tuple(found), tuple(f"/questions/{i}{pointer}" for pointer in found.values()))
        for i, each in enumerate(body.questions)
        for found in [labels(each)]
    ]
    found = await calibrate_collection(running.catalogue, name, questions, apply=body.apply)
    calibration, assessed = found.calibration, found.assessed
    return JSONAnswer(
        {
            "temperature": calibration.temperature,
            "level": calibration.plain.level,
            "full_text": calibration.full_text,
            **{name: part for name, part in _variant(calibration.plain).items() if name != "level"},
            "words": calibration.words and _variant(calibration.words),
            "before": _figures(assessed.before),
            "after": _figures(assessed.after),
            "after_words": assessed.after_words and _figures(assessed.after_words),
            "gained": {"label_loss": assessed.gained._asdict(), "log_loss": assessed.surer._asdict()},
            "labels": {"present": calibration.present, "absent": calibration.absent},
            "documents": calibration.documents,
            "encoder": calibration.encoder,
            "applied": found.applied,
            "reason": found.reason,
            "took_ms": (time.perf_counter() - started) * 1e3,
        }
    )


def shape_kept(record: CollectionRecord) -> dict[str, Any] | None:
    """What a collection keeps of a calibration, and whether it has outgrown that; None where it has none."""
    settings = record.settings
    kept = Calibration.read(settings.calibration)
    if kept is None:
        return None
    return {
        "version": VERSION,
        "documents": kept.documents,
        "encoder": kept.encoder,
        "temperature": kept.temperature,
        "level": kept.plain.level,
        "full_text": kept.full_text,
        "labels": {"present": kept.present, "absent": kept.absent},
        "outgrown": kept.outgrown(record.attendable, settings.encoder, settings.temperature),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    promises = [{"conformal": promise, "weight": math.exp(log)} for promise, log in variant.thresholds.items()]
    return {"level": variant.level, "confidence": asdict(variant.curve), "conformal": promises}


def _figures(figures: Metrics) -> dict[str, Any]:
    return {name: figure._asdict() for name, figure in vars(figures).items()}
