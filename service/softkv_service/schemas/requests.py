"""Models of requests, compiled from the client's records: from their annotations, docstrings and marks.

A field of a request is declared once, in `softkv.questions`. Here its type becomes that which checks JSON, its range a
constraint, and its words the description. A valid request is handed on as the record itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt
from fastapi import Query
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Tag,
    ValidatorFunctionWrapHandler,
    create_model,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function, plain_serializer_function_ser_schema

from softkv.questions import Rerank
from softkv.record import NOT_SENT, ONE_OF, OR_NULL, Keyword, LeftOut, Length, Named, Range, Record, fields_of
from softkv_service.encoding import LATE
from softkv_service.schemas.answers import words_of_json
from softkv_service.schemas.filter import Bound, MetadataField, ParsedFilter
from softkv_service.schemas.query import QueryOrParts, TextOrParts
from softkv_service.schemas.terms import NAMED_TERMS
from softkv_service.schemas.wire import (
    InParts,
    Null,
    NullHasMeaning,
    Number,
    Temperature,
    TemperatureOrAuto,
    Text,
    Wire,
    exactly_one,
)

SCALARS = {float: Number, str: Text}
KEYWORDS = {"AttendRequest": exactly_one("query", "queries")}
"""Keywords of the JSON schemas of whole records."""


class AsRecord:
    """The annotation of a record in a request: its JSON is checked by the record's model, and becomes the record."""

    def __get_pydantic_core_schema__(self, record: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema for validation."""
        return no_info_wrap_validator_function(
            partial(self._validate, record),
            handler.generate_schema(compile_model(record)),
            serialization=plain_serializer_function_ser_schema(lambda value: value),
        )

    def _validate(self, record: type[Record], content: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        """Return the record of JSON; a record of a large body, which was validated before, as it is."""
        return content if isinstance(content, record) else self._build(record, validate(content))

    def _build(self, record: type[Record], model: Wire) -> Any:
        sent = {name: getattr(model, name) for name in model.model_fields_set}
        if "ignore_defaults" in record._names:
            sent["ignore_defaults"] = frozenset(name for name, value in sent.items() if value is None)
        return record(**sent)


class AsJSON(AsRecord):
    """The annotation of a record in a request: its JSON is checked by the record's model, and stays as it was sent."""

    def _build(self, record: type[Record], model: Wire) -> Any:
        return model.model_dump(exclude_unset=True)


def _refuse_late(rerank: Any) -> Any:
    if rerank.get("model") == LATE:
        raise PydanticCustomError(
            "late",
            'wanted a reranker, got "late", which is no default: send "late": true beside defaults, not in them',
        )
    return rerank


NAMED: dict[str, Any] = {
    **NAMED_TERMS,
    "Bound": Bound,
    "Filter": ParsedFilter,
    "MetadataField": MetadataField,
    "Null": Null,
    "QueryOrParts": QueryOrParts,
    "StoredFilter": Annotated[ParsedFilter, AfterValidator(lambda condition: condition.tree)],
    "StoredRerank": Annotated[Rerank, AsJSON(), AfterValidator(_refuse_late)],
    "Temperature": Temperature,
    "TemperatureOrAuto": TemperatureOrAuto,
    "TextOrParts": TextOrParts,
}
"""The types that the client names, as their JSON is checked."""


@cache
def compile_model(record: Any) -> type[Wire]:
    """Return the model that checks the JSON of a record, and describes it."""
    summary, words = words_of_json(record)
    hints = get_type_hints(record, include_extras=True)
    names = [name for name in record._names if NOT_SENT not in get_args(hints[name])]
    fields: dict[str, Any] = {
        name: (_wire_type(hints[name]), _field(record, name, get_args(hints[name]), words[name])) for name in names
    }
    model = create_model(record._schema, __base__=Wire, __doc__=summary, __module__=record.__module__, **fields)
    model.model_config["json_schema_extra"] = KEYWORDS.get(record._schema)
    return model


def _field(record: Any, name: str, marks: Sequence[Any], words: str) -> Any:
    """Return a field of a model: its default, its name in JSON, its description and further keywords."""
    keywords = {mark.name: mark.value for mark in marks if isinstance(mark, Keyword)}
    for mark in marks:
        if isinstance(mark, LeftOut):
            keywords["default"] = mark.value
        elif isinstance(mark, Range) and float in _members(marks[0]):  # its check hides the range
            keywords |= _describe_range(mark)
    extra: dict[str, Any] = {"json_schema_extra": keywords} if keywords else {}
    return Field(record._defaults.get(name, ...), alias=record._sent.get(name), description=words, **extra)


def query_parameter(record: Any, name: str) -> Any:
    """Return the annotation of a field of a record as FastAPI reads it from the query of a path."""
    [field] = [field for field in fields_of(record) if field.name == name]
    length = next((mark for mark in field.marks if isinstance(mark, Length)), Length(0))
    query = Query(
        ge=field.range.least,
        le=field.range.most,
        max_length=length.most,
        description=words_of_json(record)[1][name] + (" May be repeated." if field.type == Sequence[str] else ""),
    )
    return Annotated[field.type, query]


def _describe_range(bounds: Range) -> dict[str, float]:
    keywords = {
        "minimum": bounds.least,
        "maximum": bounds.most,
        "exclusiveMinimum": bounds.above,
        "exclusiveMaximum": bounds.below,
    }
    return {name: bound for name, bound in keywords.items() if bound is not None}


def _wire_type(hint: Any, checks: Sequence[Any] = (InParts,)) -> Any:
    """Return the type by which pydantic checks a value from JSON.

    Args:
        hint: the annotation in the record.
        checks: the checks of a list. One without a largest length is checked in parts.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_with_marks(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return Union[tuple(_wire_type(member) for member in arguments)]  # noqa: UP007
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _annotate(list[_wire_type(arguments[0])], checks)  # type: ignore[misc]
    if isinstance(hint, type) and issubclass(hint, Record):
        return Annotated[hint, AsRecord()]
    return SCALARS.get(hint, hint)


def _type_with_marks(kind: Any, marks: tuple[Any, ...]) -> Any:
    """Return the type of an annotation with marks."""
    name = next((mark.name for mark in marks if isinstance(mark, Named)), None)
    members = [member for member in _members(kind) if member is not NoneType]
    length = next((mark for mark in marks if isinstance(mark, Length)), Length(0))
    of_list = [Len(*length), *([InParts] if length.most is None else [])]
    bounds = [check for mark in marks if isinstance(mark, Range) for check in _constraints(mark)]
    if name is not None:
        checked = NAMED[name]
    elif ONE_OF in marks:
        one, several = members
        alone = _annotate(_wire_type(one), [Tag("one")])
        tagged = alone | _annotate(_wire_type(several, of_list), [Tag("list")])
        checked = Annotated[tagged, Discriminator(_one_or_list)]
    else:
        checked = Union[tuple(_annotate(_wire_type(member, of_list), bounds) for member in members)]  # noqa: UP007
    left_out = any(isinstance(mark, LeftOut) for mark in marks)
    if NoneType in _members(kind) and not left_out:
        checked = checked | None
    return Annotated[checked, NullHasMeaning()] if OR_NULL in marks else checked


def _annotate(kind: Any, marks: Sequence[Any]) -> Any:
    return Annotated[kind, *marks] if marks else kind


def _constraints(bounds: Range) -> list[Any]:
    pairs = (Ge, bounds.least), (Le, bounds.most), (Gt, bounds.above), (Lt, bounds.below)
    return [constraint(bound) for constraint, bound in pairs if bound is not None]


def _one_or_list(value: Any) -> str:
    """Return the form in which a field was sent: alone, or in a list."""
    return "list" if isinstance(value, list) else "one"


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, or the type alone if it is not a union."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
