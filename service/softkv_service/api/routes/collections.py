"""Routes of collections: create, change, list and delete them, and describe the fields of their documents."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Request, Response

from softkv.answers.info import CollectionInfo, CollectionList, FieldsAnswer
from softkv_attention.lookup import Background, BoundedBackground
from softkv_service.api.json import JSONAnswer, pick
from softkv_service.api.keyring import Holder
from softkv_service.api.problems.table import ENCODING, OF_A_COLLECTION, STORED, WITH_BODY, WRITING, refusals
from softkv_service.api.routes.calibrate import shape_kept
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routes.projection import shape_kept_projection
from softkv_service.api.routes.re_encoding import shape_job
from softkv_service.api.routing import filters, json_router, reaches, requires, takes
from softkv_service.api.state import NameInPath, Running, instant_of
from softkv_service.retrieval import AliasConflict, CollectionNotFound
from softkv_service.retrieval import documents as store
from softkv_service.retrieval.collections import (
    CatalogueChange,
    Collection,
    get_known_facts,
    parse_filter,
    require_late,
)
from softkv_service.retrieval.documents import decode_cursor, encode_cursor
from softkv_service.retrieval.queries import LOST_CALIBRATION, format_defaults, read_defaults
from softkv_service.retrieval.verdict import LATE_WAITS, NullBackground, describe_null, late_waits
from softkv_service.scheduling import READS, WRITES
from softkv_service.schemas.collection import MAX_FIELDS, CollectionChange, CollectionSettings, FieldsQuery
from softkv_service.schemas.instants import format_duration
from softkv_service.schemas.wire import MAX_PAGE
from softkv_service.storage import Reader
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import CollectionRecord

NULL_COUNTS = ("encoder", "calibration", "projection", "expire_after")
"""The fields in which null has a meaning of its own."""

router = json_router("/v1/collections", "collections", "read", "collection", "filtered")


def _describe(collection: Collection) -> dict[str, Any]:
    # Counted first: a thread that waits for a second connection while it has one would hold up all others.
    keys = collection.keys if collection.ready else None
    with collection.reading() as (record, reader):
        return _describe_record(collection, record, reader, keys)


def _describe_record(
    collection: Collection, record: CollectionRecord, reader: Reader, keys: int | None
) -> dict[str, Any]:
    background, level = None, None
    counted, visible = collection.with_counts(record, reader), collection.visible(record, reader)
    with suppress(DocumentDamaged):  # a lookup and /readyz report it
        encoder = get_known_facts(collection.encoders, record.settings)
        background, level = describe_null(
            counted, partial(collection.own, record, reader), encoder, visible.attendable if keys is None else keys
        )
    settings = record.settings
    return {
        "name": record.name,
        **pick(settings, "similarity", "dimension", "value_dimension", "encoder", "precision"),
        **pick(settings, "value_from", "temperature", "null"),
        "background": None if background is None else shape_background(background),
        "null_similarity": level,
        "calibration": shape_kept(counted),
        "projection": shape_kept_projection(record),
        "defaults": None if settings.defaults is None else read_defaults(settings.defaults),
        "expire_after": format_duration(settings.expire_after),
        "late": settings.late,
        "words": None,
        "values": None,
        "documents": visible.attendable,
        "keyless": visible.keyless,
        "keys": keys,
        "expired": collection.count_expired(record, reader),
        "ready": collection.ready,
        "costs": None,
        "re_encode": None,
        "notice": LOST_CALIBRATION if settings.has_lost_calibration else LATE_WAITS if late_waits(settings) else None,
    }


def _describe_in_full(collection: Collection) -> dict[str, Any]:
    described = _describe(collection)
    with suppress(DocumentDamaged), collection.reading() as (record, reader):
        is_unrestricted = collection.restriction.condition is None
        job = store.read_last_job(record.name, reader) if is_unrestricted else None
        described["re_encode"] = None if job is None else shape_job(job)
        if record.settings.late and is_unrestricted:
            described["words"] = reader.count_words(record.id)._asdict()
        if record.settings.encoder is not None and record.settings.value_from == "value":
            waiting, failed = map(len, reader.find_waiting_values(record.id))
            encoded = collection.visible(record, reader).attendable - waiting - failed
            described["values"] = {"encoded": encoded, "waiting": waiting, "failed": failed}
        costs = collection.costs(record, reader)
        if costs is not None:
            p99 = None if costs.p99_seconds is None else costs.p99_seconds * 1e3
            sizes = pick(costs, "memory_bytes", "disk_bytes")
            described["costs"] = {**sizes, "asked": costs.questions, "p99_ms": p99}
    return described


def shape_background(null: NullBackground) -> dict[str, Any]:
    """Return the JSON of how similar unrelated questions and documents are, from which the null key is computed."""
    background = _with_bounds(null.background)
    at_least = background.at_least
    return {
        **_shape_capped(background),
        **pick(null, "of", "pairs"),
        "short": null.short and _shape_capped(_with_bounds(null.short)),
        "at_least": at_least and _shape_capped(_with_bounds(at_least)),
        "fades_from": at_least and background.fades_from,
    }


def _with_bounds(background: Background) -> BoundedBackground:
    if isinstance(background, BoundedBackground):
        return background
    return BoundedBackground(background.mean, background.deviation)


def _shape_capped(background: BoundedBackground) -> dict[str, Any]:
    return pick(background, "mean", "deviation", "at_most")


def _describe_all(collections: Iterable[Collection]) -> list[dict[str, Any]]:
    described = []
    for collection in collections:
        with suppress(CollectionNotFound):  # deleted meanwhile
            described.append(_describe(collection))
    return described


def _answer_change(change: CatalogueChange) -> Response:
    collection = change.collection
    keys = 0 if change.created else collection.keys if collection.ready else None
    reader = collection.leave_out_expired(change.record, change.reader)
    described = _describe_record(collection, change.record, reader, keys)
    return JSONAnswer(described, status_code=201 if change.created else 200)


def _meaningful_fields(body: CollectionSettings | CollectionChange) -> dict[str, Any]:
    """Return the fields of a body that count as sent.

    A field that is null counts only if null has a meaning of its own; for `defaults`, only in a change.
    """
    sent = body.model_dump(exclude_unset=True, exclude={"defaults"})
    fields = {field: value for field, value in sent.items() if value is not None or field in NULL_COUNTS}
    if "defaults" in body.model_fields_set and (body.defaults is not None or isinstance(body, CollectionChange)):
        fields["defaults"] = None if body.defaults is None else format_defaults(body.defaults)
    return fields


@router.put(
    "/{name}",
    dependencies=[requires("write"), takes("write"), filters("whole"), reaches("collection", by_alias=False)],
    response_model=CollectionInfo,
    responses={
        201: {"model": CollectionInfo, "description": "Created."},
        **refusals(*WITH_BODY, *WRITING, "collection_conflict", "alias_conflict", "collection_loading", *ENCODING),
    },
    response_description="The collection exists, and every field of the request matches it.",
    summary="Create a collection, or confirm its settings",
)
async def put_collection(
    name: NameInPath, body: CollectionSettings, running: Running, repeatable: Idempotent
) -> Response:
    """Create a collection (201), or confirm that an existing one matches every field of the request (200).

    If it differs, answer 409.
    """
    settings = _meaningful_fields(body)
    collection, created = await running.catalogue.create(name, settings, once=repeatable.once(_answer_change))
    return JSONAnswer(await READS.run(_describe, collection), status_code=201 if created else 200)


@router.patch(
    "/{name}",
    dependencies=[requires("write"), takes("write"), filters("whole")],
    response_model=CollectionInfo,
    responses=refusals(*WITH_BODY, *WRITING, "collection_not_found", "collection_loading", *ENCODING),
    response_description="The changed collection.",
    summary="Change the temperature, the null key, the defaults or late, or remove calibration or projection",
)
async def patch_collection(
    name: NameInPath, body: CollectionChange, running: Running, repeatable: Idempotent
) -> Response:
    """Change a collection's defaults for queries. Its similarity cannot be changed; its encoder by `re-encode`."""
    changes, once = _meaningful_fields(body), repeatable.once(_answer_change)
    if body.late:
        collection = running.catalogue.collection(name)
        await require_late(collection.encoders, collection.record.settings)
    collection = await WRITES.run(running.catalogue.change, name, changes, once=once)
    return JSONAnswer(await READS.run(_describe, collection))


