"""Filters on the wire: a comparison, or conditions joined by AND, OR, NOT."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypeAliasType

from service.schemas.wire import Distinct, DocumentedAs, Wire, json_value
from service.storage import MAX_OPERANDS

Scalar = str | int | float | bool | None
FieldInFilter = Annotated[
    str,
    Field(
        pattern=r"^(id$|key$|metadata\.)",
        description="`id`, `key` (the text, null where a document has none), or `metadata.` and the name of a field.",
    ),
]


class Equality(Wire):
    """Whether a field is equal to a value; a missing field reads as null."""

    field: FieldInFilter
    operator: Literal["==", "!="] = Field(description="Equal, or not.")
    value: Scalar | list[Scalar] = Field(
        description='Equal in kind too: `1` is `1.0`, and neither `true` nor `"1"`. Lists are equal scalar by scalar.'
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "metadata.shelf", "operator": "==", "value": "QA76"}]}
    )


class Ordering(Wire):
    """Numbers order with numbers and text with text (so ISO dates order); an unlike or missing field is false."""

    field: FieldInFilter
    operator: Literal[">", ">=", "<", "<="] = Field(description="On which side of the value.")
    value: str | int | float = Field(description="A number or a text.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "metadata.year", "operator": ">=", "value": 2000}]}
    )


class Membership(Wire):
    """Whether a field is equal to one of some values, or to none of them; a missing field reads as null."""

    field: FieldInFilter
    operator: Literal["in", "not in"] = Field(description="Equal to one of them, or to none.")
    value: list[Scalar] = Field(max_length=MAX_OPERANDS, description="At most 5,000 in the whole filter.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "id", "operator": "in", "value": ["qa76", "qa77"]}]}
    )


class Containment(Wire):
    """Whether a field is a list that holds the value, or a text that has it as a part."""

    field: FieldInFilter
    operator: Literal["contains"] = Field(description="Holds the value, or has it as a part.")
    value: Scalar = Field(description="A scalar; with `ignore_case` a text.")
    ignore_case: bool = Field(False, description="Case does not count, as Unicode folds it (`ß` is `ss`).")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.topics", "operator": "contains", "value": "databases"},
                {"field": "key", "operator": "contains", "value": "sql", "ignore_case": True},
            ]
        }
    )


class Combination(Wire):
    """Conditions joined."""

    operator: Literal["AND", "OR", "NOT"] = Field(
        description="AND: all of them; OR: any of them; NOT: not all of them."
    )
    conditions: list[Filter] = Field(description="Comparisons, or conditions joined again, 32 deep at most.")

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
        Field(description="A comparison, by its operator; or conditions joined."),
    ],
)
Combination.model_rebuild()

# Storage checks a filter against what is stored, and says what is wrong where; these types only describe it.
FilterField = Annotated[
    Annotated[Any, AfterValidator(json_value), DocumentedAs(Filter)] | None,
    Field(description="Which documents may be attended to; left out: all."),
]

Warnings = Annotated[
    list[str] | None,
    Field(
        description="Why the filter passes no document, a sentence each: no document has a field that it asks for, or "
        "all have values of another type there. Left out where nothing is odd."
    ),
]
