"""The schemas of the API's description: what FastAPI makes of the models, and what it cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from service.api.problems.table import OF_STATUS, TABLE
from service.schemas.json_object import JSONObject
from service.schemas.stream import LINES
from service.schemas.wire import Problem, Wire

Schemas = dict[str, Any]

PLACE = "#/components/schemas/"
MADE_BY_FASTAPI = ("HTTPValidationError", "ValidationError")
CODES = {
    "type": "string",
    "enum": [*TABLE, *OF_STATUS.values()],
    "description": "What went wrong in one stable word; for programs. docs/errors.md says of each what to do.",
    "examples": ["collection_not_found"],
}


def complete(derived: Schemas) -> Schemas:
    """The schemas by name: those that FastAPI derived, those of problems and of lines, the forms of requests."""
    schemas = derived | _beside_the_routes()
    for name in MADE_BY_FASTAPI:
        schemas.pop(name, None)
    for model in _below(JSONObject):
        if model.__name__ in schemas:
            _restore_examples(model, schemas[model.__name__])
            if issubclass(model, Wire) and model.forms:
                schemas |= _forms(model, schemas[model.__name__])
    return {name: schemas[name] for name in sorted(schemas)}


def _below(kind: type[JSONObject]) -> Iterator[type[JSONObject]]:
    for model in kind.__subclasses__():
        yield model
        yield from _below(model)


def _beside_the_routes() -> Schemas:
    """What no route has as its body or answer: problems, of which any may come, and the lines of streams."""
    schemas: Schemas = {}
    kinds: tuple[Any, ...] = (Problem, *LINES)
    for kind in kinds:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        made = adapter.json_schema(mode="serialization", ref_template=f"{PLACE}{{model}}")
        schemas |= made.pop("$defs") | {kind.__name__: made}
    schemas["ProblemCode"] = CODES
    schemas["Problem"]["properties"]["code"] = {"$ref": f"{PLACE}ProblemCode"}
    return schemas


def _restore_examples(model: type[JSONObject], schema: dict[str, Any]) -> None:
    """FastAPI drops nulls, within examples too, where `"encoder": null` says something."""
    extra = model.model_config.get("json_schema_extra")
    if isinstance(extra, dict):
        schema |= extra


def _forms(model: type[Wire], schema: dict[str, Any]) -> Schemas:
    """The schemas of a request that has forms: one of each, in which the fields of the others cannot be, and their sum.

    That they cannot be, `additionalProperties` says already; types made of the schemas only know it of named fields.
    """
    fields = {form.field for form in model.forms}
    made: Schemas = {}
    for form in model.forms:
        properties = {
            name: False if name in fields - {form.field} else inner for name, inner in schema["properties"].items()
        }
        made[form.name] = schema | {
            "description": form.description,
            "properties": properties,
            "required": [form.field, *schema.get("required", ())],
            "examples": [example for example in schema["examples"] if form.field in example],
        }
    either = {"oneOf": [{"$ref": f"{PLACE}{form.name}"} for form in model.forms]}
    made[model.__name__] = either | {word: schema[word] for word in ("description", "examples")}
    return made
