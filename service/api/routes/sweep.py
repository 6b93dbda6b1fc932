"""The same query at many temperatures."""

from __future__ import annotations

import time

from fastapi import Request, Response

from service.api.document_form import reads, shape
from service.api.json import JSONAnswer
from service.api.middleware.limits import heavy
from service.api.problems.refusals import ANSWERING, WITH_BODY, refusals
from service.api.routes.attend import evidence, full_text, unknown_tokens, warned
from service.api.routing import json_router
from service.api.state import NameInPath, Running
from service.retrieval.queries import Options, sweep_collection
from service.schemas.lookup.sweep import SweepAnswer, SweepRequest

router = json_router("/v1/collections", "attend", "lookup", "collection")

OPTIONS = SweepRequest.model_fields.keys() & Options.__dataclass_fields__  # said alike here and there
HEAVY_WEIGHTS = 1 << 17


@router.post(
    "/{name}/sweep",
    response_model=SweepAnswer,
    responses=refusals(*WITH_BODY, *ANSWERING),
    response_description="The best documents, and what each weighs at each temperature.",
    summary="The same query at many temperatures",
)
async def sweep(name: NameInPath, body: SweepRequest, request: Request, running: Running) -> Response:
    """From one reading of the keys: what each of the best documents weighs at each temperature."""
    started = time.perf_counter()
    await heavy(request.scope, len(body.temperatures) * (body.top_k or 1), HEAVY_WEIGHTS)
    swept = await sweep_collection(
        running.catalogue.collection(name),
        body.query,
        body.temperatures,
        Options(**{name: getattr(body, name) for name in OPTIONS}, reads=reads(body.include, least="texts")),
    )
    return JSONAnswer(
        {
            "matches": [
                shape(match.document, body.include, body.vector_format, spoke=match.spoke, similarity=match.similarity)
                for match in swept.matches
            ],
            "temperatures": [
                {
                    "temperature": at.evidence.temperature,
                    "weights": at.weights,
                    "rest_weight": at.rest_weight,
                    "evidence": evidence(at.evidence, at.verdict),
                }
                for at in swept.temperatures
            ],
            **unknown_tokens(swept.unknown_tokens),
            **full_text(swept.full_text),
            "documents": swept.documents,
            "keys": swept.keys,
            **warned(swept.warnings),
            "took_ms": (time.perf_counter() - started) * 1e3,
        }
    )
