"""The model that this service runs: by the names that callers give it, and for the texts of a collection."""

from __future__ import annotations

from service.encoding import ORGANISATION, Encoder, EncodingQueue, LibraryMissing, LoadingEncoder
from service.retrieval.errors import EncoderUnavailable, InvalidContent, ModelNotFound
from service.storage import CollectionSettings


def find_model(encoder: LoadingEncoder | None, named: str | None) -> LoadingEncoder:
    """The model that a caller means, loaded or not; None means the service's own.

    Raises:
        ModelNotFound: there is none of that name.
    """
    if encoder is None:
        raise ModelNotFound("this service runs without a model (ENCODER=none): start it with one to encode texts")
    name = encoder.name
    if named is not None and named not in (name, f"{ORGANISATION}/{name}"):
        raise ModelNotFound(f"this service runs {name!r}, model is {named!r}: send that name, or see GET /v1/models")
    return encoder


async def get_model_queue(encoder: LoadingEncoder | None, named: str | None) -> EncodingQueue:
    """The queue of the model that a caller means, once it is loaded.

    Raises:
        ModelNotFound: there is none of that name.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: it has failed for good in this installation.
    """
    return await get_encoding_queue(find_model(encoder, named))


async def get_encoding_queue(
    encoder: LoadingEncoder | None, wanted_by: CollectionSettings | None = None
) -> EncodingQueue:
    """The encoder's queue, once it is loaded; for a collection, whose vectors must be of this encoder.

    Raises:
        InvalidContent: there is no encoder, or it is not the collection's.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: it has failed for good in this installation.
    """
    if encoder is None:
        raise InvalidContent.at(
            "", "this service runs without an encoder (ENCODER=none): send vectors, not texts, or start it with one"
        )
    if wanted_by is not None and wanted_by.encoder != encoder.name:
        raise _other_encoder(wanted_by, repr(encoder.name), f"ENCODER={wanted_by.encoder}")
    queue = await encoder.ready()
    if isinstance(encoder.failure, LibraryMissing):
        raise LibraryMissing(f"the encoder {encoder.name!r} cannot run here: {encoder.failure}")
    if queue is None:
        reason = encoder.failure or "it is still loading; try again in a moment, or see /readyz"
        raise EncoderUnavailable(f"the encoder {encoder.name!r} is not ready: {reason}")
    if wanted_by is not None and wanted_by.precision != queue.encoder.precision:
        raise _other_encoder(wanted_by, f"it in {queue.encoder.precision}", f"PRECISION={wanted_by.precision}")
    return queue


def get_loaded_encoder(encoder: LoadingEncoder | None, settings: CollectionSettings) -> Encoder | None:
    """The encoder that a collection's vectors are of, where it is this service's and loaded."""
    loaded = None if encoder is None else encoder.encoder
    same = loaded is not None and (loaded.name, loaded.precision) == (settings.encoder, settings.precision)
    return loaded if same else None


def _other_encoder(recorded: CollectionSettings, runs: str, setting: str) -> InvalidContent:
    return InvalidContent.at(
        "",
        f"the collection's texts were encoded by {recorded.encoder!r} in {recorded.precision} and this service runs "
        f"{runs}: send vectors, or start the service with {setting}",
    )
