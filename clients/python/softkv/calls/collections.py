"""A collection as a whole: made, changed, looked at, dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from softkv import filters, validation
from softkv.answers.info import CollectionInfo, FieldFacts, FieldValue, parse_collection_info, parse_field_facts
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Page, Paging, Plan, ignore_content
from softkv.errors import Conflict
from softkv.filters import Field, Where, field_name
from softkv.problems import Reply, invalid_value_at, raise_flaws
from softkv.validation import check_number
from softkv.validation import check_temperature as temperature_flaws
from softkv.wire import MAX_COMPONENTS, OMITTED, OmittedType, drop_omitted, encode_json

Null: TypeAlias = float | Literal["auto", "lenient", "strict", "calibrated", False]
Similarity: TypeAlias = Literal["cosine", "dot", "scaled_dot", "gaussian"]
_CREATED = 201


def create(
    place: CollectionRef,
    *,
    similarity: Similarity | None = None,
    dimension: int | None = None,
    value_dimension: int | None = None,
    encoder: str | OmittedType | None = OMITTED,
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
    raise_flaws(
        [
            *check_number(dimension, "/dimension", least=1, most=MAX_COMPONENTS),
            *check_number(value_dimension, "/value_dimension", least=1, most=MAX_COMPONENTS),
            *temperature_flaws(temperature),
        ]
    )
    settings = drop_omitted(
        similarity=similarity, dimension=dimension, value_dimension=value_dimension, value_from=value_from
    )
    settings |= drop_omitted(temperature=temperature, null=null)
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
        return _parse_info(place, reply)

    return Call("PUT", place.path, parse, content=encode_json(settings), once=True, timeout=WRITE_TIMEOUT)


def change(
    place: CollectionRef,
    *,
    temperature: float | None = None,
    null: Null | None = None,
    calibration: OmittedType | None = OMITTED,
) -> Call[CollectionInfo]:
    """Change what its questions are asked with where they say nothing; `calibration=None` takes that away."""
    raise_flaws(temperature_flaws(temperature))
    if not (calibration is None or calibration is OMITTED):
        raise invalid_value_at(
            "/calibration",
            f"wanted None, which takes it away, got {type(calibration).__name__}: calibrate(…, apply=True) makes one",
        )
    content: dict[str, Any] = drop_omitted(temperature=temperature, null=null)
    if calibration is None:
        content["calibration"] = None
    return Call(
        "PATCH",
        place.path,
        lambda reply: _parse_info(place, reply),
        content=encode_json(content),
        once=True,
        timeout=WRITE_TIMEOUT,
    )


def info(place: CollectionRef) -> Call[CollectionInfo]:
    """Its settings, and how many documents it holds."""
    return Call("GET", place.path, lambda reply: _parse_info(place, reply))


def drop(place: CollectionRef) -> Call[None]:
    """Delete it and its documents."""
    place.known.widths.pop(place.name, None)
    return Call("DELETE", place.path, ignore_content, once=True, timeout=WRITE_TIMEOUT)


def _parse_info(place: CollectionRef, reply: Reply) -> CollectionInfo:
    found = parse_collection_info(reply.json())
    if found.dimension is not None:
        place.known.widths[place.name] = found.dimension
    else:
        place.known.widths.pop(place.name, None)
    return found


T = TypeVar("T")
MAX_VALUES = 1000


def fields(
    place: CollectionRef,
    fields: Sequence[Field | str] | None = None,
    *,
    where: Where | None = None,
    values: bool = False,
    limit: int | None = None,
) -> Plan[dict[str, FieldFacts]]:
    """What can be filtered by: of each field its types, how many documents have it, its least and greatest value.

    Args:
        fields: only these, as `F.year` or `"metadata.year"`; left out, all that a document which passes has.
        values: the values too, those of most documents first.
        limit: how many of them a field; `values(field)` goes through all of them.
    """
    raise_flaws(validation.check_number(limit, "/limit", least=1, most=MAX_VALUES))
    names = None if fields is None else [field_name(each) for each in validation.require_list(fields, "/fields")]
    request = drop_omitted(fields=names, filter=filters.encode_filter(where), values=values or None, limit=limit)
    found: dict[str, FieldFacts] = {}
    cursor: str | None = None
    while True:
        page = yield from _fields_page_call(place, request | drop_omitted(cursor=cursor))
        found |= page.items[0]
        if (cursor := page.next_cursor) is None:
            return found


def values(place: CollectionRef, field: Field | str, *, where: Where | None = None) -> Paging[FieldValue]:
    """The distinct values of one field, with how many documents have each, those of most documents first."""
    name = field_name(field)
    request = drop_omitted(fields=[name], filter=filters.encode_filter(where), values=True)

    def ask(cursor: str | None, at_once: int) -> Call[Page[FieldValue]]:
        def parse(reply: Reply) -> Page[FieldValue]:
            facts = parse_field_facts(reply.json()["fields"][name])
            return Page(facts.values or [], facts.next_cursor)

        return _fields_call(place, request | drop_omitted(limit=at_once, cursor=cursor), parse)

    def distinct(reply: Reply) -> int:
        return int(reply.json()["fields"][name]["distinct"])

    return Paging(
        ask, MAX_VALUES, _fields_call(place, drop_omitted(fields=[name], filter=filters.encode_filter(where)), distinct)
    )


def _fields_page_call(place: CollectionRef, request: Mapping[str, Any]) -> Call[Page[dict[str, FieldFacts]]]:
    def parse(reply: Reply) -> Page[dict[str, FieldFacts]]:
        content = reply.json()
        return Page(
            [{name: parse_field_facts(each) for name, each in content["fields"].items()}], content["next_cursor"]
        )

    return _fields_call(place, request, parse)


def _fields_call(place: CollectionRef, request: Mapping[str, Any], parse: Callable[[Reply], T]) -> Call[T]:
    return Call("POST", f"{place.documents}/fields", parse, content=encode_json(request))
