"""Models of documents with one key or several, and of the calls that read and write them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.retrieval.documents import MAX_KEYS
from softkv_service.schemas.filter import FilterField, MetadataField
from softkv_service.schemas.instants import Timestamp
from softkv_service.schemas.vector import Vector
from softkv_service.schemas.wire import (
    MAX_PAGE,
    DocumentId,
    InParts,
    JSONValue,
    OrNull,
    Text,
    VectorFormat,
    Wire,
    exactly_one,
    json_value,
)
from softkv_service.storage.conditions import METADATA


class Part(Wire):
    """A part of a key text: its characters from `start` up to, but not including, `end`."""

    start: int = Field(ge=0, description="The number of characters before the part.")
    end: int = Field(ge=0, description="The number of characters up to its end.")


class Split(Wire):
    """The way to split a long text into several keys, one for each part."""

    tokens: int | None = Field(
        None,
        ge=1,
        description="The maximum number of tokens in a part, counted by the encoder with special tokens. Left "
        "out: as many as the encoder reads.",
    )
    overlap: int | None = Field(
        None, ge=0, description="The number of tokens that a part shares with the part before it. Left out: an eighth."
    )


METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A JSON object of at most 32 levels. Filters compare its fields: `metadata.loc.page` is "
    "`page` in the object `loc`, unless there is a field with the name `loc.page`. The paths of nested "
    "fields have at most 65,536 characters.",
    "additionalProperties": True,
    "examples": [{"year": 1993, "shelf": "QA76", "topics": ["databases"], "loc": {"page": 7}}],
}


def _object(metadata: Any) -> Any:
    if not isinstance(metadata, dict):
        raise PydanticCustomError("metadata", "wanted an object")
    return json_value(metadata)


Metadata = TypeAliasType("Metadata", Annotated[Any, PlainValidator(_object), WithJsonSchema(METADATA_SCHEMA)])
DocumentInclude = Literal["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]

DOCUMENT: dict[str, Any] = {
    "key": "relational databases",
    "value": "A first course",
    "metadata": {"year": 1993, "shelf": "QA76"},
}


class DocumentBody(Wire):
    """A document without its id.

    A document that has neither a key text nor a key vector can be found by id and filter, but never gets a weight.
    """

    key: OrNull[Text] = Field(
        None,
        description="The text that queries are compared with; null: none. It is encoded if the collection has "
        "an encoder and the request has no vector.",
    )
    value: JSONValue = Field(
        None, description="The content of the document, any JSON. Left out: the key text, even after the key changes."
    )
    metadata: Metadata = Field(default_factory=dict)
    key_vector: Vector | None = Field(
        None,
        description="The vector of the key. Left out: encoded from `key`. Without an encoder, the document "
        "then has no key.",
    )
    key_vectors: list[Vector] | None = Field(
        None,
        min_length=1,
        max_length=MAX_KEYS,
        description="Several keys, instead of `key_vector`. The weight of the document is the sum of their "
        "weights, its similarity the largest.",
    )
    parts: list[Part] | None = Field(
        None,
        max_length=MAX_KEYS,
        description="With `key_vectors`: the part of the key text of each, which a match then reports.",
    )
    split: Split | None = Field(
        None,
        description="The way to split a key text that is longer than the encoder reads; `{}` for the length "
        "that it reads.",
    )
    value_vector: Vector | None = Field(
        None,
        description="The vector that the output blends. Left out: encoded from `value` if that is a text and "
        "the collection has `value_from`: `value`; otherwise the key vector.",
    )
    expires: OrNull[Timestamp] = Field(
        None,
        description="The instant from which on the document is absent from every answer; it is deleted later. null: "
        "never. Left out: after the time that the collection's `expire_after` says, if it has one.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT]})


class DocumentPatch(Wire):
    """A merge patch (RFC 7396) of a document; fields left out stay unchanged."""

    key: OrNull[Text] = Field(None, description="The new key text; null removes it.")
    value: JSONValue = Field(
        None,
        description="The new value. An object is merged into an object; null makes it the key text. Left out: "
        "unchanged, but a value that was never sent follows a new `key`.",
    )
    metadata: OrNull[Metadata] = Field(
        None, description="Merged into the stored metadata: null removes a field, or all of them."
    )
    key_vector: OrNull[Vector] = Field(None, description="The new vector; null: encoded again from the key text.")
    key_vectors: OrNull[list[Vector]] = Field(
        None, min_length=1, max_length=MAX_KEYS, description="Several keys; null: encoded again, as one key."
    )
    parts: OrNull[list[Part]] = Field(
        None,
        max_length=MAX_KEYS,
        description="The parts of the `key_vectors` in the request, otherwise of the stored ones; null "
        "removes the parts.",
    )
    split: OrNull[Split] = Field(
        None,
        description="The way to split the key text, which is then encoded again; null: do not split. Needed "
        "with a new `key` if the old text was split.",
    )
    value_vector: OrNull[Vector] = Field(
        None, description="The new vector; null: computed again as for a new document."
    )
    expires: OrNull[Timestamp] = Field(None, description="The new instant of expiry; null: never.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"metadata": {"year": 1994, "shelf": None}}, {"value": "A second course"}]}
    )


class Document(DocumentBody):
    """A document in a request."""

    id: DocumentId

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "qa76", **DOCUMENT}]})


class DocumentBatch(Wire):
    """A batch of documents, of which either all or none are written."""

    documents: Annotated[list[Document], Len(1), InParts] = Field(
        description="The documents, each id once; at most 10,000 unless the service sets another limit."
    )
    mode: Literal["upsert", "create", "skip"] = Field(
        "upsert",
        description="The treatment of a document whose id exists. `upsert`: it replaces the stored document. "
        "`create`: the whole request is refused with 409. `skip`: the stored document stays unchanged, and "
        "the answer lists the id.",
    )
    delete: Annotated[list[DocumentId], Len(1), InParts] | None = Field(
        None,
        description="Ids of documents that these ones supersede: they are deleted in the same transaction. Unknown ids "
        "are ignored. None of them may be in `documents`.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {"id": "qa76", **DOCUMENT},
                        {"id": "sf447", "key": "keeping cats", "metadata": {"year": 2004, "topics": ["cats", "pets"]}},
                    ]
                },
            ]
        }
    )


class OrderBy(Wire):
    """The order of documents by a metadata field.

    Numbers are ordered as numbers, texts by code point, false before true; booleans come before numbers, and numbers
    before texts. Documents whose value is missing, null, a list or an object come last in both directions. Documents
    with equal values are in the order of their ids.
    """

    field: MetadataField
    direction: Literal["ascending", "descending"] = Field("ascending", description="The direction of the values.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.year", "direction": "descending"}]})

    @property
    def name(self) -> str:
        """The name of the field without its prefix."""
        return self.field.removeprefix(METADATA)


class DocumentQuery(Wire):
    """The documents to return, in the order of their ids or of a field; without `ids` and `filter`, all of them."""

    ids: Annotated[list[DocumentId], InParts] | None = Field(
        None, description="Only documents with these ids; unknown ids are ignored."
    )
    filter: FilterField = Field(None, description="Only documents that pass the filter.")
    include: Annotated[list[DocumentInclude], InParts] = Field(
        default=["key", "value", "metadata"],
        description="The fields to return, besides the id; `sent_value` is the `value` only if a request set one.",
    )
    order_by: OrderBy | None = Field(
        None, description="The metadata field by which the documents are ordered. Left out: by their ids."
    )
    limit: int = Field(
        100, ge=0, le=MAX_PAGE, description="The maximum number of documents on a page; 0 for the `count` alone."
    )
    cursor: Text | None = Field(None, description="The `next_cursor` of the page before, in the same order.")
    count: bool = Field(False, description="Whether to count all documents that pass, whatever the limit.")
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"limit": 2, "count": True},
                {"filter": {"field": "metadata.year", "operator": ">=", "value": 2000}, "include": ["key"]},
            ]
        }
    )


class DocumentDelete(Wire):
    """The documents to delete, by exactly one of `ids` and `filter`."""

    ids: Annotated[list[DocumentId], InParts] | None = Field(
        None, description="The ids of the documents; unknown ids are ignored."
    )
    filter: FilterField = Field(None, description="Every document that passes.")

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one("ids", "filter"),
            "examples": [
                {"ids": ["qa76"]},
                {"filter": {"field": "metadata.year", "operator": "<", "value": 1950}},
            ],
        }
    )


class ValuePatch(Wire):
    """A merge patch (RFC 7396) of the contents of many documents. Fields left out stay unchanged, and so do keys."""

    value: JSONValue = Field(
        None,
        description="The new value. An object is merged into an object, null makes it the key text. If the "
        "collection encodes values, the value vectors follow, and null is a 422.",
    )
    metadata: OrNull[Metadata] = Field(
        None, description="Merged into the stored metadata: null removes a field, or all of them."
    )
    expires: OrNull[Timestamp] = Field(None, description="The new instant of expiry; null: never.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"shelf": "QA77", "lent": None}}]})


class DocumentUpdate(Wire):
    """A patch and the documents to change, by exactly one of `ids` and `filter`."""

    ids: Annotated[list[DocumentId], InParts] | None = Field(
        None, description="The ids of the documents; unknown ids are ignored."
    )
    filter: FilterField = Field(None, description="Every document that passes.")
    patch: ValuePatch = Field(description="The patch that is merged into each document.")

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one("ids", "filter"),
            "examples": [
                {"ids": ["qa76"], "patch": {"value": "A second course"}},
                {
                    "filter": {"field": "metadata.year", "operator": "<", "value": 2000},
                    "patch": {"metadata": {"shelf": "archive", "lent": None}},
                },
            ],
        }
    )
