"""A JSON object on the wire: what null says in it, and what a whole number is."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function


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
