"""Models of filters: comparisons, and conditions joined by AND, OR, NOT."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.schemas.wire import (
    INTEGERS,
    Distinct,
    DocumentedAs,
    Text,
    Wire,
    finite_number,
    json_value,
    well_formed,
)
from softkv_service.storage.conditions import MAX_OPERANDS, METADATA, Condition, parse_condition
from softkv_service.storage.errors import InvalidCondition

Scalar = str | int | float | bool | None
FieldInFilter = Annotated[
    str,
    Field(
        pattern=r"^(id$|key$|metadata\.)",
        description="`id`, `key` (the text; null for a document without one), or `metadata.` and the name of a field.",
    ),
]


class DateTime(Wire):
    """An instant, with which dates are compared: texts in ISO 8601, in UTC if they name no zone."""

    datetime: str = Field(
        description="An ISO 8601 date or time; or `now`, `now-7d`, `now+1h`: the start of the request, plus or minus a "
        "number of seconds (`s`), minutes (`m`), hours (`h`), days (`d`) or weeks (`w`).",
        examples=["2026-11-01T00:00:00Z", "now-7d"],
    )


class Equality(Wire):
    """A comparison: a field equals a value, or differs from it. A missing field counts as null."""

    field: FieldInFilter
    operator: Literal["==", "!="] = Field(
        description="Equal, or not equal.", json_schema_extra={"x-enum-varnames": ["EQUAL", "NOT_EQUAL"]}
    )
    value: Scalar | list[Scalar] | DateTime = Field(
        description='Values must be equal in type too: `1` equals `1.0`, but neither `true` nor `"1"`. Lists '
        "are equal if each scalar is. An instant equals every text that is a date of that instant."
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "metadata.shelf", "operator": "==", "value": "QA76"}]}
    )


class Ordering(Wire):
    """A comparison by order, of numbers with numbers, of texts with texts, or of dates with an instant.

    The comparison is false if the field is missing or has a value of another type, or if its text is not a date.
    """

    field: FieldInFilter
    operator: Literal[">", ">=", "<", "<="] = Field(
        description="The order: greater, greater or equal, less, less or equal.",
        json_schema_extra={"x-enum-varnames": ["GREATER", "GREATER_OR_EQUAL", "LESS", "LESS_OR_EQUAL"]},
    )
    value: str | int | float | DateTime = Field(description="A number, a text or an instant.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "operator": ">=", "value": 2000},
                {"field": "metadata.written", "operator": ">", "value": {"datetime": "now-7d"}},
            ]
        }
    )


class Membership(Wire):
    """A comparison: a field equals one of several values, or none of them. A missing field counts as null."""

    field: FieldInFilter
    operator: Literal["in", "not in"] = Field(description="Equal to one of the values, or to none of them.")
    value: list[Scalar | DateTime] = Field(
        max_length=MAX_OPERANDS, description="The values; at most 5,000 in the whole filter."
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "id", "operator": "in", "value": ["qa76", "qa77"]}]}
    )


class Containment(Wire):
    """A comparison: a list contains the value as an element, or a text contains it as a part."""

    field: FieldInFilter
    operator: Literal["contains"] = Field(description="Containment.")
    value: Scalar = Field(description="A scalar; with `ignore_case` a text.")
    ignore_case: bool = Field(False, description="Whether to ignore case, as Unicode folds it (`ß` equals `ss`).")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.topics", "operator": "contains", "value": "databases"},
                {"field": "key", "operator": "contains", "value": "sql", "ignore_case": True},
            ]
        }
    )


class Combination(Wire):
    """A combination of conditions by AND (all hold), OR (any holds) or NOT (not all of them hold)."""

    operator: Literal["AND", "OR", "NOT"] = Field(
        description="AND: all conditions hold; OR: at least one holds; NOT: not all hold."
    )
    conditions: list[Filter] = Field(description="Comparisons or combinations, nested at most 32 levels deep.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "operator": "AND",
                    "conditions": [
                        {"field": "metadata.year", "operator": ">=", "value": 1990},
                        {
                            "operator": "NOT",
                            "conditions": [{"field": "metadata.shelf", "operator": "==", "value": "QA76"}],
                        },
                    ],
                }
            ]
        }
    )


Filter = TypeAliasType(
    "Filter",
    Annotated[
        Equality | Ordering | Membership | Containment | Combination,
        Distinct(),
        Field(description="A comparison, or a combination of conditions."),
    ],
)


def _parse(tree: Any) -> Condition:
    try:
        return parse_condition(json_value(tree))
    except InvalidCondition as error:
        raise PydanticCustomError("filter", "{message}", {"message": error.message, "pointer": error.pointer}) from None


ParsedFilter = Annotated[
    Any, PlainValidator(_parse), PlainSerializer(lambda condition: condition.tree), DocumentedAs(Filter)
]
"""A filter as the frozen tree that the storage evaluates. An error has the pointer of its flaw in the context."""

FilterField = Annotated[
    ParsedFilter | None,
    Field(description="The documents that may be attended to. Left out: all."),
]


def _in_metadata(field: str) -> str:
    if not field.startswith(METADATA):
        raise PydanticCustomError(
            "field",
            f"wanted {METADATA} and the name of a field, got {{came}}: write {METADATA}{{came}}",
            {"came": field[:60]},
        )
    return field


MetadataField = Annotated[
    Text,
    AfterValidator(_in_metadata),
    Field(
        description="The field as in filters: `metadata.` and a name.",
        examples=["metadata.year"],
        json_schema_extra={"pattern": r"^metadata\."},
    ),
]


def _bound(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if type(value) is int and value not in INTEGERS:
        raise PydanticCustomError("bound", "wanted an integer of at most 64 bits: write a larger one as 1e20")
    if type(value) in (int, float):
        finite_number(value)
        return value
    raise PydanticCustomError("bound", "wanted a number, an ISO 8601 date, or null for no bound")


Bound = Annotated[
    Any,
    PlainValidator(_bound),
    DocumentedAs(Annotated[float | str, Field(description="A number, or an ISO 8601 date.")]),
]
