"""Types that the models of requests and responses share: strict JSON objects, ids, numbers and problems."""

from __future__ import annotations

import unicodedata
from itertools import islice
from threading import RLock
from typing import Annotated, Any, Literal, TypeVar

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

from softkv_attention import SMALLEST_TEMPERATURE
from softkv_attention.forked import free_after_fork


class NullHasMeaning:
    """The annotation of a field in which null has a meaning of its own, unlike a field left out."""


Kind = TypeVar("Kind")
OrNull = Annotated[Kind | None, NullHasMeaning()]
_BUILDING = free_after_fork(RLock())


class JSONObject(BaseModel):
    """The base of all models: a JSON object in a request or a response.

    A field that may be left out is never sent or answered as null, and its JSON schema leaves null out. Only in an
    `OrNull` field does null have a meaning. If null arrives for a field whose default is None, it counts as left out
    all the same. A whole number may be written as 470, 470.0 or 4.7e2.

    The validator of a model is built on its first use, since building all takes a tenth of a start.
    """

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, *, _parent_namespace_depth: int = 2, **options: Any) -> bool | None:
        """Build the validator as pydantic does, but in one thread at a time, since its steps are visible to others."""
        with _BUILDING:
            return super().model_rebuild(_parent_namespace_depth=_parent_namespace_depth + 1, **options)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema for validation: pydantic's, but whole numbers may be written as floats."""
        schema = handler(source)
        fields: Any = handler.resolve_ref_schema(schema)
        while fields["type"] != "model-fields":
            fields = fields["schema"]
        for field in fields["fields"].values():
            field["schema"] = _accept_whole_floats(field["schema"])
        return schema

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema of the model, without null, except in fields in which null has a meaning."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.model_fields.items():
            if not field.is_required() and not any(isinstance(mark, NullHasMeaning) for mark in field.metadata):
                sent = field.alias or name
                properties[sent] = without_null(properties[sent])
        return schema


def whole(value: Any) -> Any:
    """Return a whole float as an int, and anything else unchanged."""
    return int(value) if type(value) is float and value.is_integer() else value


def _accept_whole_floats(schema: Any) -> Any:
    """Return pydantic's schema of a field in which every int accepts a whole float, such as 470.0.

    A second call changes nothing.
    """
    if schema["type"] == "int":
        return no_info_before_validator_function(whole, schema)
    finished = schema["type"] == "model" or (
        schema["type"] == "function-before" and schema["function"]["function"] is whole
    )
    inner = () if finished else {"schema", "items_schema"} & schema.keys()
    return schema | {name: _accept_whole_floats(schema[name]) for name in inner}


def without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a field's JSON schema without null among its choices and without null as its default."""
    remaining = {
        keyword: value
        for keyword, value in schema.items()
        if keyword != "anyOf" and not (keyword == "default" and value is None)
    }
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **remaining}
    return {"anyOf": choices, **remaining} if choices else remaining


PART = 256  # elements of a list, or fields of an object: to report 256 flaws takes a millisecond or two
MAX_DEPTH = 100
MAX_ID, MAX_NAME = 256, 128  # characters of a document's id and of a collection's name
MAX_DOCUMENTS = 10_000
"""The documents of a JSON body, and the texts of one call that encodes; a stream of NDJSON takes any number."""
MAX_QUERIES = 64
MAX_SWEPT_WEIGHTS = 1_000_000
MAX_PAGE = 10_000  # documents, or collections
INTEGERS = range(-(2**63), 2**64)


def exactly_one(first: str, second: str) -> dict[str, Any]:
    """Return the keywords of a JSON schema for an object that has exactly one of two fields.

    Validators check them. Generators of clients make one type of the object, where `oneOf` would give them several.
    """
    return {"if": {"required": [first]}, "then": {"not": {"required": [second]}}, "else": {"required": [second]}}


class Wire(JSONObject):
    """A JSON object that may have only the fields of its model."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _few_unknown_fields(cls, content: Any) -> Any:
        """Keep only the first unknown fields of a large object: a few are enough to reject it."""
        if type(content) is not dict or len(content) <= PART:
            return content
        unknown = islice((name for name in content if name not in cls.model_fields), PART)
        return {name: content[name] for name in (*cls.model_fields.keys() & content.keys(), *unknown)}


def _in_parts(elements: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    checked: list[Any] = []
    if type(elements) is not list or len(elements) <= PART:
        return validate(elements)
    for end in range(PART, len(elements) + PART, PART):
        try:
            checked += validate(elements[end - PART : end])
        except ValidationError:
            return validate(elements[:end])  # which fails again, now with the right position
    return checked


InParts = WrapValidator(_in_parts)
"""A list of any length, validated one part at a time. Only the flaws of the first invalid part are reported."""


class FieldProblem(JSONObject):
    """One flaw of a request's content."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the request's body; empty for the whole body.")
    detail: str


