"""Settings of a new collection, and the encoder that they refer to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from softkv_attention import SMALLEST_TEMPERATURE
from softkv_service.encoding import (
    COMPARABLE,
    ORGANISATION,
    EncoderFacts,
    Encoders,
    EncodingQueue,
    Late,
    LibraryMissing,
    LoadingEncoder,
    LoadingModel,
    ProviderUnavailable,
    Reranker,
    Temperatures,
    TextModel,
    WordModel,
)
from softkv_service.retrieval.calibration import Calibration
from softkv_service.retrieval.errors import EncoderMissing, EncoderUnavailable, InvalidContent, ModelNotFound
from softkv_service.retrieval.question import NullChoice
from softkv_service.retrieval.verdict import CALIBRATED
from softkv_service.storage.records import CollectionRecord, CollectionSettings

Model = TypeVar("Model", bound=TextModel)

COMPARED_BY = ("cosine", "dot")
"""The similarities of collections for which late interaction is."""


def find_model(encoders: Encoders, named: str | None) -> LoadingEncoder:
    """Return the model of that name, loaded or not; None means the service's default model.

    Raises:
        ModelNotFound: the service has no model of that name.
    """
    if encoders.default is None:
        raise ModelNotFound("this service runs without a model (ENCODER=none): start it with one to encode texts")
    if named is None:
        return encoders.default
    model = encoders.find(named) or encoders.find(named.removeprefix(f"{ORGANISATION}/"))
    if model is None:
        raise ModelNotFound(
            f"this service runs {', '.join(encoders.names)}, model is {named!r}: send one of these names, or see "
            "GET /v1/models"
        )
    return model


async def get_model_queue(encoders: Encoders, named: str | None) -> EncodingQueue:
    """Return the queue of the model of that name, once it is loaded.

    Raises:
        ModelNotFound: the service has no model of that name.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    return await _queue_of(find_model(encoders, named))


async def get_encoding_queue(encoders: Encoders, settings: CollectionSettings | None = None) -> EncodingQueue:
    """Return the queue of the service's default encoder, or of the one that encoded a collection; load it if needed.

    Args:
        encoders: the encoders of the service.
        settings: those of the collection, which has an encoder; None for the default encoder.

    Raises:
        InvalidContent: the service has no encoder.
        EncoderMissing: the service has no encoder with the vectors of the collection.
        EncoderUnavailable: the encoder is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    if settings is None:
        if encoders.default is None:
            raise InvalidContent.at(
                "", "this service runs without an encoder (ENCODER=none): send vectors, not texts, or start it with one"
            )
        return await _queue_of(encoders.default)
    encoder = find_encoder(encoders, settings)
    if encoder is None:
        raise EncoderMissing(_describe_missing(encoders, settings))
    queue = await _queue_of(encoder)
    if not _are_comparable(settings.precision, queue.encoder.precision):
        raise EncoderMissing(
            f"the collection's texts were encoded by {settings.encoder!r} in {settings.precision} and this service "
            f"runs it in {queue.encoder.precision}: send vectors, start the service with PRECISION="
            f"{settings.precision}, or re-encode the collection"
        )
    return queue


async def get_reranker_queue(
    encoders: Encoders, named: str | None, pointer: str | None = None
) -> EncodingQueue[Reranker]:
    """Return the queue of the reranker of that name, once it is loaded.

    Args:
        encoders: the encoders and rerankers of the service.
        named: the name; None for the first reranker.
        pointer: the position of the name in a request in which another name is invalid; None if it is not found.

    Raises:
        ModelNotFound: the service has no reranker of that name.
        InvalidContent: as `ModelNotFound`, if there is a pointer.
        EncoderUnavailable: it is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    rerankers = encoders.rerankers
    reranker = next(iter(rerankers.values()), None) if named is None else rerankers.get(named)
    if reranker is not None:
        return await _queue_of(reranker, "reranker")
    if not rerankers:
        message = "this service has no reranker: add a table [rerankers.NAME] to the file of encoders (SOFTKV_ENCODERS)"
    else:
        message = (
            f"the rerankers of this service are {', '.join(rerankers)}, model is {named!r}: send one of these names"
        )
    if pointer is None:
        raise ModelNotFound(message)
    raise InvalidContent.at(pointer, message)


