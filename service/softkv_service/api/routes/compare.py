"""Routes of the comparison: SQL's `=`, SQL's full text, top-k and attention, side by side."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Body, Request, Response

from softkv.answers.answer import Comparison
from softkv.questions import Compare, MatchField
from softkv_service.api.document_json import parse_document, shape_fields
from softkv_service.api.json import CompressedAnswer, pick
from softkv_service.api.problems.table import ANSWERING, ENCODING, WITH_BODY, refusals
from softkv_service.api.routes.attend import parse_query, shape_applied, shape_result
from softkv_service.api.routes.collections import shape_background
from softkv_service.api.routing import filters, json_router, reaches, takes
from softkv_service.api.state import NameInPath, Running, collection_behind, instant_of
from softkv_service.retrieval import queries
from softkv_service.retrieval.queries import ComparisonResult, TimedSearch, complete_question
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.schemas.compare import CompareRowsRequest
from softkv_service.schemas.requests import AsRecord

router = json_router("/v1", "compare", "stateless", "nothing", "nothing")
FIELDS: Final[tuple[MatchField, ...]] = ("key", "value", "metadata", "output")
CompareBody = Annotated[Compare, AsRecord(), Body()]


@router.post(
    "/collections/{name}/compare",
    dependencies=[takes("lookup"), reaches("collection"), filters("filtered")],
    response_model=Comparison,
    responses=refusals(*WITH_BODY, *ANSWERING, "values_pending"),
    response_description="The four answers.",
    summary="Answer one question in four ways",
)
async def compare(name: NameInPath, body: CompareBody, request: Request, running: Running) -> Response:
    """Answer a question in four ways: by SQL's `=`, by SQL's full text, by top-k, and by attention as `attend` does.

    The answer shows the SQL that was run.
    """
    collection = running.catalogue.collection(name)
    query = parse_query(body.query)
    question, applied = complete_question(collection, body, [query], instant_of(request))
    compared = await queries.compare_collection(collection, query, question.copy_with(include=FIELDS))
    return CompressedAnswer(_shape(compared) | shape_applied(applied) | collection_behind(request), request)


@router.post(
    "/compare",
    response_model=Comparison,
    responses=refusals(*WITH_BODY, *ENCODING, "nothing_to_read"),
    response_description="The four answers.",
    summary="Answer one question in four ways from rows of the request",
)
async def compare_rows(body: CompareRowsRequest, request: Request, running: Running) -> Response:
    """Answer a question from rows in the request, by SQL's `=`, by SQL's full text, by top-k and by attention.

    Nothing is stored.
    """
    rows = [parse_document(str(i) if row.id is None else row.id, row) for i, row in enumerate(body.rows, start=1)]
    question = CollectionQuestion(temperature=body.temperature, top_k=body.top_k, null=body.null, include=FIELDS)
    compared = await queries.compare_rows(running.catalogue.encoders, rows, parse_query(body.query), question)
    return CompressedAnswer(_shape(compared), request)


def _shape(compared: ComparisonResult) -> dict[str, Any]:
    result, took_ms = compared.attention, compared.attention_took_ms
    documents, best_keys = [match.document for match in compared.nearest], [match.spoke for match in compared.nearest]
    fields = shape_fields(documents, best_keys, FIELDS, "numbers")
    nearest = [
        pick(match, "id", "similarity") | content for match, content in zip(compared.nearest, fields, strict=True)
    ]
    return {
        "sql": _sql(compared.sql),
        "full_text": _sql(compared.full_text),
        "top_k": {"matches": nearest, "documents": result.answer.documents, "took_ms": took_ms},
        "attention": shape_result(result, FIELDS, "numbers", took_ms),
        "background": None if compared.standing is None else shape_background(compared.standing),
    }


def _sql(timed: TimedSearch) -> dict[str, Any]:
    search = timed.found
    return {
        "statement": search.statement,
        "parameters": {name: _shape_parameter(value) for name, value in search.parameters.items()},
        "rows": [pick(row, "id", "key", "value") for row in search.rows],
        "took_ms": timed.took_ms,
    }


def _shape_parameter(value: Any) -> Any:
    """Return a parameter of an SQL statement as JSON.

    Numbers beyond 64 bits are compared as bytes, which are written as an SQL literal.
    """
    return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else value
