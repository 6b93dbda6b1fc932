"""Routes of aliases: other names of collections, which move from one collection to another in one write."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response

from softkv.answers.info import Alias, AliasList
from softkv_service.api.json import JSONAnswer
from softkv_service.api.keyring import Holder
from softkv_service.api.middleware import access_record
from softkv_service.api.middleware.access import require_reach
from softkv_service.api.problems.table import STORED, WITH_BODY, WRITING, refusals
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import json_router, requires, takes
from softkv_service.api.state import Running
from softkv_service.retrieval.collections import AliasChange
from softkv_service.retrieval.documents import decode_cursor, encode_cursor
from softkv_service.scheduling import READS, WRITES
from softkv_service.schemas.alias import AliasTarget
from softkv_service.schemas.wire import MAX_PAGE, AliasName

router = json_router("/v1/aliases", "collections", "read", "collections", "whole")

AliasInPath = Annotated[AliasName, Path(description="The alias.")]
OF_AN_ALIAS = ("alias_not_found", "invalid_content", *STORED)


@router.put(
    "/{alias}",
    dependencies=[requires("write"), takes("write")],
    response_model=Alias,
    responses={
        201: {"model": Alias, "description": "Created."},
        **refusals(*WITH_BODY, *WRITING, "collection_not_found", "alias_conflict"),
    },
    response_description="The alias stands for the collection.",
    summary="Create an alias, or move it to another collection",
)
async def put_alias(
    alias: AliasInPath, body: AliasTarget, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Let an alias stand for a collection: 201 if the alias is new, 200 if it existed.

    It moves at one instant. Each request is about one collection: the one for which the alias stands when the request
    begins. A key for some collections has to cover the collection and the name of the alias.
    """
    holder: Holder = request.state.holder
    access_record.note(collection=body.collection)
    for name in (alias, body.collection):
        require_reach(holder, name)

    def answer(change: AliasChange) -> Response:
        return JSONAnswer(change.record._asdict(), status_code=201 if change.created else 200)

    once = repeatable.once(answer)
    return answer(await WRITES.run(running.catalogue.aliases.put, alias, body.collection, holder.reaches, once=once))


@router.get(
    "",
    response_model=AliasList,
    responses=refusals("invalid_content", *STORED),
    response_description="The aliases.",
    summary="List aliases",
)
async def list_aliases(
    request: Request,
    running: Running,
    prefix: Annotated[str, Query(description="Only aliases that begin with it.")] = "",
    limit: Annotated[
        int | None,
        Query(ge=0, le=MAX_PAGE, description="The maximum number of aliases on a page. Left out: all of them."),
    ] = None,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
) -> Response:
    """List the aliases by name, each with its collection.

    A key for some collections lists only the aliases of these.
    """
    holder: Holder = request.state.holder
    after = decode_cursor(cursor, "")
    page, more = await READS.run(running.catalogue.aliases.page, holder.reaches, prefix, after, limit)
    next_cursor = encode_cursor(page[-1].alias) if more else None
    return JSONAnswer({"aliases": [record._asdict() for record in page], "next_cursor": next_cursor})


@router.get(
    "/{alias}",
    response_model=Alias,
    responses=refusals(*OF_AN_ALIAS),
    response_description="The alias.",
    summary="Read one alias",
)
async def get_alias(alias: AliasInPath, request: Request, running: Running) -> Response:
    """Return the collection for which an alias stands."""
    holder: Holder = request.state.holder
    record = await READS.run(running.catalogue.aliases.get, alias, holder.reaches)
    return JSONAnswer(record._asdict())


@router.delete(
    "/{alias}",
    dependencies=[requires("write"), takes("write")],
    status_code=204,
    responses=refusals(*OF_AN_ALIAS, *WRITING),
    response_description="Deleted.",
    summary="Delete an alias",
)
async def delete_alias(alias: AliasInPath, request: Request, running: Running, repeatable: Idempotent) -> Response:
    """Delete an alias; its collection stays."""
    holder: Holder = request.state.holder
    require_reach(holder, alias)

    def answer(_: None) -> Response:
        return Response(status_code=204)

    once = repeatable.once(answer)
    record = await WRITES.run(running.catalogue.aliases.delete, alias, holder.reaches, once=once)
    access_record.note(collection=record.collection)
    return answer(None)
