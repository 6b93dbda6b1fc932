"""Metadata fields of a collection: their statistics, and warnings of filters that do not fit them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.errors import Flaw, InvalidContent
from softkv_service.storage import Reader
from softkv_service.storage.conditions import METADATA, ORDERING, Comparison, Condition
from softkv_service.storage.fields import Kind
from softkv_service.storage.instants import Instant
from softkv_service.storage.records import FieldFacts, FieldKinds, FieldValue


@dataclass(frozen=True)
class FieldPage:
    """A page of statistics of metadata fields, by field name.

    It also has a cursor for each field that has more values, and a cursor for more fields.
    """

    facts: dict[str, FieldFacts]
    cursors: dict[str, str]
    next_cursor: str | None


@dataclass(frozen=True)
class FieldCursor:
    """A position in the list of metadata fields at which a page begins: after a field, or after one of its values."""

    name: str
    value: FieldValue | None = None


def read_field_facts(
    collection: Collection,
    *,
    fields: Sequence[str] | None,
    max_fields: int,
    condition: Condition | None,
    values: int,
    after: FieldCursor | None,
) -> FieldPage:
    """Return statistics of these metadata fields, written `metadata.` and a name, over the documents that pass.

    Args:
        fields: None for all fields that some document has, after `after`.
        max_fields: the most fields to return if they are not named.
        values: the number of values to return of each field.
        after: the position after which the page begins. If it is after a value, only that field is returned.

    Raises:
        InvalidContent: a field is not a metadata field.
    """
    requested = None if fields is None else _names(fields)
    after_value = None
    if after is not None and after.value is not None:
        requested, after_value = [after.name], after.value
    with collection.reading() as (record, reader):
        more = False
        names = requested
        if names is None:
            names = reader.field_names(record.id, after=None if after is None else after.name, limit=max_fields + 1)
            more, names = len(names) > max_fields, names[:max_fields]
        # Request one value more, to know whether there are more.
        limit = values and values + 1
        statistics = reader.field_facts(record.id, names, condition=condition, values=limit, after=after_value)
    shown = {name: facts for name, facts in zip(names, statistics, strict=True) if facts.count or requested is not None}
    return FieldPage(
        facts={METADATA + name: replace(facts, values=facts.values[:values]) for name, facts in shown.items()},
        cursors={
            METADATA + name: _encode_field_cursor(FieldCursor(name, facts.values[values - 1]))
            for name, facts in shown.items()
            if len(facts.values) > values
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


def _encode_field_cursor(cursor: FieldCursor) -> str:
    parts = [cursor.name] if cursor.value is None else [cursor.name, cursor.value.count, cursor.value.value]
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False, allow_nan=False).encode()).decode("ascii")


def decode_field_cursor(cursor: str | None) -> FieldCursor | None:
    """Return the position in a `next_cursor` of fields or values; None for the first page."""
    if cursor is None:
        return None
    try:
        decoded = _parse_cursor(json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)))
        if _encode_field_cursor(decoded) == cursor:
            return decoded
    except (ValueError, RecursionError):
        pass
    raise InvalidContent.at("/cursor", "the cursor is not one of ours: send next_cursor as it came")


def _parse_cursor(parts: object) -> FieldCursor:
    match parts:
        case [str(name)]:
            return FieldCursor(name)
        case [str(name), int(count), None | str() | int() | float() as value] if 0 < count < 2**63:
            return FieldCursor(name, FieldValue(value, count))
    raise ValueError


MAX_NAMED_FIELDS = 20
"""The most fields that a warning names."""

MAX_WARNINGS = 10
_MAX_NAME_LENGTH = 60  # characters of a field's name, which may have 65,536
_POSITIVE = ("==", "in", "contains", *ORDERING)
_TYPES: Mapping[Kind, str] = {
    Kind.BOOLEAN: "boolean",
    Kind.NUMBER_BELOW: "number",
    Kind.NUMBER: "number",
    Kind.NUMBER_ABOVE: "number",
    Kind.TEXT: "text",
    Kind.LIST: "list",
    Kind.OBJECT: "object",
}


def explain_filter(
    reader: Reader,
    collection: int,
    condition: Condition | None,
    *,
    passes: bool,
    cached_kinds: dict[str, FieldKinds] | None = None,
) -> list[str]:
    """Return a sentence for each comparison of a filter with values that documents do not have.

    Orderings are explained always: one that is false of every text of a field leaves documents out in silence, or lets
    them pass below `NOT`. If no document passes, other comparisons that none can pass are explained, too. These are
    left out below `NOT`, because a missing field passes them there. Each field costs a few index lookups.

    Args:
        reader: the reader of the documents that the caller may see.
        collection: the number of the collection.
        condition: the filter; None has no warnings.
        passes: whether a document passes the filter.
        cached_kinds: a cache of the fields' kinds for callers that see the same documents; None for no cache.
    """
    cached_kinds = {} if cached_kinds is None else cached_kinds
    warnings = dict[str, None]()
    for comparison in _list_comparisons(condition, passes=passes):
        kinds = cached_kinds.get(comparison.name) or reader.field_kinds(collection, comparison.name)
        if _types(kinds.own):
            # Of fields that exist alone, because a caller may send any number of other names.
            cached_kinds[comparison.name] = kinds
            warning = _explain_types(comparison, kinds)
        else:
            warning = None if passes else _no_field(reader, collection, comparison.name)
        if warning is not None:
            warnings[warning] = None
        if len(warnings) == MAX_WARNINGS:
            break
    return list(warnings)


def _list_comparisons(condition: Condition | None, *, passes: bool, negated: bool = False) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        operators = ORDERING if passes or negated else _POSITIVE
        operands = condition.value if condition.operator == "in" else [condition.value]
        if condition.in_metadata and condition.operator in operators and operands and None not in operands:
            yield condition
    elif condition is not None:
        for operand in condition.conditions:
            yield from _list_comparisons(operand, passes=passes, negated=negated or condition.operator == "NOT")


def _explain_types(comparison: Comparison, kinds: FieldKinds) -> str | None:
    operands = comparison.value if comparison.operator == "in" else [comparison.value]
    types, operand_types = _types(kinds.own), {_type(operand) for operand in operands}
    held_types = _types(kinds.elements) | (types & {"text"}) if comparison.operator == "contains" else types
    name = _shorten_name(comparison.name)
    if comparison.operator in ORDERING and operand_types < {"number", "text"} <= types:
        return (
            f"{name} holds numbers in some documents and texts in others: `{comparison.operator}` with a "
            f"{_one(operand_types)} compares only the {_several(operand_types)}"
        )
    if operand_types & held_types or (kinds.dates and "datetime" in operand_types):
        return None
    if "datetime" in operand_types and "text" in types:
        return f"{name} holds no ISO 8601 date in any document, and is compared with a {_one(operand_types)}"
    hint = "; `contains` looks into lists" if "list" in types and comparison.operator in ("==", "in") else ""
    compared = "looked through for" if comparison.operator == "contains" else "compared with"
    return (
        f"{name} holds {_several(types)} in every document that has it, and is {compared} a {_one(operand_types)}{hint}"
    )


def _no_field(reader: Reader, collection: int, name: str) -> str:
    names = reader.field_names(collection, limit=MAX_NAMED_FIELDS + 1)
    if not names:
        return f"no document has {_shorten_name(name)}, nor any other field of metadata"
    more = ", …" if len(names) > MAX_NAMED_FIELDS else ""
    listed = ", ".join(map(_shorten_name, names[:MAX_NAMED_FIELDS]))
    return f"no document has {_shorten_name(name)}; there are {listed}{more}"


def _shorten_name(name: str) -> str:
    return METADATA + (name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…")


def _types(kinds: Iterable[Kind]) -> set[str]:
    return {_TYPES[kind] for kind in kinds if kind in _TYPES}


def _type(operand: Any) -> str:
    if isinstance(operand, bool):
        return "boolean"
    if isinstance(operand, str):
        return "text"
    if isinstance(operand, Instant):
        return "datetime"
    return "number" if isinstance(operand, int | float) else "list"


def _several(types: set[str]) -> str:
    return " and ".join(f"{name}s" for name in sorted(types))


def _one(types: set[str]) -> str:
    return " or a ".join(sorted(types))
