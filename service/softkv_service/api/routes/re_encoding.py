"""Routes of the job that moves a collection to another encoder: start it and cancel it."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from softkv.answers.info import ReEncoding
from softkv_service.api.json import JSONAnswer, pick
from softkv_service.api.problems.table import ENCODING, OF_A_COLLECTION, STORED, WITH_BODY, WRITING, refusals
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import filters, json_router, requires, takes
from softkv_service.api.state import NameInPath, Running, collection_behind
from softkv_service.retrieval.documents import JobStatus
from softkv_service.schemas.instants import format_time
from softkv_service.schemas.re_encoding import ReEncodeRequest

router = json_router("/v1/collections", "collections", "read", "collection", "whole")


def shape_job(status: JobStatus) -> dict[str, Any]:
    """Return the JSON of a job, and how far it is."""
    job = status.job
    return {
        **pick(job, "state", "reason"),
        "from": job.encoder,
        "to": job.to,
        **pick(status, "documents", "done"),
        "started": format_time(job.started),
        "ended": format_time(job.ended),
        "drops": job.drops,
    }


@router.post(
    "/{name}/re-encode",
    dependencies=[requires("write"), takes("write"), filters("whole")],
    status_code=202,
    response_model=ReEncoding,
    responses=refusals(*WITH_BODY, *OF_A_COLLECTION, *WRITING, "re_encoding_active", "collection_conflict", *ENCODING),
    response_description="The job has begun.",
    summary="Move a collection to another encoder",
)
async def start_re_encoding(
    name: NameInPath, body: ReEncodeRequest, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Encode all documents with another encoder, while callers read and write the collection.

    Answers have the vectors until now, until all documents are done. From one instant on they have the other ones, and
    none mixes the two. Calibration and projection do not survive, and `drops` says so. The job survives a restart. It
    needs space on the disk, and in memory, for a second copy of the collection. `re_encode` of the collection says how
    far it is.
    """

    def answer(status: JobStatus) -> Response:
        return JSONAnswer(shape_job(status) | collection_behind(request), status_code=202)

    collection = running.re_encodings.find(name)
    return answer(
        await running.re_encodings.start(
            collection,
            body.encoder,
            temperature=body.temperature,
            null=body.null,
            keep=body.vectors == "keep",
            once=repeatable.once(answer),
        )
    )


@router.delete(
    "/{name}/re-encode",
    dependencies=[requires("write"), takes("write"), filters("whole")],
    response_model=ReEncoding,
    responses=refusals(*OF_A_COLLECTION, *WRITING, *STORED, "re_encoding_not_found", "re_encoding_over"),
    response_description="The cancelled job.",
    summary="Cancel the move to another encoder",
)
async def cancel_re_encoding(name: NameInPath, request: Request, running: Running, repeatable: Idempotent) -> Response:
    """Cancel the move of a collection to another encoder. The collection stays as it is."""

    def answer(status: JobStatus) -> Response:
        return JSONAnswer(shape_job(status) | collection_behind(request))

    return answer(await running.re_encodings.cancel_soon(name, once=repeatable.once(answer)))