@router.get(
    "",
    dependencies=[reaches("collections")],
    response_model=CollectionList,
    responses=refusals("invalid_content", *STORED),
    response_description="The collections.",
    summary="List collections",
)
async def list_collections(
    request: Request,
    running: Running,
    prefix: Annotated[str, Query(description="Only collections whose name begins with it.")] = "",
    limit: Annotated[
        int | None,
        Query(ge=0, le=MAX_PAGE, description="The maximum number of collections on a page. Left out: all of them."),
    ] = None,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
) -> Response:
    """List the collections by name, and the access of this caller.

    While pages are read, a collection that exists throughout is listed exactly once. A demo collection that is being
    loaded is listed as soon as it is made, and is not `ready`. A key for some collections lists only these.
    """
    holder: Holder = request.state.holder
    after = decode_cursor(cursor, "")
    prefixes = holder.prefixes_within(prefix)
    page, more = ([], False) if prefixes is None else running.catalogue.page(prefixes, after, limit)
    described = await READS.run(_describe_all, page)
    for collection in described:
        if running.demo.holds(collection["name"]):
            collection |= {"ready": False, "keys": None}
    next_cursor = encode_cursor(page[-1].name) if more else None
    return JSONAnswer({"collections": described, "next_cursor": next_cursor, "access": holder.level})


