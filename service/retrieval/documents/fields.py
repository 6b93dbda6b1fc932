"""Metadata fields of a collection: statistics, and why a filter passes no document."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.retrieval.collections import Collection
from service.retrieval.errors import Flaw, InvalidContent
from service.storage import METADATA, Comparison, Condition, FieldFacts, FieldValue, Kind, Reader


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


MAX_NAMED_FIELDS = 20
"""Fields that a warning names."""

MAX_WARNINGS = 10
_MAX_NAME_LENGTH = 60  # characters of a field's name, which may have 65,536
_POSITIVE = ("==", "in", "contains", ">", ">=", "<", "<=")
_TYPES: Mapping[Kind, str] = {
    Kind.BOOLEAN: "boolean",
    Kind.NUMBER_BELOW: "number",
    Kind.NUMBER: "number",
    Kind.NUMBER_ABOVE: "number",
    Kind.TEXT: "text",
    Kind.LIST: "list",
    Kind.OBJECT: "object",
}


def explain_no_match(reader: Reader, collection: int, condition: Condition | None) -> list[str]:
    """What is odd about a condition that no document passes: a sentence for each comparison that none can pass.

    What is negated is left out, for a missing field passes it. Each comparison costs a few steps into an index.
    """
    warnings = dict[str, None]()
    for comparison in _compared(condition):
        warning = _warning(reader, collection, comparison)
        if warning is not None:
            warnings[warning] = None
        if len(warnings) == MAX_WARNINGS:
            break
    return list(warnings)


def _compared(condition: Condition | None) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        if condition.in_metadata and condition.operator in _POSITIVE:
            yield condition
    elif condition is not None and condition.operator != "NOT":
        for each in condition.conditions:
            yield from _compared(each)


def _warning(reader: Reader, collection: int, comparison: Comparison) -> str | None:
    operands = comparison.value if comparison.operator == "in" else [comparison.value]
    if not operands or None in operands:
        return None
    kinds = reader.field_kinds(collection, comparison.name)
    own = _types(kinds.own)
    if not own:
        return _no_field(reader, collection, comparison.name)
    wanted = {_type(each) for each in operands}
    holds = _types(kinds.elements) | (own & {"text"}) if comparison.operator == "contains" else own
    if wanted & holds:
        return None
    name = _named(comparison.name)
    hint = "; `contains` looks into lists" if "list" in own and comparison.operator in ("==", "in") else ""
    compared = "looked through for" if comparison.operator == "contains" else "compared with"
    return f"{name} holds {_several(own)} in every document that has it, and is {compared} a {_one(wanted)}{hint}"


def _no_field(reader: Reader, collection: int, name: str) -> str:
    names = reader.field_names(collection, limit=MAX_NAMED_FIELDS + 1)
    if not names:
        return f"no document has {_named(name)}, nor any other field of metadata"
    more = ", …" if len(names) > MAX_NAMED_FIELDS else ""
    return f"no document has {_named(name)}; there are {', '.join(map(_named, names[:MAX_NAMED_FIELDS]))}{more}"


def _named(name: str) -> str:
    return METADATA + (name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…")


def _types(kinds: Iterable[Kind]) -> set[str]:
    return {_TYPES[kind] for kind in kinds if kind in _TYPES}


def _type(operand: Any) -> str:
    if isinstance(operand, bool):
        return "boolean"
    if isinstance(operand, str):
        return "text"
    return "number" if isinstance(operand, int | float) else "list"


def _several(types: set[str]) -> str:
    return " and ".join(f"{each}s" for each in sorted(types))


def _one(types: set[str]) -> str:
    return " or a ".join(sorted(types))
