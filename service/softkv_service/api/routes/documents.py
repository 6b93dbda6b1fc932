"""Routes of documents: one by id, many in one body."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from softkv.answers.documents import Deleted, DocumentAnswer, DocumentPage, Updated
from softkv.answers.info import Written
from softkv_service.api.body import wait_if_heavy
from softkv_service.api.document_json import field_values, parse_document, shape, shape_warnings
from softkv_service.api.json import NDJSON, JSONAnswer
from softkv_service.api.middleware import access_record
from softkv_service.api.problems.table import (
    ASKING,
    OF_A_COLLECTION,
    OF_DOCUMENTS,
    STORING,
    WITH_BODY,
    WRITING,
    refusals,
)
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import json_router, requires, takes
from softkv_service.api.state import IdInPath, NameInPath, Running, instant_of
from softkv_service.retrieval import InvalidContent, TooLarge
from softkv_service.retrieval import documents as store
from softkv_service.retrieval.collections import parse_filter, with_values
from softkv_service.retrieval.documents import WriteResult
from softkv_service.retrieval.question import required_detail
from softkv_service.scheduling import BODIES, READS, WRITES
from softkv_service.schemas.document import (
    DocumentBatch,
    DocumentBody,
    DocumentDelete,
    DocumentInclude,
    DocumentPatch,
    DocumentQuery,
    DocumentUpdate,
)
from softkv_service.schemas.stream import UPLOAD_ANSWER, UPLOAD_BODY
from softkv_service.schemas.wire import MAX_DOCUMENTS, VectorFormat
from softkv_service.storage.conditions import Condition, Order, constant_result

router = json_router("/v1/collections/{name}/documents", "documents", "read", "collection", "filtered")

MANY_DOCUMENTS = 1000
EMPTY_CONDITION = (
    "expected a filter that names fields, got one that every document passes, such as AND without conditions. To "
    'delete all documents, send {"field": "id", "operator": "!=", "value": ""}'
)


@router.post(
    "",
    dependencies=[requires("write"), takes("write")],
    response_model=Written,
    responses={
        200: {"content": {NDJSON: UPLOAD_ANSWER}},
        **refusals(*WITH_BODY, *STORING, *ASKING, "documents_exist", "too_much"),
    },
    openapi_extra={"requestBody": {"content": {NDJSON: UPLOAD_BODY}}},
    response_description="The documents are written; for NDJSON, the result of each batch.",
    summary="Write many documents",
)
async def post_documents(name: NameInPath, body: DocumentBatch, running: Running, repeatable: Idempotent) -> Response:
    """Write documents.

    Of a JSON body, either all documents or none are written. An NDJSON body may have any length: it is written in
    batches of 1,000 lines, and only invalid lines are left out.

    A document with an existing id replaces the stored one, unless `mode` sets another treatment. `delete` names
    documents that the same transaction deletes.
    """
    if len(body.documents) > MAX_DOCUMENTS:
        raise TooLarge.at(
            "/documents",
            f"{len(body.documents)} documents came, this service takes {MAX_DOCUMENTS} in one JSON body: send "
            "them in parts, or as application/x-ndjson",
        )
    documents = [parse_document(document.id, document) for document in body.documents]
    pointers = [f"/documents/{i}" for i in range(len(documents))]
    delete = body.delete or []
    access_record.note(ids=(*(document.id for document in documents), *delete))

    def answer(written: WriteResult) -> Response:
        access_record.note(count=written.upserted + written.deleted)
        skipped = {"skipped": written.skipped} if body.mode == "skip" else {}
        deleted = {"deleted": written.deleted} if body.delete is not None else {}
        return JSONAnswer({"upserted": written.upserted, **skipped, **deleted, "truncated": written.truncated})

    collection, once = running.catalogue.collection(name), repeatable.once(answer)
    with collection.encoders.uploads.counted():
        return answer(await store.upsert(collection, documents, pointers, mode=body.mode, delete=delete, once=once))


@router.post(
    "/query",
    response_model=DocumentPage,
    responses=refusals(*WITH_BODY, *OF_DOCUMENTS, "values_pending"),
    response_description="A page of documents.",
    summary="List documents in order",
)
async def query_documents(name: NameInPath, body: DocumentQuery, request: Request, running: Running) -> Response:
    """List documents in the order of their ids, or of a metadata field.

    Follow `next_cursor` to the end: a document that exists throughout is listed exactly once.
    """
    await wait_if_heavy(request.scope, body.limit, MANY_DOCUMENTS)
    condition = parse_filter(body.filter, instant_of(request))
    order = None if body.order_by is None else Order(body.order_by.name, body.order_by.direction == "descending")
    collection = running.catalogue.collection(name)
    page = await with_values(
        collection,
        lambda: READS.run(
            store.page,
            collection,
            ids=body.ids,
            condition=condition,
            cursor=body.cursor,
            order=order,
            limit=body.limit,
            count=body.count,
            detail=required_detail(body.include),
        ),
    )

    def shape_page() -> Any:
        documents = shape(page.documents, body.include, body.vector_format)
        answer = {"documents": documents, "next_cursor": page.next_cursor, "count": page.count}
        return answer | shape_warnings(page.warnings)

    return JSONAnswer(await BODIES.run(shape_page) if len(page.documents) > MANY_DOCUMENTS else shape_page())


@router.post(
    "/delete",
    dependencies=[requires("write"), takes("write")],
    response_model=Deleted,
    responses=refusals(*WITH_BODY, *WRITING, "collection_not_found", "collection_loading"),
    response_description="The number of documents.",
    summary="Delete documents by id or by filter",
)
async def delete_documents(
    name: NameInPath, body: DocumentDelete, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Delete documents by exactly one of `ids` and `filter`; unknown ids are ignored.

    A filter that every document passes, since its conditions are empty, is refused.
    """

    access_record.note(ids=body.ids)

    def answer(deleted: int) -> Response:
        access_record.note(count=deleted)
        return JSONAnswer({"deleted": deleted} | shape_warnings(warnings))

    condition, once = _only_filter(body, request), repeatable.once(answer)
    if condition is not None and constant_result(condition):
        raise InvalidContent.at("/filter", EMPTY_CONDITION)
    collection = running.catalogue.collection(name)
    warnings = await READS.run(store.warn_of_selection, collection, condition)
    return answer(await WRITES.run(collection.delete, ids=body.ids, condition=condition, once=once))


