"""A query as it is sent → what the core needs of it: a vector of the keys' width, a null, a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attention.lookup import Mask, View
from service.encoding.background import Background
from service.retrieval import filter as filters
from service.retrieval.catalogue import Catalogue
from service.retrieval.collection import Snapshot
from service.retrieval.errors import InvalidContent
from service.retrieval.null_background import NullChoice, null_similarity
from service.storage import CollectionRecord

Array = np.ndarray[Any, Any]


async def encode_queries(
    catalogue: Catalogue, record: CollectionRecord, queries: Sequence[str | Array], pointers: Sequence[str]
) -> list[Array]:
    """Texts → vectors [d] by the collection's encoder; vectors stay as they are."""
    texts = [query for query in queries if isinstance(query, str)]
    if not texts:
        return [query for query in queries if not isinstance(query, str)]
    if record.settings.encoder is None:
        raise InvalidContent.at(
            pointers[[isinstance(query, str) for query in queries].index(True)],
            f"the query is a text and collection {record.name!r} has no encoder: send the query as a vector",
        )
    queue = await catalogue.queue(wanted_by=record.settings)
    encoded = iter((await queue.encode(texts, "query")).vectors)
    return [next(encoded) if isinstance(query, str) else query for query in queries]


def check_queries(record: CollectionRecord, vectors: Sequence[Array], pointers: Sequence[str]) -> None:
    """Refuse a query of another width than the keys, and one without a direction under cosine."""
    dimension = record.settings.dimension
    for vector, at in zip(vectors, pointers, strict=True):
        if dimension is not None and len(vector) != dimension:
            raise InvalidContent.at(
                at,
                f"query has width {len(vector)}, the keys of {record.name!r} have width {dimension}: "
                "encode both with the same model",
            )
        if record.settings.similarity == "cosine" and not vector.any():
            raise InvalidContent.at(at, "a zero vector has no direction, so no cosine: send another query")


async def background_for(catalogue: Catalogue, record: CollectionRecord, asked: NullChoice | None) -> Background | None:
    """The encoder's background, where the null key is to be measured on it."""
    if (record.settings.null if asked is None else asked) != "auto" or record.settings.encoder is None:
        return None
    return (await catalogue.queue(wanted_by=record.settings)).encoder.background


def null_of(
    record: CollectionRecord, view: View, asked: NullChoice | None, background: Background | None
) -> float | None:
    """The null key's similarity: as asked, else as the collection says."""
    return null_similarity(
        record.settings.null if asked is None else asked,
        similarity=record.settings.similarity,
        documents=view.n,
        dimension=view.dimension or record.settings.dimension,
        background=background,
    )


def mask_of(snapshot: Snapshot, sent: Any) -> Mask | None:
    """A filter → which rows may be attended to."""
    return None if sent is None else snapshot.mask(filters.parse(sent))
