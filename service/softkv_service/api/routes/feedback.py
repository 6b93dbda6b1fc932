"""Routes of feedback: callers say whether answers were right, read what was said, and delete it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from softkv.answers.feedback import FeedbackDeleted, FeedbackKept, FeedbackPage
from softkv_service.api.json import JSONAnswer, pick
from softkv_service.api.middleware import access_record
from softkv_service.api.problems.table import ANSWERING, OF_A_COLLECTION, WITH_BODY, WRITING, refusals
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import filters, json_router, requires, takes
from softkv_service.api.state import NameInPath, Running, collection_behind, instant_of
from softkv_service.retrieval import labels
from softkv_service.retrieval.labels import Judgement
from softkv_service.scheduling import READS, WRITES
from softkv_service.schemas.feedback import FeedbackDelete, FeedbackRequest
from softkv_service.schemas.wire import MAX_PAGE
from softkv_service.storage.instants import format_instant
from softkv_service.storage.records import FeedbackRecord

router = json_router("/v1/collections", "collections", "read", "collection", "whole")


@router.post(
    "/{name}/feedback",
    dependencies=[requires("feedback"), takes("write"), filters("filtered")],
    response_model=FeedbackKept,
    responses=refusals(*WITH_BODY, *ANSWERING, *WRITING),
    response_description="The number of records that were stored.",
    summary="Say whether answers were right",
)
async def give_feedback(
    name: NameInPath, body: FeedbackRequest, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Store whether documents answer questions, for calibrations with `"from": "feedback"`.

    With each record the service stores the first match of the question, which it asks again. A collection keeps 100,000
    records, of which the oldest make room. Judgements of missing documents are left out; if all are, the request is
    refused.
    """
    judgements = [Judgement(one.query, one.id, one.right, f"/feedback/{i}") for i, one in enumerate(body.feedback)]
    access_record.note(ids=sorted({one.id for one in body.feedback if one.id is not None}))

    def answer(records: int) -> Response:
        access_record.note(count=records)
        return JSONAnswer({"kept": records, "left_out": left_out, **collection_behind(request)})

    collection = running.catalogue.collection(name)
    judgements, left_out = await READS.run(labels.leave_missing_out, collection, judgements)
    records = await labels.keep_feedback(collection, judgements, now=instant_of(request), once=repeatable.once(answer))
    return answer(records)


@router.get(
    "/{name}/feedback",
    dependencies=[requires("write")],
    response_model=FeedbackPage,
    responses=refusals(*OF_A_COLLECTION),
    response_description="A page of feedback.",
    summary="List what was said of answers",
)
async def list_feedback(
    name: NameInPath,
    request: Request,
    running: Running,
    limit: Annotated[int, Query(ge=0, le=MAX_PAGE, description="The maximum number of records on a page.")] = 1000,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
) -> Response:
    """List feedback, the oldest first. It has questions of all callers, so a key needs write access."""
    page = await READS.run(labels.page_feedback, running.catalogue.collection(name), cursor, limit)
    return JSONAnswer(
        {
            "feedback": [_shape(record) for record in page.records],
            **pick(page, "next_cursor", "count"),
            **collection_behind(request),
        }
    )


def _shape(record: FeedbackRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "query": labels.decode_query(record),
        "id": record.document,
        "right": record.correct,
        "at": format_instant(record.at),
        "first": labels.read_first(record),
    }


@router.post(
    "/{name}/feedback/delete",
    dependencies=[requires("write"), takes("write")],
    response_model=FeedbackDeleted,
    responses=refusals(*WITH_BODY, *OF_A_COLLECTION, *WRITING),
    response_description="The number of records.",
    summary="Delete what was said of answers",
)
async def delete_feedback(
    name: NameInPath, body: FeedbackDelete, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Delete records of feedback by number, or all. A calibration that was made of them stays."""

    def answer(deleted: int) -> Response:
        access_record.note(count=deleted)
        return JSONAnswer({"deleted": deleted, **collection_behind(request)})

    collection, once = running.catalogue.collection(name), repeatable.once(answer)
    return answer(await WRITES.run(lambda: collection.delete_feedback(body.numbers, once=once)))