async def get_words_queue(
    encoders: Encoders, settings: CollectionSettings, pointer: str = "/late", advice: str = "leave late out"
) -> tuple[EncodingQueue[WordModel], Late]:
    """Return the queue that reads words by the encoder of a collection, and the numbers of late interaction.

    Args:
        encoders: the encoders of the service.
        settings: those of the collection.
        pointer, advice: of the errors.

    Raises:
        InvalidContent: the gain of late interaction with this encoder is unmeasured, or the similarity is of another
            kind.
        EncoderMissing, EncoderUnavailable, LibraryMissing: as `get_encoding_queue`.
    """
    if settings.similarity not in COMPARED_BY:
        raise InvalidContent.at(
            pointer,
            f"late interaction is for the similarity cosine or dot, got {settings.similarity}: {advice}",
        )
    if settings.encoder is None:
        raise InvalidContent.at(
            pointer, f"late interaction reads words by the collection's encoder, and it has none: {advice}"
        )
    await get_encoding_queue(encoders, settings)
    encoder = find_encoder(encoders, settings)
    words = None if encoder is None else encoder.words()
    late = None if encoder is None or encoder.facts is None else encoder.facts.late
    if words is None or late is None:
        raise InvalidContent.at(
            pointer,
            f"late interaction is for encoders with which its gain was measured, such as all-MiniLM-L6-v2, and that of "
            f"the collection is {settings.encoder!r}: {advice}",
        )
    return words, late


async def require_late(encoders: Encoders, settings: CollectionSettings) -> None:
    """Raise if the words of a collection with these settings cannot be kept; see `get_words_queue`."""
    await get_words_queue(encoders, settings)


async def find_words_queue(encoders: Encoders, settings: CollectionSettings) -> EncodingQueue[WordModel] | None:
    """Return the queue that reads the words that a collection keeps; None if it keeps none, or if nothing reads them.

    Raises:
        EncoderMissing, EncoderUnavailable, LibraryMissing: as `get_encoding_queue`.
    """
    if not settings.late:
        return None
    try:
        return (await get_words_queue(encoders, settings))[0]
    except InvalidContent:  # another kind of network computes the encoder now
        return None


async def _queue_of(encoder: LoadingModel[Model], kind: str = "encoder") -> EncodingQueue[Model]:
    queue = await encoder.ready() if encoder.queue is None else encoder.queue
    if queue is not None:
        return queue
    if isinstance(encoder.failure, LibraryMissing):
        raise LibraryMissing(f"the {kind} {encoder.name!r} cannot run here: {encoder.failure}")
    if isinstance(encoder.failure, ProviderUnavailable):
        raise ProviderUnavailable(str(encoder.failure), encoder.failure.retry_after)
    reason = encoder.failure or "it is still loading; try again in a moment, or see /readyz"
    raise EncoderUnavailable(f"the {kind} {encoder.name!r} is not ready: {reason}")


async def get_encoder_facts(encoders: Encoders, settings: CollectionSettings) -> EncoderFacts | None:
    """Return the facts of the encoder of a collection's vectors; load it if it never was.

    Return None if the service does not have it.

    Raises:
        EncoderUnavailable: the encoder is still loading, or has failed.
        LibraryMissing: this installation lacks a library that it needs.
    """
    if (encoder := find_encoder(encoders, settings)) is None:
        return None
    if encoder.facts is None:
        await _queue_of(encoder)
    facts = encoder.facts
    return facts if facts is not None and _are_comparable(settings.precision, facts.precision) else None


def get_known_facts(encoders: Encoders, settings: CollectionSettings) -> EncoderFacts | None:
    """Return the facts of the encoder of a collection's vectors; None if the service lacks it, or never loaded it."""
    encoder = find_encoder(encoders, settings)
    facts = None if encoder is None else encoder.facts
    return facts if facts is not None and _are_comparable(settings.precision, facts.precision) else None