@router.get(
    "/{name}",
    response_model=CollectionInfo,
    responses=refusals(*OF_A_COLLECTION),
    response_description="The collection.",
    summary="Describe one collection",
)
async def get_collection(name: NameInPath, running: Running) -> Response:
    """Return the settings of a collection, its size, and whether it is ready for queries.

    `re_encode` is its last move to another encoder: how far it is, and why it is paused or has failed.
    """
    collection = running.catalogue.collection(name)
    return JSONAnswer(await READS.run(_describe_in_full, collection))


@router.delete(
    "/{name}",
    dependencies=[requires("write"), takes("write"), filters("whole"), reaches("collection", by_alias=False)],
    status_code=204,
    responses=refusals(*OF_A_COLLECTION, *WRITING, "alias_conflict"),
    response_description="Deleted.",
    summary="Delete a collection and its documents",
)
async def delete_collection(name: NameInPath, request: Request, running: Running, repeatable: Idempotent) -> Response:
    """Delete a collection and its aliases. Reads that have begun finish with its data.

    The collection is named by its own name: an alias answers 409.
    """
    holder: Holder = request.state.holder
    if (target := running.catalogue.aliases.find(name, holder.reaches)) is not None:
        raise AliasConflict(
            f"{name!r} is an alias of {target!r}: delete that collection by its own name, or the alias with DELETE "
            f"/v1/aliases/{name}"
        )

    def answer(_: None) -> Response:
        return Response(status_code=204)

    await WRITES.run(running.catalogue.delete, name, once=repeatable.once(answer))
    return answer(None)


fields_router = json_router("/v1/collections/{name}/documents", "documents", "read", "collection", "filtered")


@fields_router.post(
    "/fields",
    response_model=FieldsAnswer,
    responses=refusals(*WITH_BODY, *OF_A_COLLECTION),
    response_description="The facts of each field.",
    summary="Describe the fields of the metadata",
)
async def describe_fields(name: NameInPath, body: FieldsQuery, request: Request, running: Running) -> Response:
    """Return statistics of a collection's metadata fields: types, counts, smallest and largest values.

    On request, also return their values, each with its number of documents.
    """
    after = store.decode_field_cursor(body.cursor)
    condition = parse_filter(body.filter, instant_of(request))
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
