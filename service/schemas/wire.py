"""Shared types of the wire contract: strict JSON objects, ids, numbers and problems."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function
from typing_extensions import TypeAliasType

from attention import SMALLEST_TEMPERATURE


class NullSays:
    """Annotates a field in which null says something, and not that the field is left out."""


Kind = TypeVar("Kind")
OrNull = Annotated[Kind | None, NullSays()]


class JSONObject(BaseModel):
    """A JSON object on the wire.

    A field that may be left out is sent and answered without null, as its description says: only in `OrNull` does null
    say something. Null that comes where the default is None is taken for left out all the same. A whole number is one
    however JSON writes it, as 470, 470.0 or 4.7e2.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How it is validated: as pydantic would, but for whole numbers."""
        schema = handler(source)
        fields: Any = handler.resolve_ref_schema(schema)
        while fields["type"] != "model-fields":
            fields = fields["schema"]
        for field in fields["fields"].values():
            field["schema"] = _taking_whole_floats(field["schema"])
        return schema

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Its schema, where null is only what says something."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.model_fields.items():
            if not field.is_required() and not any(isinstance(each, NullSays) for each in field.metadata):
                properties[name] = without_null(properties[name])
        return schema


def whole(given: Any) -> Any:
    """A number as an int where it is a whole one; anything else as it came."""
    return int(given) if type(given) is float and given.is_integer() else given


def _taking_whole_floats(schema: Any) -> Any:
    """The core schema of a field → the same, where what wants an int takes a whole float; once is enough."""
    if schema["type"] == "int":
        return no_info_before_validator_function(whole, schema)
    done = schema["type"] == "model" or (
        schema["type"] == "function-before" and schema["function"]["function"] is whole
    )
    inner = () if done else {"schema", "items_schema"} & schema.keys()
    return schema | {name: _taking_whole_floats(schema[name]) for name in inner}


def without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """A schema → the same without null as one of its choices, or as what it is by default."""
    kept = {word: said for word, said in schema.items() if word != "anyOf" and not (word == "default" and said is None)}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **kept}
    return {"anyOf": choices, **kept} if choices else kept


PART = 256  # elements of a list, or fields of an object: so many flaws take a millisecond or two
MAX_DEPTH = 100
MAX_ID, MAX_NAME = 256, 128  # characters of a document's id and of a collection's name
MAX_TOP_K = 10_000
MAX_PAGE = 10_000  # documents, or collections
INTEGERS = range(-(2**63), 2**64)


@dataclass(frozen=True)
class Form:
    """One of the forms that a request may have: the one with this field, and without those of the other forms."""

    name: str
    field: str
    description: str


class Wire(JSONObject):
    """A JSON object with exactly these fields; where it has `forms`, in one of these, as its route checks."""

    forms: ClassVar[tuple[Form, ...]] = ()
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _few_unknown_fields(cls, given: Any) -> Any:
        """Of a great many fields that there are not, the first few are enough to refuse it."""
        if type(given) is not dict or len(given) <= PART:
            return given
        unknown = islice((name for name in given if name not in cls.model_fields), PART)
        return {name: given[name] for name in (*cls.model_fields.keys() & given.keys(), *unknown)}


def _in_parts(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    checked: list[Any] = []
    if type(given) is not list or len(given) <= PART:
        return validate(given)
    for end in range(PART, len(given) + PART, PART):
        try:
            checked += validate(given[end - PART : end])
        except ValidationError:
            return validate(given[:end])  # which finds it again, and says where it is
    return checked


InParts = WrapValidator(_in_parts)
"""Of a list of any length: it is validated a part at a time, and what is wrong with the first wrong part refuses it."""


class FieldProblem(JSONObject):
    """One thing that is wrong with the content."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the request's body; empty for the whole.")
    detail: str


class Problem(JSONObject):
    """What was wanted, what came, what to do."""

    type: str = Field(description="Always `about:blank`: `code` tells problems apart.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What was wanted, what came, what to do; for people.")
    code: str = Field(
        description="What went wrong in one stable word; for programs.", examples=["collection_not_found"]
    )
    errors: list[FieldProblem] | None = Field(None, description="With a 422: every flaw, at most 100 of them.")


