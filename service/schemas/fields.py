"""Facts on metadata on the wire: which fields and documents, and what they hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from service.schemas.filter import FilterField, Scalar
from service.schemas.wire import Text, Wire

MAX_FIELDS, MAX_VALUES = 100, 1000  # in an answer; the values, of each field

FieldName = Annotated[
    Text, WithJsonSchema({"type": "string", "pattern": r"^metadata\.", "examples": ["metadata.year"]})
]


class FieldsQuery(Wire):
    """Which fields of which documents; without `fields` and `filter`, all of them."""

    fields: list[FieldName] | None = Field(
        None,
        max_length=MAX_FIELDS,
        description="As filters write them: `metadata.` and a name. Left out: all that a document which passes has, in "
        f"the order of their names, {MAX_FIELDS} in an answer.",
    )
    filter: FilterField = Field(None, description="Only documents that pass.")
    values: bool = Field(False, description="Also name the values, each with how many documents have it.")
    limit: int = Field(100, ge=1, le=MAX_VALUES, description="Values of each field in an answer.")
    cursor: Text | None = Field(
        None,
        description="A `next_cursor` of the answer before, the rest of the request being the same: the one of a field "
        "goes on with its values, and the answer is of that field alone; the one beside the fields goes on with "
        "further fields.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {},
                {"fields": ["metadata.topics"], "values": True, "limit": 10},
                {"filter": {"field": "metadata.year", "operator": ">=", "value": 2000}},
            ]
        }
    )


class FieldValue(Wire):
    """A value of a field."""

    value: Scalar = Field(description="A text, a number, true, false; or null as an element of a list.")
    count: int = Field(description="How many documents have it, as the field itself or as an element of its list.")


class FieldFacts(Wire):
    """What one field holds in the documents that pass."""

    types: list[Literal["integer", "number", "text", "boolean", "null", "list", "object"]] = Field(
        description="Those that occur. `integer` is a number without a point or an exponent, `number` one with; a list "
        "adds `list`, and the types of the scalars in it; what is in an `object` is told under its paths."
    )
    count: int = Field(description="How many documents have the field; null counts as not having it.")
    distinct: int = Field(
        description='How many values differ: 1, 1.0, "1" and true are four. Of a list, the scalars in it.'
    )
    min: int | float | str | None = Field(
        description="The least number; where there is no number, the first text by code point; else null."
    )
    max: int | float | str | None = Field(description="The greatest number, else the last text, else null.")
    values: list[FieldValue] | None = Field(
        description="Those of most documents first, then null, false, true, numbers and texts in their order; null "
        "where `values` was not asked for."
    )
    next_cursor: str | None = Field(description="Where the next values begin; null at the end.")


class FieldsAnswer(Wire):
    """The facts by field, in the order of their names or as they were asked for."""

    fields: dict[str, FieldFacts]
    next_cursor: str | None = Field(description="Where further fields begin; null at the end.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "fields": {
                        "metadata.year": {
                            "types": ["integer"],
                            "count": 2,
                            "distinct": 2,
                            "min": 1993,
                            "max": 2004,
                            "values": [{"value": 1993, "count": 1}, {"value": 2004, "count": 1}],
                            "next_cursor": None,
                        }
                    },
                    "next_cursor": None,
                }
            ]
        }
    )
