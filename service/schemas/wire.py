"""What every model of the wire contract shares: strict types, no unknown fields."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_DEPTH = 100
INTEGERS = range(-(2**63), 2**64)


class Wire(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


def well_formed(text: str) -> str:
    """A text that UTF-8 can say."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("surrogate", "wanted Unicode text, got a lone surrogate: send well-formed UTF-8")
    return text


def _document_id(text: str) -> str:
    if not 1 <= len(text) <= 256:
        raise PydanticCustomError(
            "document_id", "wanted an id of 1 to 256 characters, got {length}", {"length": len(text)}
        )
    if text in (".", ".."):
        raise PydanticCustomError("document_id", "an id may not be . or .., which a URL would swallow: add a character")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise PydanticCustomError("document_id", "an id may hold no control character and no lone surrogate")
    return text


def _json_value(given: Any) -> Any:
    """Any JSON that can be stored and sent back: no lone surrogates, 64-bit integers, at most 100 levels."""
    level: list[Any] = [given]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, str):
                well_formed(item)
            elif isinstance(item, dict):
                for name in item:
                    well_formed(name)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
            elif type(item) is int and item not in INTEGERS:
                raise PydanticCustomError(
                    "integer", "wanted integers of at most 64 bits, got a larger one: send it as text"
                )
            elif type(item) is float and item in (float("inf"), float("-inf")):
                raise PydanticCustomError("number", "wanted numbers within float64, got a larger one: send it as text")
        if not deeper:
            return given
        level = deeper
    raise PydanticCustomError("depth", "wanted JSON of at most {levels} levels", {"levels": MAX_DEPTH})


def finite_number(given: Any) -> float:
    """A JSON number, not true or false, within float64."""
    if type(given) not in (int, float):
        raise PydanticCustomError("number", "wanted a number")
    try:
        number = float(given)
    except OverflowError:
        number = float("inf")
    if number != number or abs(number) == float("inf"):
        raise PydanticCustomError("number", "wanted a finite number within float64")
    return number


def _null(given: Any) -> Any:
    if given is False or given == "auto":
        return given
    if type(given) in (int, float):
        return finite_number(given)
    raise PydanticCustomError("null", 'wanted "auto", a similarity (a number), or false for no null key')


Text = Annotated[str, AfterValidator(well_formed)]
DocumentId = Annotated[
    str,
    AfterValidator(_document_id),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 256, "example": "qa76"}),
]
JSONValue = Annotated[Any, AfterValidator(_json_value)]
Number = Annotated[float, PlainValidator(finite_number), WithJsonSchema({"type": "number"})]
Null = Annotated[
    float | Literal["auto", False],
    PlainValidator(_null),
    WithJsonSchema(
        {
            "description": 'The null key: "auto", its similarity, or false for none.',
            "oneOf": [
                {"type": "string", "const": "auto"},
                {"type": "number"},
                {"type": "boolean", "const": False},
            ],
        }
    ),
]
CollectionName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", json_schema_extra={"example": "library"})
]
Similarity = Literal["cosine", "dot", "scaled_dot", "gaussian"]
VectorFormat = Literal["numbers", "base64"]
