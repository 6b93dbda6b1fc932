"""Facts on the metadata of a collection's documents."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import Response

from service.api.json import JSONAnswer
from service.api.problems.refusals import OF_A_COLLECTION, WITH_BODY, refusals
from service.api.routing import json_router
from service.api.state import NameInPath, Running
from service.retrieval import documents as store
from service.retrieval.collections import parse_filter
from service.scheduling import READS
from service.schemas.fields import MAX_FIELDS, FieldsAnswer, FieldsQuery

router = json_router("/v1/collections/{name}/documents", "documents", "read", "collection")


@router.post(
    "/fields",
    response_model=FieldsAnswer,
    responses=refusals(*WITH_BODY, *OF_A_COLLECTION),
    response_description="What each field holds.",
    summary="Facts on the fields of the metadata",
)
async def describe_fields(name: NameInPath, body: FieldsQuery, running: Running) -> Response:
    """Types, counts, the least and the greatest value, and on request the values, each with its number of documents."""
    after = store.decode_field_cursor(body.cursor)
    condition = await READS.run(parse_filter, body.filter)
    page = await READS.run(
        store.read_field_facts,
        running.catalogue.collection(name),
        fields=body.fields,
        most=MAX_FIELDS,
        condition=condition,
        values=body.limit if body.values else 0,
        after=after,
    )
    fields = {field: asdict(facts) | {"next_cursor": page.cursors.get(field)} for field, facts in page.facts.items()}
    if not body.values:
        fields = {field: facts | {"values": None} for field, facts in fields.items()}
    return JSONAnswer({"fields": fields, "next_cursor": page.next_cursor})
