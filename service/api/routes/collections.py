"""Collections: create, change, list and delete them, and describe the metadata fields of their documents."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Request, Response

from service.api.json import JSONAnswer
from service.api.keyring import Holder
from service.api.problems.table import ENCODING, OF_A_COLLECTION, STORED, WITH_BODY, WRITING, refusals
from service.api.routes.calibrate import shape_kept
from service.api.routes.idempotency import Idempotent
from service.api.routing import json_router, reaches, requires, takes
from service.api.state import NameInPath, Running
from service.retrieval import CollectionNotFound
from service.retrieval import documents as store
from service.retrieval.collections import (
    CatalogueChange,
    Collection,
    NullBackground,
    describe_null,
    get_loaded_encoder,
    parse_filter,
)
from service.retrieval.documents import decode_cursor, encode_cursor
from service.scheduling import READS, WRITES
from service.schemas.collection import (
    MAX_FIELDS,
    CollectionAnswer,
    CollectionChange,
    CollectionList,
    CollectionSettings,
    FieldsAnswer,
    FieldsQuery,
)
from service.schemas.wire import MAX_PAGE
from service.storage import CollectionRecord, DocumentDamaged, Reader

router = json_router("/v1/collections", "collections", "read", "collection")


def _describe(collection: Collection) -> dict[str, Any]:
    with collection.reading() as (record, reader):
        return _described(collection, record, reader)


def _described(collection: Collection, record: CollectionRecord, reader: Reader) -> dict[str, Any]:
    keys = collection.keys if collection.ready else None
    background, level = None, None
    with suppress(DocumentDamaged):  # which asking says, and /readyz
        own = partial(collection.sample.own, record, reader)
        encoder = get_loaded_encoder(collection.encoder, record.settings)
        background, level = describe_null(record, own, encoder, record.attendable if keys is None else keys)
    settings = record.settings
    return {
        "name": record.name,
        "similarity": settings.similarity,
        "dimension": settings.dimension,
        "value_dimension": settings.value_dimension,
        "encoder": settings.encoder,
        "precision": settings.precision,
        "value_from": settings.value_from,
        "temperature": settings.temperature,
        "null": settings.null,
        "background": None if background is None else shape_background(background),
        "null_similarity": level,
        "calibration": shape_kept(record),
        "documents": record.attendable,
        "keyless": record.keyless,
        "keys": keys,
        "ready": collection.ready,
    }


def shape_background(found: NullBackground) -> dict[str, Any]:
    """The background of a null key, as the API answers it."""
    mean, deviation = found.background.mean, found.background.deviation
    short = None if found.short is None else {"mean": found.short.mean, "deviation": found.short.deviation}
    return {"mean": mean, "deviation": deviation, "of": found.of, "pairs": found.pairs, "short": short}


def _describe_all(collections: Iterable[Collection]) -> list[dict[str, Any]]:
    described = []
    for collection in collections:
        with suppress(CollectionNotFound):  # deleted meanwhile
            described.append(_describe(collection))
    return described


def _changed(change: CatalogueChange) -> Response:
    described = _described(change.collection, change.record, change.reader)
    return JSONAnswer(described, status_code=201 if change.created else 200)


def _said(body: CollectionSettings | CollectionChange) -> dict[str, Any]:
    """The fields that say something; only for encoder and calibration is null a choice."""
    sent = body.model_dump(exclude_unset=True)
    return {
        field: choice for field, choice in sent.items() if choice is not None or field in ("encoder", "calibration")
    }


@router.put(
    "/{name}",
    dependencies=[requires("write"), takes("write")],
    response_model=CollectionAnswer,
    responses={
        201: {"model": CollectionAnswer, "description": "Created."},
        **refusals(*WITH_BODY, *WRITING, "collection_conflict", "collection_loading", *ENCODING),
    },
    response_description="It exists, and every field sent is as it is.",
    summary="Create a collection, or confirm that it is as you think",
)
async def put_collection(
    name: NameInPath, body: CollectionSettings, running: Running, repeatable: Idempotent
) -> Response:
    """201 where it is new; 200 where it exists and the fields sent are equal; else 409."""
    wanted = _said(body)
    collection, created = await running.catalogue.create(name, wanted, once=repeatable.once(_changed))
    return JSONAnswer(await READS.run(_describe, collection), status_code=201 if created else 200)


@router.patch(
    "/{name}",
    dependencies=[requires("write"), takes("write")],
    response_model=CollectionAnswer,
    responses=refusals(*WITH_BODY, *WRITING, "collection_not_found", "collection_loading"),
    response_description="The collection as it is now.",
    summary="Change temperature or null, or take a calibration away",
)
async def patch_collection(
    name: NameInPath, body: CollectionChange, running: Running, repeatable: Idempotent
) -> Response:
    """What a collection was encoded with and how it compares is fixed; how it is asked may change."""
    changes, once = _said(body), repeatable.once(_changed)
    collection = await WRITES.run(running.catalogue.change, name, changes, once=once)
    return JSONAnswer(await READS.run(_describe, collection))


@router.get(
    "",
    dependencies=[reaches("collections")],
    response_model=CollectionList,
    responses=refusals("invalid_content", *STORED),
    response_description="The collections.",
    summary="Every collection, or a page of them",
)
async def list_collections(
    request: Request,
    running: Running,
    prefix: Annotated[str, Query(description="Only those whose name begins with it.")] = "",
    limit: Annotated[
        int | None, Query(ge=0, le=MAX_PAGE, description="Collections on a page. Left out: all of them.")
    ] = None,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Response:
    """By name; and whether this caller may write. A collection present throughout is seen exactly once.

    A demo collection that is being loaded is here as soon as it is made, and not `ready`.

    Of a key that is for some collections, these are all there are.
    """
    holder: Holder = request.state.holder
    own = holder.prefix
    if own.startswith(prefix):
        prefix = own
    after = decode_cursor(cursor, "")
    page, more = running.catalogue.page(prefix, after, limit) if prefix.startswith(own) else ([], False)
    described = await READS.run(_describe_all, page)
    for collection in described:
        if running.demo.holds(collection["name"]):
            collection |= {"ready": False, "keys": None}
    next_cursor = encode_cursor(page[-1].name) if more else None
    return JSONAnswer({"collections": described, "next_cursor": next_cursor, "access": holder.level})


@router.get(
    "/{name}",
    response_model=CollectionAnswer,
    responses=refusals(*OF_A_COLLECTION),
    response_description="The collection.",
    summary="One collection",
)
async def get_collection(name: NameInPath, running: Running) -> Response:
    """Its settings, how many documents it holds, and whether it is ready to be asked."""
    collection = running.catalogue.collection(name)
    return JSONAnswer(await READS.run(_describe, collection))


@router.delete(
    "/{name}",
    dependencies=[requires("write"), takes("write")],
    status_code=204,
    responses=refusals(*OF_A_COLLECTION, *WRITING),
    response_description="Deleted.",
    summary="Delete a collection and its documents",
)
async def delete_collection(name: NameInPath, running: Running, repeatable: Idempotent) -> Response:
    """Readers that have begun finish on what they began with."""

    def answer(_: None) -> Response:
        return Response(status_code=204)

    await WRITES.run(running.catalogue.delete, name, once=repeatable.once(answer))
    return answer(None)


fields_router = json_router("/v1/collections/{name}/documents", "documents", "read", "collection")


@fields_router.post(
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
        max_fields=MAX_FIELDS,
        condition=condition,
        values=body.limit if body.values else 0,
        after=after,
    )
    fields = {field: asdict(facts) | {"next_cursor": page.cursors.get(field)} for field, facts in page.facts.items()}
    if not body.values:
        fields = {field: facts | {"values": None} for field, facts in fields.items()}
    return JSONAnswer({"fields": fields, "next_cursor": page.next_cursor})
