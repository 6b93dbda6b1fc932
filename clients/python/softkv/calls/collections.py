"""A collection as a whole: made, changed, looked at, dropped."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from softkv.answers.info import CollectionInfo, collection_info
from softkv.calls.call import WRITE_SECONDS, Call, nothing
from softkv.calls.place import Place
from softkv.errors import Conflict
from softkv.problems import misfit, refuse
from softkv.reply import Reply
from softkv.wire.body import OMITTED, LeftOut, body, said
from softkv.wire.checks import number
from softkv.wire.checks import temperature as temperature_flaws
from softkv.wire.vectors import MOST_COMPONENTS

Null: TypeAlias = float | Literal["auto", "lenient", "strict", "calibrated", False]
Similarity: TypeAlias = Literal["cosine", "dot", "scaled_dot", "gaussian"]
_CREATED = 201


def create(
    place: Place,
    *,
    similarity: Similarity | None = None,
    dimension: int | None = None,
    value_dimension: int | None = None,
    encoder: str | LeftOut | None = OMITTED,
    value_from: Literal["value", "key"] | None = None,
    temperature: float | None = None,
    null: Null | None = None,
    exist_ok: bool = False,
) -> Call[CollectionInfo]:
    """Make the collection; what is left out is the service's choice, and `encoder=None` is none.

    Args:
        exist_ok: take one that is there and has these settings.

    Raises:
        Conflict: it is there, and `exist_ok` was not said or its settings are others.
    """
    refuse(
        [
            *number(dimension, "/dimension", least=1, most=MOST_COMPONENTS),
            *number(value_dimension, "/value_dimension", least=1, most=MOST_COMPONENTS),
            *temperature_flaws(temperature),
        ]
    )
    settings = said(similarity=similarity, dimension=dimension, value_dimension=value_dimension, value_from=value_from)
    settings |= said(temperature=temperature, null=null)
    if encoder is not OMITTED:
        settings["encoder"] = encoder

    def parse(reply: Reply) -> CollectionInfo:
        if reply.status != _CREATED and not exist_ok:
            raise Conflict(
                f"collection {place.name!r} is there already: say exist_ok=True to take it as it is, or drop it first",
                code="collection_conflict",
                status=409,
                request_id=reply.request_id,
            )
        return _info(place, reply)

    return Call("PUT", place.path, parse, content=body(settings), once=True, timeout=WRITE_SECONDS)


def change(
    place: Place,
    *,
    temperature: float | None = None,
    null: Null | None = None,
    calibration: LeftOut | None = OMITTED,
) -> Call[CollectionInfo]:
    """Change what its questions are asked with where they say nothing; `calibration=None` takes that away."""
    refuse(temperature_flaws(temperature))
    if not (calibration is None or calibration is OMITTED):
        raise misfit(
            "/calibration",
            f"wanted None, which takes it away, got {type(calibration).__name__}: calibrate(…, apply=True) makes one",
        )
    content: dict[str, Any] = said(temperature=temperature, null=null)
    if calibration is None:
        content["calibration"] = None
    return Call(
        "PATCH", place.path, lambda reply: _info(place, reply), content=body(content), once=True, timeout=WRITE_SECONDS
    )


def info(place: Place) -> Call[CollectionInfo]:
    """Its settings, and how many documents it holds."""
    return Call("GET", place.path, lambda reply: _info(place, reply))


def drop(place: Place) -> Call[None]:
    """Delete it and its documents."""
    place.known.widths.pop(place.name, None)
    return Call("DELETE", place.path, nothing, once=True, timeout=WRITE_SECONDS)


def _info(place: Place, reply: Reply) -> CollectionInfo:
    found = collection_info(reply.json())
    if found.dimension is not None:
        place.known.widths[place.name] = found.dimension
    else:
        place.known.widths.pop(place.name, None)
    return found
