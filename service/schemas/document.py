"""Documents on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.schemas.filter import FilterField
from service.schemas.vector import Vector
from service.schemas.wire import DocumentId, JSONValue, Text, Wire

Scalar = str | bool | int | float | None


def _flat(given: Any) -> Any:
    if not isinstance(given, dict):
        raise PydanticCustomError("metadata", "wanted a flat object of scalars or lists of scalars")
    for name, field in given.items():
        items = field if isinstance(field, list) else [field]
        if any(isinstance(item, dict | list) for item in items):
            raise PydanticCustomError(
                "metadata", "metadata.{name} is nested: wanted a scalar or a list of scalars", {"name": name}
            )
    return given


Metadata = Annotated[
    JSONValue,
    PlainValidator(_flat),
    WithJsonSchema(
        {
            "type": "object",
            "description": "A flat object; its fields can be filtered on.",
            "additionalProperties": {
                "anyOf": [
                    {"type": ["string", "number", "boolean", "null"]},
                    {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
                ]
            },
            "example": {"year": 1993, "shelf": "QA76", "topics": ["databases"]},
        }
    ),
]
Include = Literal["key", "value", "metadata", "key_vector", "value_vector"]


class DocumentBody(Wire):
    """A document without its id: what PUT takes."""

    key: Text | None = Field(None, description="The text that queries are compared with.")
    value: JSONValue = Field(None, description="What is found there: any JSON. Left out: the key text.")
    metadata: Metadata = Field(default_factory=dict)
    key_vector: Vector | None = Field(None, description="The key, where it is not to be encoded from the text.")
    value_vector: Vector | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"key": "relational databases", "value": "A first course", "metadata": {"year": 1993}}]
        }
    )


def _flat_patch(given: Any) -> Any:
    return None if given is None else _flat(given)


class DocumentPatch(Wire):
    """A merge patch of a document; a vector of null is made anew from the text."""

    key: Text | None = None
    value: JSONValue = None
    metadata: Annotated[
        JSONValue,
        PlainValidator(_flat_patch),
        WithJsonSchema({"type": ["object", "null"], "description": "Merged with what is stored; null removes."}),
    ] = None
    key_vector: Vector | None = None
    value_vector: Vector | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"year": 1994, "shelf": None}}]})


class Document(DocumentBody):
    """A document, as it is sent."""

    id: DocumentId


class DocumentAnswer(Wire):
    """A stored document; the fields that were asked for."""

    id: str
    key: str | None = None
    value: JSONValue = None
    metadata: Metadata = Field(default_factory=dict)
    key_vector: Vector | None = None
    value_vector: Vector | None = None


class DocumentBatch(Wire):
    """Many documents, written all or none."""

    documents: list[Document] = Field(min_length=1)
    mode: Literal["upsert", "create"] = "upsert"


class Upserted(Wire):
    """What a write did."""

    upserted: int
    truncated: list[str] = Field(description="Ids of documents whose text was longer than the encoder reads.")


class DocumentQuery(Wire):
    """Which documents to list, in id order."""

    ids: list[DocumentId] | None = None
    filter: FilterField = None
    include: list[Include] = Field(default=["key", "value", "metadata"])
    limit: int = Field(100, ge=1, le=10_000)
    cursor: Text | None = None
    count: bool = Field(False, description="Also count the documents that pass, whatever the limit.")
    vector_format: Literal["numbers", "base64"] = "numbers"


class DocumentPage(Wire):
    """A page of documents."""

    documents: list[DocumentAnswer]
    next_cursor: str | None
    count: int | None


class DocumentDelete(Wire):
    """Which documents to delete: exactly one of the two."""

    ids: list[DocumentId] | None = None
    filter: FilterField = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["qa76"]}]})


class Deleted(Wire):
    """How many documents were there and are no more."""

    deleted: int
