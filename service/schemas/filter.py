"""Filters on the wire: a comparison, or conditions joined by AND, OR, NOT."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from service.schemas.wire import JSONValue

FILTER_SCHEMA: dict[str, Any] = {
    "title": "Filter",
    "description": "Which documents may be attended to. A comparison, or conditions joined by AND, OR, NOT.",
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "field": {"type": "string", "pattern": r"^(id|metadata\..+)$", "example": "metadata.year"},
                "operator": {"enum": ["==", "!=", ">", ">=", "<", "<=", "in", "not in", "contains"]},
                "value": {"example": 2000},
            },
            "required": ["field", "operator", "value"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "operator": {"enum": ["AND", "OR", "NOT"]},
                "conditions": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["operator", "conditions"],
            "additionalProperties": False,
        },
    ],
}


def _object(given: Any) -> Any:
    return given


FilterField = Annotated[
    Annotated[JSONValue, AfterValidator(_object), WithJsonSchema(FILTER_SCHEMA)] | None,
    Field(default=None),
]
