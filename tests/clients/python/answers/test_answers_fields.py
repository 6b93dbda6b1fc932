"""Every field of a response is one of the client's class for it, or a property, with the same choices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import softkv
from softkv.answers.answer import Answer, Swept
from softkv.answers.encoded import Encoded
from tools.description import FILE

SCHEMAS = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"]
# Other classes of answers are records, of which the description is made.
KINDS = {
    "AttendAnswer": Answer,
    "SweepAnswer": Swept,
    "EncodeAnswer": Encoded,
    "FieldProblem": softkv.Flaw,
}
# `dimension` and `embeddings` are the array's own shape and content; a swept match has no temperature to itself.
OWN = {"EncodeAnswer": {"dimension", "embeddings"}}


@pytest.mark.parametrize("schema", KINDS)
def test_no_field_is_lost(schema):
    kind = KINDS[schema]
    names = {name for item in kind.__mro__ for name in (*vars(item), *vars(item).get("__annotations__", ()))}
    names |= (
        {"matches", "documents", "keys", "took_ms", "unknown_tokens", "warnings", "applied", "collection"}
        if kind is Swept
        else set()
    )
    assert SCHEMAS[schema]["properties"].keys() - OWN.get(schema, set()) - names == set()


def choices(annotation: Any) -> set[str]:
    """Return the texts of a closed choice."""
    if get_origin(annotation) is Literal:
        return {choice for choice in get_args(annotation) if isinstance(choice, str)}
    return set[str]().union(*map(choices, get_args(annotation)))


def listed(schema: Any) -> Iterator[str]:
    """Yield the texts that a schema lists, but not those of the fields of an object."""
    if reference := schema.get("$ref"):
        yield from listed(SCHEMAS[reference.split("/")[-1]])
    yield from (choice for choice in (*schema.get("enum", ()), schema.get("const")) if isinstance(choice, str))
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from listed(inner)


@pytest.mark.parametrize("schema", KINDS)
def test_a_closed_choice_has_the_choices_of_the_service(schema):
    closed = {
        name: kind for name, kind in get_type_hints(KINDS[schema], localns={"Array": Any}).items() if choices(kind)
    }
    assert {name: set(listed(SCHEMAS[schema]["properties"][name])) for name in closed} == {
        name: choices(kind) for name, kind in closed.items()
    }
