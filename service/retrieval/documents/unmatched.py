"""Why a filter passes no document: a field that none has, or values of another type than it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.storage import METADATA, Comparison, Condition, Kind, Reader

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
