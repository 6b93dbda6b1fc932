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
    """Return the model of that name, loaded or not; None means the service's model.

    Raises:
        ModelNotFound: the service has no model of that name.
    """
    if encoder is None:
        raise ModelNotFound("this service runs without a model (ENCODER=none): start it with one to encode texts")
    name = encoder.name
    if named is not None and named not in (name, f"{ORGANISATION}/{name}"):
        raise ModelNotFound(f"this service runs {name!r}, model is {named!r}: send that name, or see GET /v1/models")
    return encoder


async def get_model_queue(encoder: LoadingEncoder | None, named: str | None) -> EncodingQueue:
    """Return the queue of the model of that name, once it is loaded.

    Raises:
        ModelNotFound: the service has no model of that name.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    return await get_encoding_queue(find_model(encoder, named))


async def get_encoding_queue(
    encoder: LoadingEncoder | None, settings: CollectionSettings | None = None
) -> EncodingQueue:
    """Return the encoder's queue, once it is loaded; with settings, require the encoder of the collection's vectors.

    Raises:
        InvalidContent: the service has no encoder, or a different one from the collection's.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    if encoder is None:
        raise InvalidContent.at(
            "", "this service runs without an encoder (ENCODER=none): send vectors, not texts, or start it with one"
        )
    if settings is not None and settings.encoder != encoder.name:
        raise _other_encoder(settings, repr(encoder.name), f"ENCODER={settings.encoder}")
    queue = await encoder.ready()
    if isinstance(encoder.failure, LibraryMissing):
        raise LibraryMissing(f"the encoder {encoder.name!r} cannot run here: {encoder.failure}")
    if queue is None:
        reason = encoder.failure or "it is still loading; try again in a moment, or see /readyz"
        raise EncoderUnavailable(f"the encoder {encoder.name!r} is not ready: {reason}")
    if settings is not None and settings.precision != queue.encoder.precision:
        raise _other_encoder(settings, f"it in {queue.encoder.precision}", f"PRECISION={settings.precision}")
    return queue


def get_loaded_encoder(encoder: LoadingEncoder | None, settings: CollectionSettings) -> Encoder | None:
    """Return the encoder of a collection's vectors; None if the service has another one, or has not loaded it yet."""
    loaded = None if encoder is None else encoder.encoder
    same = loaded is not None and (loaded.name, loaded.precision) == (settings.encoder, settings.precision)
    return loaded if same else None


def _other_encoder(recorded: CollectionSettings, runs: str, setting: str) -> InvalidContent:
    return InvalidContent.at(
        "",
        f"the collection's texts were encoded by {recorded.encoder!r} in {recorded.precision} and this service runs "
        f"{runs}: send vectors, or start the service with {setting}",
    )


async def resolve_settings(encoder: LoadingEncoder | None, fields: Mapping[str, Any]) -> CollectionSettings:
    """Return the settings of a new collection: the fields that were sent, and defaults for the others.

    Raises:
        InvalidContent: a field does not fit the encoder, or its value would make every query fail.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    if fields.get("null") == "calibrated":
        raise InvalidContent.at(
            "/null",
            "a collection is calibrated once it is there, by labelled questions: leave null out",
        )
    model = await _encoder(encoder, fields.get("encoder", encoder.name if encoder else None))
    dimension = fields.get("dimension")
    if model is not None and dimension not in (None, model.dimension):
        raise InvalidContent.at(
            "/dimension",
            f"the encoder {model.name!r} makes keys of width {model.dimension}, dimension is {dimension}: "
            'leave it out, or send "encoder": null and bring vectors',
        )
    similarity = fields.get("similarity", model.similarity if model else "cosine")
    width = model.dimension if model else dimension
    temperature = default_temperature(similarity, encoder=model.temperatures if model else None, dimension=width)
    settings = CollectionSettings(
        similarity=similarity,
        temperature=temperature,
        dimension=width,
        value_dimension=fields.get("value_dimension"),
        encoder=model.name if model else None,
        precision=model.precision if model else None,
        value_from=fields.get("value_from", "value"),
        null="auto" if model else False,
    )
    settings = replace(settings, **{k: fields[k] for k in ("temperature", "null") if fields.get(k) is not None})
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
    """Return the encoder's temperature for the similarity, or a usual one without an encoder.

    A gaussian's temperature is the square of a bandwidth; it is 1 unless the encoder has one for distances.

    Args:
        similarity: the similarity of queries and keys.
        encoder: the encoder's temperatures; None without an encoder.
        dimension: the width of the vectors, if it is known.
    """
    if encoder is None:
        return 0.05 if similarity == "cosine" else 1.0
    if similarity == "scaled_dot":
        return encoder["dot"].value / math.sqrt(dimension or 1)
    if similarity == "gaussian":
        return encoder["gaussian"].value if "gaussian" in encoder else 1.0
    return encoder["dot" if similarity == "dot" else "cosine"].value


def settings_before_calibration(settings: CollectionSettings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the temperature and null to restore, if the changes remove the calibration that set them."""
    calibration = Calibration.read(settings.calibration)
    if calibration is None or "calibration" not in changes or changes["calibration"] is not None:
        return {}
    temperature, null = calibration.was
    before = {"temperature": temperature} if settings.temperature == calibration.temperature else {}
    return before | ({"null": null} if settings.null == "calibrated" else {})


def check_temperature(settings: CollectionSettings) -> None:
    """Raise InvalidContent for a temperature that no query could use."""
    if not (settings.temperature == 0 or settings.temperature >= SMALLEST_TEMPERATURE):
        raise InvalidContent.at(
            "/temperature",
            f"temperature is {settings.temperature}: send 0, or a number from {SMALLEST_TEMPERATURE} on",
        )
