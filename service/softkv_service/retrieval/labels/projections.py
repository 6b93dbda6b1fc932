"""Projections: maps of queries that were trained on labelled pairs, stored with their collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from softkv_service.encoding import TOPICS, Backgrounds, measure_background
from softkv_service.retrieval.collections import Catalogue, CatalogueChange, Collection, get_encoding_queue
from softkv_service.retrieval.errors import CollectionConflict, Flaw, InvalidContent
from softkv_service.retrieval.projection import Projection, TrainingReport, read_projection
from softkv_service.scheduling import ARRAYS, READS, WRITES
from softkv_service.storage import IdempotentWrite
from softkv_service.storage.records import CollectionRecord

Array = np.ndarray[Any, Any]

MAX_RANK = 1024
"""The most directions of a projection."""

MAX_NORM = 1e6
"""The most by which a projection may lengthen a query: more would leave nothing of it in float32."""


@dataclass(frozen=True)
class ProjectionChange:
    """A projection that was stored, and the settings that its collection lost by it."""

    collection: Collection
    projection: Projection
    drops: tuple[str, ...]


async def put_projection(
    catalogue: Catalogue,
    name: str,
    down: Sequence[Array],
    up: Sequence[Array],
    *,
    encoder: str | None = None,
    trained: TrainingReport | None = None,
    now: float,
    once: IdempotentWrite[ProjectionChange] | None = None,
) -> ProjectionChange:
    """Store the projection of a collection, in place of an older one; its calibration is dropped.

    How similar mapped questions and unrelated texts are is measured here, since the null key follows from it.

    Args:
        catalogue: the collections.
        name: the collection.
        down, up: r vectors [d] each, see `Projection`.
        encoder: the encoder that the collection must have; None for any.
        trained: its quality on labelled pairs.
        now: the time, in seconds of Unix time.
        once: makes a repeated request get its first answer; None without an Idempotency-Key.

    Raises:
        InvalidContent: the vectors do not fit each other or the keys, or they are too long.
        CollectionConflict: the collection has another encoder, or was changed meanwhile.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    collection = catalogue.collection(name)
    record = await READS.run(_read_record, collection)
    if encoder is not None and encoder != record.settings.encoder:
        raise CollectionConflict(
            f"the projection is of the encoder {encoder!r}, and collection {name!r} has {record.settings.encoder!r}: "
            "train it again"
        )
    _check_vectors(record, down, up)
    unmeasured = Projection(np.stack(down), np.stack(up), now, None, trained)
    projection = await _measure(collection, record, unmeasured)
    drops = ("calibration",) if record.settings.calibration is not None else ()
    result = ProjectionChange(collection, projection, drops)

    def result_of(_: CatalogueChange) -> ProjectionChange:
        return result

    adapted = None if once is None else once.adapt(result_of)
    changes = {"projection": projection.text()}
    await WRITES.run(partial(catalogue.change, name, changes, once=adapted, of=record))
    return result


def find_projection(collection: Collection) -> Projection | None:
    """Return the projection of a collection, or None; blocks."""
    return read_projection(_read_record(collection).settings)


def _read_record(collection: Collection) -> CollectionRecord:
    with collection.reading() as (record, _):
        return record


def _check_vectors(record: CollectionRecord, down: Sequence[Array], up: Sequence[Array]) -> None:
    """Raise InvalidContent if the vectors of a projection do not fit each other or the keys, or are too long."""
    if len(down) != len(up):
        raise InvalidContent.at(
            "/up", f"{len(down)} vectors came in down and {len(up)} in up: send one of up for each of down"
        )
    dimension = record.settings.dimension
    if dimension is None:
        raise InvalidContent.at("", f"collection {record.name!r} has no keys, so no width yet: write documents first")
    flaws = [
        Flaw(
            f"/{field}/{i}",
            f"the vector has width {len(vector)}, the keys of {record.name!r} have width {dimension}: train the "
            "projection on this collection",
        )
        for field, vectors in (("down", down), ("up", up))
        for i, vector in enumerate(vectors)
        if len(vector) != dimension
    ]
    if flaws:
        raise InvalidContent(flaws)
    norm = np.prod([np.linalg.norm(np.stack(vectors).astype(np.float64)) for vectors in (down, up)])
    if not norm <= MAX_NORM:
        raise InvalidContent.at(
            "/up",
            f"the projection may lengthen a query by a factor of {norm:.3g}: wanted at most {MAX_NORM:g}, as the "
            "product of the norms of down and up",
        )


async def _measure(collection: Collection, record: CollectionRecord, projection: Projection) -> Projection:
    """Return the projection with its backgrounds, if the collection has an encoder."""
    if record.settings.encoder is None:
        return projection
    queue = await get_encoding_queue(collection.encoders, record.settings)
    names = [topic.name for topic in TOPICS]
    pairs = ([topic.question for topic in TOPICS], [topic.text for topic in TOPICS]), (names, names)
    encoded = [
        ((await queue.encode(questions, "query")).vectors, (await queue.encode(texts, "document")).vectors)
        for questions, texts in pairs
    ]

    def measure() -> Projection:
        similarity = record.settings.similarity
        texts, short = (
            measure_background(projection.map_queries(questions), texts, similarity) for questions, texts in encoded
        )
        return Projection(projection.down, projection.up, projection.at, Backgrounds(texts, short), projection.trained)

    return await ARRAYS.run(measure)
