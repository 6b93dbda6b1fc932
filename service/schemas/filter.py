"""Filters on the wire: a comparison, or conditions joined by AND, OR, NOT."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypeAliasType

from service.schemas.wire import DocumentedAs, Wire, json_value

Scalar = str | int | float | bool | None


class Comparison(Wire):
    """A field against a value. A missing field reads as null."""

    field: str = Field(
        pattern=r"^(id$|key$|metadata\.)",
        description="`id`, `key` (the text, null where a document has none), or `metadata.` and the name of a field.",
    )
    operator: Literal["==", "!=", ">", ">=", "<", "<=", "in", "not in", "contains"] = Field(
        description="`in` and `not in` take a list. Ordering compares numbers with numbers and text with text (so ISO "
        "dates order); an unlike or missing field is false. `contains`: the field is a list that holds the value, or a "
        "text that has it as a part."
    )
    value: Scalar | list[Scalar] = Field(description="A scalar, or a list of scalars.")
    ignore_case: bool = Field(
        False, description="For `contains`, with a text: case does not count, as Unicode folds it (`ß` is `ss`)."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "operator": ">=", "value": 2000},
                {"field": "metadata.topics", "operator": "contains", "value": "databases"},
                {"field": "key", "operator": "contains", "value": "sql", "ignore_case": True},
                {"field": "id", "operator": "in", "value": ["qa76", "qa77"]},
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
    "Filter", Annotated[Comparison | Combination, Field(description="A comparison, or conditions joined.")]
)
Combination.model_rebuild()

# Storage checks a filter against what is stored, and says what is wrong where; these types only describe it.
FilterField = Annotated[
    Annotated[Any, AfterValidator(json_value), DocumentedAs(Filter)] | None,
    Field(description="Which documents may be attended to; left out: all."),
]