@router.post(
    "/update",
    dependencies=[requires("write"), takes("write")],
    response_model=Updated,
    responses=refusals(*WITH_BODY, *STORING, *ASKING),
    response_description="The number of documents.",
    summary="Change documents by id or by filter",
)
async def update_documents(
    name: NameInPath, body: DocumentUpdate, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Apply one merge patch (RFC 7396) to documents, in one transaction: readers see either all changes or none.

    Select by exactly one of `ids` and `filter`; unknown ids are ignored.
    """

    access_record.note(ids=body.ids)

    def answer(updated: int) -> Response:
        access_record.note(count=updated)
        return JSONAnswer({"updated": updated} | shape_warnings(warnings))

    condition, once = _only_filter(body, request), repeatable.once(answer)
    changes = {field: getattr(body.patch, field) for field in body.patch.model_fields_set}
    collection = running.catalogue.collection(name)
    warnings = await READS.run(store.warn_of_selection, collection, condition)
    return answer(await store.update_documents(collection, changes, ids=body.ids, condition=condition, once=once))


def _only_filter(body: DocumentDelete | DocumentUpdate, request: Request) -> Condition | None:
    """Return the parsed filter of a request, or None if it has `ids`.

    The request must have exactly one of `ids` and `filter`.
    """
    if (body.ids is None) == (body.filter is None):
        raise InvalidContent.at("", "send exactly one of ids and filter")
    return parse_filter(body.filter, instant_of(request))


@router.put(
    "/{id:path}",
    dependencies=[requires("write"), takes("write")],
    response_model=Written,
    responses={201: {"model": Written, "description": "Created."}, **refusals(*WITH_BODY, *STORING, *ASKING)},
    response_description="Replaced.",
    summary="Write one document",
)
async def put_document(
    name: NameInPath,
    id: IdInPath,  # noqa: A002
    body: DocumentBody,
    running: Running,
    repeatable: Idempotent,
) -> Response:
    """Write a document: 201 if the id is new, 200 if it replaces a document."""

    def answer(written: WriteResult) -> Response:
        return JSONAnswer({"upserted": 1, "truncated": written.truncated}, status_code=200 if written.replaced else 201)

    collection, once = running.catalogue.collection(name), repeatable.once(answer)
    with collection.encoders.uploads.counted():
        return answer(await store.upsert(collection, [parse_document(id, body)], [""], once=once))


@router.patch(
    "/{id:path}",
    dependencies=[requires("write"), takes("write")],
    response_model=Written,
    responses=refusals(*WITH_BODY, *STORING, *ASKING, "document_not_found", "document_changed"),
    response_description="Changed.",
    summary="Change a part of a document",
)
async def patch_document(
    name: NameInPath,
    id: IdInPath,  # noqa: A002
    body: DocumentPatch,
    running: Running,
    repeatable: Idempotent,
) -> Response:
    """Apply a merge patch (RFC 7396) to a document: null removes a field, and objects merge.

    Only changed texts are encoded again.
    """

    def answer(written: WriteResult) -> Response:
        return JSONAnswer({"upserted": 1, "truncated": written.truncated})

    changes = field_values(body, body.model_fields_set)
    collection, once = running.catalogue.collection(name), repeatable.once(answer)
    with collection.encoders.uploads.counted():
        return answer(await store.patch_document(collection, id, changes, once=once))


@router.get(
    "/{id:path}",
    response_model=DocumentAnswer,
    responses=refusals(*OF_DOCUMENTS, "document_not_found", "values_pending"),
    response_description="The document.",
    summary="Read one document",
)
async def get_document(
    name: NameInPath,
    id: IdInPath,  # noqa: A002
    running: Running,
    include: Annotated[
        list[DocumentInclude] | None,
        Query(
            description="The fields to return. Left out: key, value and metadata; `sent_value`: the value, if a "
            "request set one."
        ),
    ] = None,
    vector_format: VectorFormat = "numbers",
) -> Response:
    """Return a stored document."""
    collection, needs_value = running.catalogue.collection(name), "value_vector" in (include or ())
    document = await with_values(collection, lambda: READS.run(store.get, collection, id, value_vector=needs_value))
    return JSONAnswer(*shape([document], include or ("key", "value", "metadata"), vector_format))


@router.delete(
    "/{id:path}",
    dependencies=[requires("write"), takes("write")],
    status_code=204,
    responses=refusals(*OF_A_COLLECTION, *WRITING, "document_not_found"),
    response_description="Deleted.",
    summary="Delete one document",
)
async def delete_document(name: NameInPath, id: IdInPath, running: Running, repeatable: Idempotent) -> Response:  # noqa: A002
    """Delete a document; 404 if it does not exist."""

    def answer(_: None) -> Response:
        return Response(status_code=204)

    collection, once = running.catalogue.collection(name), repeatable.once(answer)
    await WRITES.run(store.delete_document, collection, id, once=once)
    return answer(None)
