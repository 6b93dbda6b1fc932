"""Facts on the metadata of a collection's documents, with cursors for more fields and for more values of one."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.retrieval.collections import Collection
from service.retrieval.errors import Flaw, InvalidContent
from service.storage import METADATA, Condition, FieldFacts, FieldValue


@dataclass(frozen=True)
class FieldPage:
    """The facts by field, for each whose values go on the cursor of the next, and where further fields begin."""

    facts: dict[str, FieldFacts]
    cursors: dict[str, str]
    next_cursor: str | None


@dataclass(frozen=True)
class FieldCursor:
    """Behind a field, or behind a value of it."""

    name: str
    value: FieldValue | None = None


def read_field_facts(
    collection: Collection,
    *,
    fields: Sequence[str] | None,
    most: int,
    condition: Condition | None,
    values: int,
    after: FieldCursor | None,
) -> FieldPage:
    """What the documents that pass hold in these fields, written `metadata.` and a name.

    Args:
        fields: None for all that any of them has, from `after` on.
        most: how many fields to tell of where they are not named.
        values: how many values to name of each field.
        after: behind a value: the facts are of that field alone.

    Raises:
        InvalidContent: one is no field of the metadata.
    """
    wanted = None if fields is None else _names(fields)
    begin = None
    if after is not None and after.value is not None:
        wanted, begin = [after.name], after.value
    with collection.reading() as (record, reader):
        more = False
        names = wanted
        if names is None:
            names = reader.field_names(record.id, after=None if after is None else after.name, limit=most + 1)
            more, names = len(names) > most, names[:most]
        # One value more than asked for says whether there are more.
        asked = values and values + 1
        found = reader.field_facts(record.id, names, condition=condition, values=asked, after=begin)
    shown = {name: each for name, each in zip(names, found, strict=True) if each.count or wanted is not None}
    return FieldPage(
        facts={METADATA + name: replace(each, values=each.values[:values]) for name, each in shown.items()},
        cursors={
            METADATA + name: _encode_field_cursor(FieldCursor(name, each.values[values - 1]))
            for name, each in shown.items()
            if len(each.values) > values
        },
        next_cursor=_encode_field_cursor(FieldCursor(names[-1])) if more else None,
    )


def _names(fields: Sequence[str]) -> list[str]:
    flaws = [
        Flaw(f"/fields/{i}", f"there are facts on metadata only, not on {field!r}: send metadata. and a name")
        for i, field in enumerate(fields)
        if not field.startswith(METADATA)
    ]
    if flaws:
        raise InvalidContent(flaws)
    return [field.removeprefix(METADATA) for field in dict.fromkeys(fields)]


def _encode_field_cursor(place: FieldCursor) -> str:
    parts = [place.name] if place.value is None else [place.name, place.value.count, place.value.value]
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False, allow_nan=False).encode()).decode("ascii")


def decode_field_cursor(cursor: str | None) -> FieldCursor | None:
    """What a `next_cursor` of fields or of values stands for; None for the first page."""
    if cursor is None:
        return None
    try:
        place = _place(json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)))
        if _encode_field_cursor(place) == cursor:
            return place
    except (ValueError, RecursionError):
        pass
    raise InvalidContent.at("/cursor", "the cursor is not one of ours: send next_cursor as it came")


def _place(parts: object) -> FieldCursor:
    match parts:
        case [str(name)]:
            return FieldCursor(name)
        case [str(name), int(count), None | str() | int() | float() as value] if 0 < count < 2**63:
            return FieldCursor(name, FieldValue(value, count))
    raise ValueError
