"""A tool's arguments against its schema: every flaw in plain words, and defaults for what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from service.mcp.errors import ToolError
from service.mcp.schema import Schema

MOST_FLAWS = 10
_SHOWN = 60
_KINDS = {"string": "a text", "integer": "a whole number", "array": "a list", "object": "an object"}


def _items(validator: Any, items: Schema, instance: Any, schema: Schema) -> Iterator[ValidationError]:
    """Check the items of a list that is not too long; one that is too long has that flaw alone."""
    if validator.is_type(instance, "array") and len(instance) <= schema.get("maxItems", len(instance)):
        yield from Draft202012Validator.VALIDATORS["items"](validator, items, instance, schema)


_Validator = extend(Draft202012Validator, {"items": _items})


def checked(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, with defaults.

    Raises:
        ToolError: they do not fit; it names the first ten flaws by a JSON pointer. No more are looked for, so that
            a long list of flaws costs no more than a short one.
    """
    properties: Mapping[str, Schema] = schema["properties"]
    # Some clients send null for what a model left out.
    given = {name: value for name, value in given.items() if value is not None or name not in _optional(properties)}
    flaws = sorted(
        islice(_Validator(schema).iter_errors(given), MOST_FLAWS + 1),
        key=lambda flaw: [(isinstance(part, str), part) for part in flaw.absolute_path],
    )
    lines = list(islice((line for flaw in flaws for line in _told(flaw)), MOST_FLAWS + 1))
    if lines:
        more = ["and more"] if len(lines) > MOST_FLAWS else []
        raise ToolError("\n".join(["the arguments do not fit, call again with:", *lines[:MOST_FLAWS], *more]))
    # 5.0 is a whole number to JSON Schema, and none to the service.
    whole = {name: int(value) for name, value in given.items() if properties[name]["type"] == "integer"}
    return {**_optional(properties), **given, **whole}


def _optional(properties: Mapping[str, Schema]) -> dict[str, Any]:
    return {name: each["default"] for name, each in properties.items() if "default" in each}


def _told(flaw: ValidationError) -> Iterator[str]:
    pointer = "".join(f"/{part}" for part in flaw.absolute_path)
    wanted = flaw.validator_value
    if flaw.validator == "required":
        # One error for each that is missing; only its message says which.
        missing = next(name for name in wanted if flaw.message.startswith(repr(name)))
        yield f"{pointer}/{missing}: is missing"
    elif flaw.validator == "additionalProperties":
        known = ", ".join(flaw.schema["properties"])
        for name in sorted(flaw.instance.keys() - flaw.schema["properties"].keys()):
            yield f"{pointer}/{name}: there is no such argument; there are {known}"
    elif flaw.validator == "type":
        yield f"{pointer}: wanted {_KINDS.get(str(wanted), wanted)}, got {_cut(flaw.instance)}"
    elif flaw.validator == "enum":
        yield f"{pointer}: wanted one of {', '.join(map(str, wanted))}, got {_cut(flaw.instance)}"
    elif flaw.validator in ("minimum", "maximum"):
        bound = "from" if flaw.validator == "minimum" else "up to"
        yield f"{pointer}: wanted a number {bound} {wanted}, got {_cut(flaw.instance)}"
    elif flaw.validator in ("minItems", "maxItems"):
        least = flaw.validator == "minItems"
        yield f"{pointer}: wanted at {'least' if least else 'most'} {wanted} of them, got {len(flaw.instance)}"
    elif flaw.validator == "minLength":
        yield f"{pointer}: wanted a text that is not empty"
    else:
        yield f"{pointer}: wanted at most {wanted} characters, got {len(flaw.instance)}"


def _cut(given: Any) -> str:
    shown = json.dumps(given, ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