class Problem(JSONObject):
    """A problem (RFC 9457), the body of an error response: why the request was refused, and what to do."""

    type: str = Field(description="Always `about:blank`; problems differ by their `code`.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="The expected content, the content received and the remedy, for people.")
    code: str = Field(
        description="The kind of problem in one stable word, for programs.", examples=["collection_not_found"]
    )
    errors: list[FieldProblem] | None = Field(None, description="With a 422: every flaw, at most 100.")


class DocumentedAs:
    """An annotation of a field: its JSON schema is that of the type `documented`, not of the type that validates it."""

    def __init__(self, documented: Any) -> None:
        self._documented = documented

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema of the documented type."""
        return handler(TypeAdapter(self._documented).core_schema)


class Distinct:
    """An annotation of a union of which every value matches exactly one kind, so that its JSON schema uses oneOf."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema of the union, with oneOf in place of pydantic's anyOf."""
        schema = handler(core_schema)
        return {("oneOf" if keyword == "anyOf" else keyword): value for keyword, value in schema.items()}


def well_formed(text: str) -> str:
    """Return the text, after checking that UTF-8 can encode it."""
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
            "wanted an id of 1 to {maximum} characters, got {length}",
            {"maximum": MAX_ID, "length": len(text)},
        )
    if text in (".", ".."):
        raise PydanticCustomError("document_id", "an id may not be . or .., which a URL would swallow: add a character")
    if not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise PydanticCustomError("document_id", "an id may hold no control character and no lone surrogate")
    return text


def json_value(value: Any) -> Any:
    """Return a JSON value, after checking that it can be stored and sent back.

    A valid value has no lone surrogates, integers of at most 64 bits, and at most 100 levels of nesting.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if not item.isascii():
                    well_formed(item)
            elif isinstance(item, dict):
                for name in item:
                    well_formed(name)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
            elif type(item) is int and item not in INTEGERS:
                raise PydanticCustomError(
                    "integer",
                    "wanted integers of at most 64 bits, got a larger one: send it as text",
                    {"pointer": _pointer_to(item, value)},
                )
            elif type(item) is float and item in (float("inf"), float("-inf")):
                raise PydanticCustomError(
                    "number",
                    "wanted numbers within float64, got a larger one: send it as text",
                    {"pointer": _pointer_to(item, value)},
                )
        if not deeper:
            return value
        level = deeper
    raise PydanticCustomError("depth", "wanted JSON of at most {levels} levels", {"levels": MAX_DEPTH})


def escape_pointer(step: str | int) -> str:
    """Return one step of a JSON pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")


def _pointer_to(item: Any, value: Any) -> str:
    """Return the JSON pointer of an item within a JSON value, without the first slash; empty for the value itself."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in below:
        if inner is item:
            return escape_pointer(step)
        if isinstance(inner, dict | list) and (pointer := _pointer_to(item, inner)):
            return f"{escape_pointer(step)}/{pointer}"
    return ""


def finite_number(value: Any) -> float:
    """Return a JSON number as a float. Boolean, infinite and non-numeric values are invalid."""
    if type(value) not in (int, float):
        raise PydanticCustomError("number", "wanted a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number != number or abs(number) == float("inf"):
        raise PydanticCustomError("number", "wanted a finite number within float64")
    return number


NULL_NAMES = ("auto", "lenient", "strict", "calibrated")


def _null(value: Any) -> Any:
    if value is False or (isinstance(value, str) and value in NULL_NAMES):
        return value
    if type(value) in (int, float):
        return finite_number(value)
    names = ", ".join(f'"{name}"' for name in NULL_NAMES)
    raise PydanticCustomError("null", "wanted {names}, a similarity (a number), or false for none", {"names": names})


def cold_to_hot(value: Any) -> float:
    """Return the temperature, after checking that it is 0 or at least the smallest one allowed."""
    if type(value) in (int, float) and (value == 0 or SMALLEST_TEMPERATURE <= value < float("inf")):
        return finite_number(value) + 0.0  # not -0.0
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
                "description": "Any characters except control characters; not `.` or `..`.",
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
                "description": "T in logit = similarity / T: 0, at which the best document has all weight, or a "
                f"number of at least {SMALLEST_TEMPERATURE:g}.",
                "examples": [0.05],
            }
        ),
    ],
)


def _temperature_or_auto(value: Any) -> Any:
    return value if value == "auto" else cold_to_hot(value)


TemperatureOrAuto = Annotated[Any, PlainValidator(_temperature_or_auto), DocumentedAs(Temperature | Literal["auto"])]
Null = TypeAliasType(
    "Null",
    Annotated[
        float | Literal["auto", "lenient", "strict", "calibrated", False],
        PlainValidator(_null),
        WithJsonSchema(
            {
                "description": 'The null key, an additional key that means "none of these". A number is its '
                "similarity, `false` is no null key. With a name, it weighs as much as all documents together would "
                "if each were unrelated, at every temperature and any number of documents. `strict` estimates "
                "unrelated similarities from the collection's own keys, `lenient` from its encoder, `auto` from both, "
                "`calibrated` from labelled questions.",
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
NAME_PATTERN = rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}$"
NAME_CHARACTERS = "A letter or digit, then up to 127 letters, digits, dots, underscores or dashes."
CollectionName = Annotated[str, Field(pattern=NAME_PATTERN, examples=["library"], description=NAME_CHARACTERS)]
AliasName = Annotated[str, Field(pattern=NAME_PATTERN, examples=["current"], description=NAME_CHARACTERS)]
Similarity = Literal["cosine", "dot", "scaled_dot", "gaussian"]
Normaliser = Annotated[
    Literal["softmax", "sparsemax", "entmax15", "one_hot"],
    Field(
        description="The function that turns logits into weights. softmax gives every document some weight; "
        "sparsemax and entmax15 give the worse documents none; one_hot gives all weight to the best."
    ),
]
VectorFormat = Annotated[
    Literal["numbers", "base64"],
    Field(description="The format of vectors in the answer: lists of numbers, or base64 of little-endian float32."),
]