def _are_comparable(stored: str | None, used: str) -> bool:
    """Return whether a question's vector in one precision may be compared with keys in the other."""
    return stored == used or (stored in COMPARABLE and used in COMPARABLE)


def find_encoder(encoders: Encoders, settings: CollectionSettings) -> LoadingEncoder | None:
    """Return the encoder that makes the vectors of a collection; None if it has none, or the service does not know it.

    It may have another name than when the collection was made, as long as its model is the same. If the model was not
    recorded, it is the name.
    """
    name, model = settings.encoder, settings.encoder_model
    if name is None:
        return None
    named = encoders.by_name.get(name)
    if named is not None and model in (None, named.model):
        return named
    return next((encoder for encoder in encoders.by_name.values() if encoder.model == (model or name)), None)


def _describe_missing(encoders: Encoders, settings: CollectionSettings) -> str:
    name, model = settings.encoder, settings.encoder_model
    present = encoders.find(name or "")
    if present is not None:
        reason = f"the encoder {name!r} was {model!r} when the collection was made, and is {present.model!r} now"
    else:
        runs = ", ".join(encoders.names) or "none"
        reason = f"the collection's texts were encoded by {name!r}, and the encoders of this service are: {runs}"
    return f"{reason}. Send vectors, configure that encoder again, or re-encode the collection"


async def resolve_settings(encoders: Encoders, fields: Mapping[str, Any]) -> CollectionSettings:
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
    default = encoders.default
    chosen = choose_encoder(encoders, fields.get("encoder", default.name if default else None))
    model = None if chosen is None else (await _queue_of(chosen)).encoder
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
        encoder=chosen.name if chosen else None,
        encoder_model=chosen.model if chosen else None,
        precision=model.precision if model else None,
        value_from=fields.get("value_from", "value"),
        null="auto" if model else False,
        defaults=fields.get("defaults"),
        expire_after=fields.get("expire_after"),
    )
    settings = replace(settings, **{k: fields[k] for k in ("temperature", "null") if fields.get(k) is not None})
    check_temperature(settings)
    if fields.get("late"):
        await require_late(encoders, settings)
    keeping = replace(settings, late=fields.get("late", True))
    return keeping if await find_words_queue(encoders, keeping) is not None else settings


def choose_encoder(encoders: Encoders, name: str | None, pointer: str = "/encoder") -> LoadingEncoder | None:
    """Return the encoder that a request names, loaded or not; None if it names none.

    Raises:
        InvalidContent: the service has no encoder of that name.
    """
    if name is None:
        return None
    if (encoder := encoders.find(name)) is None:
        raise InvalidContent.at(
            pointer,
            f"the encoders of this service are: {', '.join(encoders.names) or 'none'}; encoder is {name!r}: name one "
            "of them, or see GET /v1/encoders",
        )
    return encoder


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
    temperature, null = calibration.undo(settings.temperature, settings.null)
    return {"temperature": temperature, "null": null}


def check_temperature(settings: CollectionSettings) -> None:
    """Raise InvalidContent for a temperature that no query could use."""
    if not (settings.temperature == 0 or settings.temperature >= SMALLEST_TEMPERATURE):
        raise InvalidContent.at(
            "/temperature",
            f"temperature is {settings.temperature}: send 0, or a number from {SMALLEST_TEMPERATURE} on",
        )


async def get_null_encoder(
    encoders: Encoders, record: CollectionRecord, null: NullChoice | None
) -> EncoderFacts | None:
    """Return the facts of the collection's encoder, with how similar unrelated queries and texts are.

    The null key ("none of these") is computed from them, unless its similarity is a number or comes from labelled
    questions. Return None if the null key does not need them, or if the service does not have the encoder: then the
    collection's own keys alone tell what unrelated ones are.

    Args:
        encoders: the encoders of the service, loaded or not.
        record: the collection's record.
        null: the request's choice of a null key; None for the collection's.
    """
    choice = record.settings.null if null is None else null
    if not isinstance(choice, str) or choice == CALIBRATED or record.settings.encoder is None:
        return None
    return await get_encoder_facts(encoders, record.settings)