class DocumentedAs:
    """Annotates a field: the API's description shows that type, whatever it is that validates the field."""

    def __init__(self, documented: Any) -> None:
        self._documented = documented

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The JSON schema of the documented type."""
        return handler(TypeAdapter(self._documented).core_schema)


class Distinct:
    """Annotates a union no two of whose kinds can be taken for each other: the API's description says oneOf."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The JSON schema of the union, which pydantic says as anyOf."""
        schema = handler(core_schema)
        return {("oneOf" if word == "anyOf" else word): said for word, said in schema.items()}


def well_formed(text: str) -> str:
    """A text that UTF-8 can say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError(
            "surrogate", "wanted Unicode text, got a lone surrogate: send well-formed UTF-8"
        ) from None
    return text


def _document_id(text: str) -> str:
    if not 1 <= len(text) <= MAX_ID:
        raise PydanticCustomError(
            "document_id",
            "wanted an id of 1 to {most} characters, got {length}",
            {"most": MAX_ID, "length": len(text)},
        )
    if text in (".", ".."):
        raise PydanticCustomError("document_id", "an id may not be . or .., which a URL would swallow: add a character")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise PydanticCustomError("document_id", "an id may hold no control character and no lone surrogate")
    return text


def json_value(given: Any) -> Any:
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


NULL_NAMES = ("auto", "lenient", "strict", "calibrated")


def _null(given: Any) -> Any:
    if given is False or (isinstance(given, str) and given in NULL_NAMES):
        return given
    if type(given) in (int, float):
        return finite_number(given)
    names = ", ".join(f'"{name}"' for name in NULL_NAMES)
    raise PydanticCustomError("null", "wanted {names}, a similarity (a number), or false for none", {"names": names})


def cold_to_hot(given: Any) -> float:
    """A temperature: 0, or from the smallest on."""
    if type(given) in (int, float) and (given == 0 or SMALLEST_TEMPERATURE <= given < float("inf")):
        return finite_number(given)
    raise PydanticCustomError(
        "temperature", "wanted 0, or a number from {smallest} on", {"smallest": SMALLEST_TEMPERATURE}
    )


Text = Annotated[str, AfterValidator(well_formed)]
DocumentId = TypeAliasType(
    "DocumentId",
    Annotated[
        str,
        AfterValidator(_document_id),
        WithJsonSchema(
            {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_ID,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
                "description": "Any characters but control characters; not `.` or `..`.",
                "examples": ["qa76"],
            }
        ),
    ],
)
JSONValue = Annotated[Any, AfterValidator(json_value)]
Number = Annotated[float, PlainValidator(finite_number), WithJsonSchema({"type": "number"})]
Temperature = TypeAliasType(
    "Temperature",
    Annotated[
        float,
        PlainValidator(cold_to_hot),
        WithJsonSchema(
            {
                "type": "number",
                "minimum": 0,
                "description": "T in logit = similarity / T: 0, where the best takes all, or any number from "
                f"{SMALLEST_TEMPERATURE} on. The higher, the more documents share the weight.",
                "examples": [0.05],
            }
        ),
    ],
)
Null = TypeAliasType(
    "Null",
    Annotated[
        float | Literal["auto", "lenient", "strict", "calibrated", False],
        PlainValidator(_null),
        WithJsonSchema(
            {
                "description": 'The null key, one more key that means "none of these": its similarity; `false` for '
                "none; or a name: it then weighs as much as so many unrelated documents would together, at every "
                "temperature and every number of documents. What unrelated is, `strict` takes from the collection's "
                "own keys, `lenient` from its encoder, `auto` from both, and `calibrated` from labelled questions.",
                "oneOf": [
                    {"type": "string", "enum": list(NULL_NAMES)},
                    {"type": "number"},
                    {"type": "boolean", "const": False},
                ],
                "examples": ["auto", 0.4, False],
            }
        ),
    ],
)
CollectionName = Annotated[
    str,
    Field(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}$",
        examples=["library"],
        description="A letter or digit, then up to 127 letters, digits, dots, underscores or dashes.",
    ),
]
Similarity = Literal["cosine", "dot", "scaled_dot", "gaussian"]
Normaliser = Annotated[
    Literal["softmax", "sparsemax", "entmax15", "one_hot"],
    Field(
        description="What makes weights of the logits. softmax gives every document some; sparsemax and entmax15 give "
        "the worse ones none; one_hot gives the best all."
    ),
]
VectorFormat = Annotated[
    Literal["numbers", "base64"],
    Field(description="How vectors come back: as lists of numbers, or as base64 of little-endian float32."),
]
