"""The models that this service runs, by the names that callers give them."""

from __future__ import annotations

from service.encoding.queue.loading import LoadingEncoder
from service.encoding.queue.queue import EncodingQueue
from service.encoding.registry import ORGANISATION
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.errors import ModelNotFound


def model_of(catalogue: Catalogue, asked: str | None) -> LoadingEncoder:
    """The model that a caller means, loaded or not; None means the service's own.

    Raises:
        ModelNotFound: there is none of that name.
    """
    if catalogue.encoder is None:
        raise ModelNotFound("this service runs without a model (ENCODER=none): start it with one to encode texts")
    name = catalogue.encoder.name
    if asked is not None and asked not in (name, f"{ORGANISATION}/{name}"):
        raise ModelNotFound(f"this service runs {name!r}, model is {asked!r}: send that name, or see GET /v1/models")
    return catalogue.encoder


async def model_queue(catalogue: Catalogue, asked: str | None) -> EncodingQueue:
    """The queue of the model that a caller means, once it is loaded.

    Raises:
        ModelNotFound: there is none of that name.
        EncoderUnavailable: it is still loading, or has failed.
    """
    model_of(catalogue, asked)
    return await catalogue.queue()
