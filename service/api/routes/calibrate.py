"""The route of calibration: it fits a collection to labelled questions."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.problems.table import ANSWERING, FULL, WITH_BODY, refusals
from service.api.routing import admit_call, collection_behind, json_router
from service.api.state import NameInPath, Running, instant_of
from service.retrieval.calibration import VERSION, Calibration, Metric, Metrics, Refit, Rerank, Variant
from service.retrieval.labels import LabelledQuestion, Seen, calibrate_collection
from service.schemas.calibration import CalibrateRequest, labels
from service.schemas.instants import format_time
from service.storage import SECOND, CollectionRecord
from softkv.answers import info

router = json_router("/v1/collections", "collections", "lookup", "collection", "whole")


@router.post(
    "/{name}/calibrate",
    response_model=info.Calibration,
    responses=refusals(*WITH_BODY, *ANSWERING, "collection_conflict", "database_busy", *FULL),
    response_description="The fit, its quality before and after, and whether it is stored.",
    summary="Calibrate a collection",
)
async def calibrate(name: NameInPath, body: CalibrateRequest, request: Request, running: Running) -> Response:
    """Fit a calibration to labelled questions: temperature, null key, weights, confidences and answer sets.

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
        refit=body.refit,
        rerank=None if body.rerank is None else Rerank(body.rerank.model, body.rerank.depth),
    )
    calibration, assessed = result.calibration, result.assessed
    after_reranked = None if result.reranked is None else result.reranked.after
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
            "rerank": calibration.rerank and asdict(calibration.rerank),
            "reranked": calibration.reranked and _variant(calibration.reranked),
            "after_reranked": after_reranked and _figures(after_reranked),
            "gained": {name: getattr(assessed.gain, name)._asdict() for name in ("label_loss", "log_loss")},
            "from": calibration.source,
            "at": format_time(calibration.at),
            "labels": {"present": calibration.present, "absent": calibration.absent},
            "documents": calibration.documents,
            "encoder": calibration.encoder,
            "applied": result.applied,
            "reason": result.reason,
            "left_out": [asdict(flaw) for flaw in result.left_out],
            **collection_behind(request),
            "took_ms": (time.perf_counter() - started) * 1e3,
        }
    )


def shape_kept(record: CollectionRecord, seen: Seen | None = None) -> dict[str, Any] | None:
    """Return the JSON of the stored calibration of a collection, or None if it has none.

    Args:
        record: the collection's record.
        seen: what feedback says of the calibration; None if it was not read.
    """
    settings = record.settings
    stored = Calibration.read(settings.calibration)
    if stored is None:
        return None
    return {
        "version": VERSION,
        "from": stored.source,
        "at": format_time(stored.at),
        "documents": stored.documents,
        "encoder": stored.encoder,
        "temperature": stored.temperature,
        "level": stored.plain.level,
        "full_text": stored.full_text,
        "none_from": stored.plain.none_from,
        "errors": [asdict(bound) for bound in stored.plain.bounds],
        "labels": {"present": stored.present, "absent": stored.absent},
        "promised": stored.promised and asdict(stored.promised),
        "seen": seen and _shape_seen(seen),
        "refit": _shape_refit(stored.refit),
        "rerank": stored.rerank and asdict(stored.rerank),
        "outgrown": stored.outgrown(record.attendable, settings.encoder, settings.temperature),
    }


def _shape_seen(seen: Seen) -> dict[str, Any]:
    return {
        "confidence": seen.confidence and asdict(seen.confidence),
        "drift": seen.drift,
        "error": seen.error,
        "coverage": seen.coverage and asdict(seen.coverage),
    }


def _shape_refit(refit: Refit) -> dict[str, Any]:
    gained = None
    if refit.label_loss is not None and refit.log_loss is not None:
        losses = {"label_loss": refit.label_loss, "log_loss": refit.log_loss}
        gained = {name: Metric(*loss)._asdict() for name, loss in losses.items()}
    return {
        "mode": refit.mode,
        "tried": format_time(refit.tried),
        "proposed": refit.proposed,
        "reason": refit.reason,
        "gained": gained,
    }


def _variant(variant: Variant) -> dict[str, Any]:
    levels = [{"conformal": probability, "weight": math.exp(log)} for probability, log in variant.thresholds.items()]
    return {
        "level": variant.level,
        "none_from": variant.none_from,
        "confidence": asdict(variant.curve),
        "conformal": levels,
        "errors": [asdict(bound) for bound in variant.bounds],
    }


def _figures(figures: Metrics) -> dict[str, Any]:
    return {name: figure._asdict() for name, figure in vars(figures).items()}
