"""Settings of a new collection, and the encoder that they refer to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attention import SMALLEST_TEMPERATURE
from service.encoding import ORGANISATION, Encoder, EncodingQueue, LibraryMissing, LoadingEncoder, Temperatures
from service.retrieval.calibration import Calibration
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


async def resolve_settings(encoder: LoadingEncoder | None, wanted: Mapping[str, Any]) -> CollectionSettings:
    """The settings of a collection for which the fields `wanted` were sent, in a service that runs this encoder.

    Raises:
        InvalidContent: a field that does not fit the encoder, or that no query could use.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    if wanted.get("null") == "calibrated":
        raise InvalidContent.at(
            "/null",
            "a collection is calibrated once it is there, by labelled questions: leave null out",
        )
    own = await _encoder(encoder, wanted.get("encoder", encoder.name if encoder else None))
    dimension = wanted.get("dimension")
    if own is not None and dimension not in (None, own.dimension):
        raise InvalidContent.at(
            "/dimension",
            f"the encoder {own.name!r} makes keys of width {own.dimension}, dimension is {dimension}: "
            'leave it out, or send "encoder": null and bring vectors',
        )
    similarity = wanted.get("similarity", own.similarity if own else "cosine")
    width = own.dimension if own else dimension
    temperature = default_temperature(similarity, encoder=own.temperatures if own else None, dimension=width)
    settings = CollectionSettings(
        similarity=similarity,
        temperature=temperature,
        dimension=width,
        value_dimension=wanted.get("value_dimension"),
        encoder=own.name if own else None,
        precision=own.precision if own else None,
        value_from=wanted.get("value_from", "value"),
        null="auto" if own else False,
    )
    settings = replace(settings, **{k: wanted[k] for k in ("temperature", "null") if wanted.get(k) is not None})
    check_temperature(settings)
    return settings


async def _encoder(encoder: LoadingEncoder | None, name: str | None) -> Encoder | None:
    if name is None:
        return None
    if encoder is None or name != encoder.name:
        runs = repr(encoder.name) if encoder else "none"
        raise InvalidContent.at(
            "/encoder", f"the service's encoder is {runs}, encoder is {name!r}: leave it out, or send null"
        )
    return (await get_encoding_queue(encoder)).encoder


def default_temperature(similarity: str, *, encoder: Temperatures | None, dimension: int | None) -> float:
    """Its encoder's, or without one what is usual.

    A gaussian's temperature is the square of a bandwidth, and 1 unless the encoder's maker compares by distance.
    """
    if encoder is None:
        return 0.05 if similarity == "cosine" else 1.0
    if similarity == "scaled_dot":
        return encoder["dot"].value / math.sqrt(dimension or 1)
    if similarity == "gaussian":
        return encoder["gaussian"].value if "gaussian" in encoder else 1.0
    return encoder["dot" if similarity == "dot" else "cosine"].value


def settings_before_calibration(settings: CollectionSettings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Temperature and null as they were, where a calibration is taken away that they are still of."""
    found = Calibration.read(settings.calibration)
    if found is None or "calibration" not in changes or changes["calibration"] is not None:
        return {}
    temperature, null = found.was
    before = {"temperature": temperature} if settings.temperature == found.temperature else {}
    return before | ({"null": null} if settings.null == "calibrated" else {})


def check_temperature(settings: CollectionSettings) -> None:
    """Refuse a temperature that no query could use."""
    if not (settings.temperature == 0 or settings.temperature >= SMALLEST_TEMPERATURE):
        raise InvalidContent.at(
            "/temperature",
            f"temperature is {settings.temperature}: send 0, or a number from {SMALLEST_TEMPERATURE} on",
        )
