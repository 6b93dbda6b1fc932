"""A query as it is sent → what the core needs of it: a vector of the keys' width, a null, a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attention.lookup import Background, Mask
from service.encoding.encoder import Encoder
from service.retrieval import filter as filters
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.collections.collection import Snapshot
from service.retrieval.collections.null import NullChoice, Own, Standing, standing
from service.retrieval.errors import InvalidContent
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


async def encoder_background(
    catalogue: Catalogue, record: CollectionRecord, asked: NullChoice | None
) -> Background | None:
    """The background of the collection's encoder, where the null key is to stand on it."""
    choice = record.settings.null if asked is None else asked
    if not isinstance(choice, str) or record.settings.encoder is None:
        return None
    return _background((await catalogue.queue(wanted_by=record.settings)).encoder, record.settings.similarity)


def _background(encoder: Encoder | None, similarity: str) -> Background | None:
    """The encoder's background, of cosines, where they say how similar its vectors are."""
    if encoder is None or not (similarity == "cosine" or encoder.unit_length):
        return None
    return encoder.background


def null_of(
    record: CollectionRecord, own: Callable[[], Own | None], asked: NullChoice | None, encoder: Background | None
) -> float | Background | None:
    """The null key, as asked or else as the collection says: a similarity, or the background it weighs as much as.

    Args:
        own: measures the collection's own background.
        encoder: what `encoder_background` gave for the same choice.
    """
    found = null_standing(record, own, asked, encoder)
    return found.background if isinstance(found, Standing) else found


def null_standing(
    record: CollectionRecord, own: Callable[[], Own | None], asked: NullChoice | None, encoder: Background | None
) -> float | Standing | None:
    """As `null_of`, with whose background it is."""
    choice = record.settings.null if asked is None else asked
    if choice is False:
        return None
    return standing(choice, record, own(), encoder) if isinstance(choice, str) else float(choice)


def null_shown(
    record: CollectionRecord, own: Callable[[], Own | None], encoder: Encoder | None
) -> tuple[Standing | None, float | None]:
    """The background that the collection's null key stands on, and its similarity at the collection's temperature.

    Args:
        encoder: the collection's, where it is loaded.
    """
    choice, temperature = record.settings.null, record.settings.temperature
    if choice is False or not isinstance(choice, str):
        return None, None if choice is False else choice
    if record.settings.encoder is not None and encoder is None:
        return None, None
    found = standing(choice, record, own(), _background(encoder, record.settings.similarity))
    if found is None:
        return None, None
    return found, found.background.null_key(temperature, record.documents - record.keyless).level(temperature)


def mask_of(snapshot: Snapshot, sent: Any) -> Mask | None:
    """A filter → which rows may be attended to."""
    return None if sent is None else snapshot.mask(filters.parse(sent))
