"""A tool's arguments against its schema: every flaw in plain words, and defaults for what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from service.mcp.errors import ToolError
from service.mcp.schema import Schema

MOST_FLAWS = 10
_SHOWN = 60
_KINDS = {"string": "a text", "integer": "a whole number", "array": "a list", "object": "an object"}


def checked(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with defaults.

    Raises:
        ToolError: they do not fit; it names every flaw by a JSON pointer.
    """
    properties: Mapping[str, Schema] = schema["properties"]
    # Some clients send null for what a model left out.
    given = {name: value for name, value in given.items() if value is not None or name not in _optional(properties)}
    found = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda flaw: list(map(str, flaw.absolute_path)))
    if found:
        told = [line for flaw in found for line in _told(flaw)]
        more = [f"and {len(told) - MOST_FLAWS} more"] if len(told) > MOST_FLAWS else []
        raise ToolError("\n".join(["the arguments do not fit, call again with:", *told[:MOST_FLAWS], *more]))
    # 5.0 is a whole number to JSON Schema, and none to the service.
    whole = {name: int(value) for name, value in given.items() if properties[name]["type"] == "integer"}
    return {**_optional(properties), **given, **whole}


def _optional(properties: Mapping[str, Schema]) -> dict[str, Any]:
    return {name: each["default"] for name, each in properties.items() if "default" in each}


def _told(flaw: ValidationError) -> Iterator[str]:
    pointer = "".join(f"/{part}" for part in flaw.absolute_path)
    wanted, got = flaw.validator_value, _cut(flaw.instance)
    if flaw.validator == "required":
        # One error for each that is missing; only its message says which.
        missing = next(name for name in wanted if flaw.message.startswith(repr(name)))
        yield f"{pointer}/{missing}: is missing"
    elif flaw.validator == "additionalProperties":
        known = ", ".join(flaw.schema["properties"])
        for name in sorted(flaw.instance.keys() - flaw.schema["properties"].keys()):
            yield f"{pointer}/{name}: there is no such argument; there are {known}"
    elif flaw.validator == "type":
        yield f"{pointer}: wanted {_KINDS.get(str(wanted), wanted)}, got {got}"
    elif flaw.validator == "enum":
        yield f"{pointer}: wanted one of {', '.join(map(str, wanted))}, got {got}"
    elif flaw.validator in ("minimum", "maximum"):
        yield f"{pointer}: wanted a number {'from' if flaw.validator == 'minimum' else 'up to'} {wanted}, got {got}"
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
