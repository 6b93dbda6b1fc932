"""Routes of a collection's projection: store one that was trained, and read it. PATCH removes it."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from softkv.answers.arrays import ProjectionFound
from softkv.answers.info import ProjectionInfo
from softkv_service.api.json import JSONAnswer
from softkv_service.api.problems.table import ENCODING_FOR_COLLECTION, OF_A_COLLECTION, WITH_BODY, WRITING, refusals
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import filters, json_router, requires, takes
from softkv_service.api.state import NameInPath, Running, collection_behind, instant_of
from softkv_service.retrieval.labels import ProjectionChange, find_projection, put_projection
from softkv_service.retrieval.projection import Projection, TrainingReport, read_projection
from softkv_service.scheduling import READS
from softkv_service.schemas.instants import format_time
from softkv_service.schemas.projection import ProjectionRequest
from softkv_service.schemas.vector import write_vector
from softkv_service.schemas.wire import VectorFormat
from softkv_service.storage.instants import SECOND
from softkv_service.storage.records import CollectionRecord

router = json_router("/v1/collections", "collections", "read", "collection", "whole")


@router.put(
    "/{name}/projection",
    dependencies=[requires("write"), takes("write"), filters("whole")],
    response_model=ProjectionInfo,
    responses=refusals(*WITH_BODY, *OF_A_COLLECTION, *WRITING, "collection_conflict", *ENCODING_FOR_COLLECTION),
    response_description="The projection is stored.",
    summary="Store a projection of queries",
)
async def store_projection(
    name: NameInPath, body: ProjectionRequest, request: Request, running: Running, repeatable: Idempotent
) -> Response:
    """Store a map of queries, in place of an older one: every query is mapped by it from then on, text or vector.

    Keys stay as they are, and so does a document that a query names. A calibration is of other similarities: it is
    dropped, and `drops` lists it. `softkv train` makes such a map of labelled pairs. A PATCH of the collection with
    `"projection": null` removes it.
    """

    def answer(change: ProjectionChange) -> Response:
        described = _shape_projection(change.projection)
        return JSONAnswer({**described, "drops": list(change.drops), **collection_behind(request)})

    trained = None if body.trained is None else TrainingReport(**body.trained.model_dump())
    return answer(
        await put_projection(
            running.catalogue,
            name,
            body.down,
            body.up,
            encoder=body.encoder,
            trained=trained,
            now=instant_of(request) / SECOND,
            once=repeatable.once(answer),
        )
    )


@router.get(
    "/{name}/projection",
    response_model=ProjectionFound,
    responses=refusals(*OF_A_COLLECTION),
    response_description="The projection, or null.",
    summary="Read the projection of queries",
)
async def get_projection(
    name: NameInPath, request: Request, running: Running, vector_format: VectorFormat = "numbers"
) -> Response:
    """Return the map of a collection's queries, in the form in which it is stored with a PUT."""
    stored = await READS.run(find_projection, running.catalogue.collection(name))
    if stored is None:
        return JSONAnswer({"projection": None, **collection_behind(request)})
    vectors = {
        field: [write_vector(vector, vector_format) for vector in directions]
        for field, directions in (("down", stored.down), ("up", stored.up))
    }
    return JSONAnswer({"projection": {**_shape_projection(stored), **vectors}, **collection_behind(request)})


def shape_kept_projection(record: CollectionRecord) -> dict[str, Any] | None:
    """Return the JSON of a collection's projection without its vectors, or None if it has none."""
    stored = read_projection(record.settings)
    return None if stored is None else _shape_projection(stored)


def _shape_projection(projection: Projection) -> dict[str, Any]:
    return {"rank": projection.rank, "at": format_time(projection.at), "trained": projection.trained}
