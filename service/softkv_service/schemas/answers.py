"""JSON schemas of answers, made of the client's records: of their annotations, docstrings and marks, and of examples.

No answer is validated, so that these schemas are only made for the description of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from softkv.record import (
    ALWAYS_SENT,
    LEFT_OUT,
    ONE_OF,
    OR_NULL,
    VECTOR,
    VECTORS,
    Keyword,
    Named,
    Record,
    read_docstring,
    sentence,
)

Schema = dict[str, Any]
PLACE = "#/components/schemas/"
SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
ARRAY = Annotated[Any, Named("NestedAnswer")]
EXAMPLES = Path(__file__).with_name("examples.json")
JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


def name_of(kind: Any) -> str:
    """Return the name of a record or a typed dict in the description of the API."""
    return kind._schema if issubclass(kind, Record) else str(kind.__name__)


def is_record(kind: Any) -> bool:
    """Return whether a type is a record or a typed dict of the client, or a union of them."""
    kinds = get_args(kind) or (kind,)
    return all(isinstance(one, type) and (issubclass(one, Record) or is_typeddict(one)) for one in kinds)


def refer(kind: Any) -> Schema:
    """Return the schema of the answer of a route: a reference to that of a record, or of one of several."""
    kinds = [{"$ref": f"{PLACE}{name_of(one)}"} for one in get_args(kind) or (kind,)]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def describe(kinds: Collection[Any], declared: Collection[str]) -> dict[str, Schema]:
    """Return the schemas of records, and of everything that they refer to, by name.

    Args:
        kinds: records, typed dicts, and unions with a name.
        declared: the names of schemas that are declared elsewhere, such as those of requests.
    """
    schemas = dict.fromkeys(declared, Schema())
    for kind in kinds:
        _refer(kind, schemas)
    return {name: schema for name, schema in schemas.items() if name not in declared}


def read_examples() -> dict[str, list[Any]]:
    """Return the examples of records, by the names of their schemas."""
    return dict(json.loads(EXAMPLES.read_text(encoding="utf-8")))


def _refer(kind: Any, schemas: dict[str, Schema]) -> Schema:
    """Return the schema of a type; add those of records in it to `schemas`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in SCALARS:
        return {"type": SCALARS[kind]}
    if kind is Any:
        return {}
    if origin is Annotated:
        return _apply_marks(arguments[0], arguments[1:], schemas)
    if origin is Literal:
        chosen = {"const": arguments[0]} if len(arguments) == 1 else {"enum": [*arguments]}
        return chosen | {"type": SCALARS[type(arguments[0])]}
    if origin in (Union, UnionType):
        return {"anyOf": [_refer(one, schemas) for one in arguments]}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _refer(arguments[1], schemas) or True}
    if origin is not None:
        return {"type": "array", "items": _refer(arguments[0], schemas)}
    return _define(name_of(kind), kind, schemas)


def _apply_marks(kind: Any, marks: tuple[Any, ...], schemas: dict[str, Schema]) -> Schema:
    names = [mark.name for mark in marks if isinstance(mark, Named)]
    kind = next((mark for mark in marks if isinstance(mark, type)), kind)
    if VECTOR in marks or VECTORS in marks:
        vector = {"$ref": f"{PLACE}VectorAnswer"}
        return vector if VECTOR in marks else {"type": "array", "items": vector}
    keywords = {mark.name: mark.value for mark in marks if isinstance(mark, Keyword)}
    if ONE_OF in marks:
        return {"oneOf": [_refer(one, schemas) for one in get_args(kind)]}
    if names:
        return _define(names[0], kind, schemas, **keywords)
    return _refer(kind, schemas) | keywords


def _define(name: str, kind: Any, schemas: dict[str, Schema], **keywords: Any) -> Schema:
    """Return a reference to the schema of a record, or of a union of records of which each value has one."""
    if name not in schemas:
        schemas[name] = {}  # it may refer to itself
        if get_args(kind):
            schemas[name] = {"oneOf": [_refer(one, schemas) for one in get_args(kind)]} | keywords
        else:
            schemas[name] = _object(kind, schemas)
    return {"$ref": f"{PLACE}{name}"}


def _object(kind: Any, schemas: dict[str, Schema]) -> Schema:
    summary, descriptions = words_of_json(kind)
    properties, required, sent = Schema(), list[str](), getattr(kind, "_sent", {})
    for name, hint, is_required in _fields(kind):
        schema = _refer(hint, schemas)
        if not is_required:
            schema = _without_null(schema, hint)
        else:
            required.append(sent.get(name, name))
        properties[sent.get(name, name)] = schema | (
            {"description": descriptions[name]} if name in descriptions else {}
        )
    closed = {"additionalProperties": False} if getattr(kind, "_closed", True) else {}
    return {"type": "object", "description": summary, "properties": properties, "required": required} | closed


def _fields(kind: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield the fields of a record or a typed dict: name, type, and whether each answer has it."""
    hints = get_type_hints(kind, localns={"Array": ARRAY}, include_extras=True)
    if issubclass(kind, Record):
        for name in kind._names:
            marks = get_args(hints[name])
            yield name, hints[name], ALWAYS_SENT in marks or (name not in kind._defaults and LEFT_OUT not in marks)
        return
    for name, hint in hints.items():
        is_optional = get_origin(hint) is NotRequired
        yield name, get_args(hint)[0] if is_optional else hint, not is_optional


def _without_null(schema: Schema, hint: Any) -> Schema:
    """Return the schema of a field that may be left out: without null, unless that has a meaning of its own."""
    if "anyOf" not in schema or OR_NULL in get_args(hint):
        return schema
    choices = [choice for choice in schema.pop("anyOf") if choice != {"type": "null"}]
    return (choices[0] if len(choices) == 1 else {"anyOf": choices}) | schema


@cache
def words_of_json(kind: Any) -> tuple[str, dict[str, str]]:
    """Return what a class's docstring says of it and of its fields, as sentences about JSON."""
    summary, words = read_docstring(kind)
    return _say_of_json(summary), {name: _say_of_json(text) for name, text in words.items()}


def _say_of_json(words: str) -> str:
    return sentence(re.sub(r"\b(None|True|False)\b", lambda value: JSON_WORDS[value[0]], words))
