"""Documents on the wire, with one key or several."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from service.retrieval.documents import MAX_KEYS
from service.schemas.filter import FilterField, Warnings
from service.schemas.vector import Vector, VectorAnswer
from service.schemas.wire import (
    MAX_PAGE,
    DocumentId,
    Form,
    InParts,
    JSONValue,
    OrNull,
    Text,
    VectorFormat,
    Wire,
    json_value,
)


class Part(Wire):
    """A part of a key text: from character `start` up to `end`."""

    start: int = Field(ge=0, description="Characters before it.")
    end: int = Field(ge=0, description="Characters up to its end.")


class MatchPart(Wire):
    """Which key of a document it is, and of which part of the key text, where it was split."""

    index: int = Field(ge=0, description="From 0, in the order of `key_vectors`.")
    start: int | None = Field(None, ge=0, description="Characters before the part.")
    end: int | None = Field(None, ge=0, description="Characters up to its end.")


class Split(Wire):
    """A long text becomes several keys, one for each part of it."""

    tokens: int | None = Field(
        None,
        ge=1,
        description="Of a part at most, as the encoder counts them, special ones included. Left out: as many as it "
        "reads.",
    )
    overlap: int | None = Field(
        None, ge=0, description="How many of them a part shares with the one before it. Left out: an eighth."
    )


METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Any JSON object, at most 32 levels deep; filters compare its fields: `metadata.loc.page` is `page` "
    "in the object `loc`, unless there is a field of the name `loc.page`. The paths of nested fields take at most "
    "65,536 characters.",
    "additionalProperties": True,
    "examples": [{"year": 1993, "shelf": "QA76", "topics": ["databases"], "loc": {"page": 7}}],
}


def _object(given: Any) -> Any:
    if not isinstance(given, dict):
        raise PydanticCustomError("metadata", "wanted an object")
    return json_value(given)


Metadata = TypeAliasType("Metadata", Annotated[Any, PlainValidator(_object), WithJsonSchema(METADATA_SCHEMA)])
Include = Literal["key", "value", "metadata", "key_vector", "value_vector"]
DocumentInclude = Literal["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]

DOCUMENT: dict[str, Any] = {
    "key": "relational databases",
    "value": "A first course",
    "metadata": {"year": 1993, "shelf": "QA76"},
}


class DocumentBody(Wire):
    """A document without its id. One without a key, text or vector, is found by id and filter and never weighed."""

    key: OrNull[Text] = Field(
        None,
        description="The text that queries are compared with; null: none. Encoded where the collection has an encoder "
        "and no vector is sent.",
    )
    value: JSONValue = Field(
        None, description="What is found there: any JSON. Left out: the key text, also after the key changes."
    )
    metadata: Metadata = Field(default_factory=dict)
    key_vector: Vector | None = Field(
        None, description="Left out: encoded from `key`; without an encoder, the document is keyless."
    )
    key_vectors: list[Vector] | None = Field(
        None,
        min_length=1,
        max_length=MAX_KEYS,
        description="Several keys, in place of `key_vector`: its weight is the sum of theirs, its similarity the best.",
    )
    parts: list[Part] | None = Field(
        None,
        max_length=MAX_KEYS,
        description="With `key_vectors`: which part of the key text each is of, so that a match says where.",
    )
    split: Split | None = Field(
        None, description="How to split a key text that is longer than the encoder reads; `{}` for its own length."
    )
    value_vector: Vector | None = Field(
        None,
        description="What the output blends. Left out: encoded from `value` where that is text and the collection's "
        "`value_from` is `value`, else the key vector.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT]})


class DocumentPatch(Wire):
    """A merge patch (RFC 7396) of a document; fields left out stay as they are."""

    key: OrNull[Text] = Field(None, description="The new key text; null removes it.")
    value: JSONValue = Field(
        None,
        description="An object is merged into an object; null makes it the key text. Left out, a value that was never "
        "sent follows a new `key`.",
    )
    metadata: OrNull[Metadata] = Field(
        None, description="Merged with what is stored: null removes a field, or all of them."
    )
    key_vector: OrNull[Vector] = Field(None, description="null: encoded again from the key text.")
    key_vectors: OrNull[list[Vector]] = Field(
        None, min_length=1, max_length=MAX_KEYS, description="Several keys; null: encoded again, as one."
    )
    parts: OrNull[list[Part]] = Field(
        None,
        max_length=MAX_KEYS,
        description="Of the `key_vectors` sent beside them, else of those that are stored; null: there are none.",
    )
    split: OrNull[Split] = Field(
        None,
        description="How to split the key text, which is encoded again; null: not. Needed with another `key` "
        "where the text was split.",
    )
    value_vector: OrNull[Vector] = Field(None, description="null: made again as for a new document.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"metadata": {"year": 1994, "shelf": None}}, {"value": "A second course"}]}
    )


class Document(DocumentBody):
    """A document, as it is sent."""

    id: DocumentId

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "qa76", **DOCUMENT}]})


class DocumentAnswer(Wire):
    """A stored document: its id, and the fields that were asked for."""

    id: str
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: Metadata | None = None
    key_vector: OrNull[VectorAnswer] = Field(None, description="null where it is keyless.")
    key_vectors: list[VectorAnswer] | None = Field(None, description="In its place, where there are several.")
    parts: list[Part] | None = Field(None, description="Beside them: which part of the key text each is of.")
    value_vector: OrNull[VectorAnswer] = Field(None, description="null where it is keyless and has none of its own.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "qa76", **DOCUMENT}]})


class DocumentBatch(Wire):
    """Many documents, written all or none."""

    documents: Annotated[list[Document], Len(1), InParts] = Field(
        description="Each id once; 10,000 documents unless set otherwise."
    )
    mode: Literal["upsert", "create", "skip"] = Field(
        "upsert",
        description="What becomes of a document whose id is taken. `upsert`: it replaces the one that is there. "
        "`create`: everything is refused with 409. `skip`: what is there stays as it is, and the answer names it.",
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


class Upserted(Wire):
    """What a write did."""

    upserted: int = Field(description="How many documents were written.")
    skipped: list[str] | None = Field(
        None, description='With `mode: "skip"` only: ids that were taken, whose documents stay as they are.'
    )
    truncated: list[str] = Field(description="Ids of documents whose text was longer than the encoder reads.")


class DocumentQuery(Wire):
    """Which documents to list, in id order; without `ids` and `filter`, all of them."""

    ids: Annotated[list[DocumentId], InParts] | None = Field(None, description="Only these; unknown ids are silent.")
    filter: FilterField = Field(None, description="Only documents that pass.")
    include: Annotated[list[DocumentInclude], InParts] = Field(
        default=["key", "value", "metadata"],
        description="Which fields to answer, besides the id; `sent_value` is the `value` only where one was sent.",
    )
    limit: int = Field(100, ge=0, le=MAX_PAGE, description="Documents on a page; 0 for the `count` alone.")
    cursor: Text | None = Field(None, description="`next_cursor` of the page before.")
    count: bool = Field(False, description="Also count the documents that pass, whatever the limit.")
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"limit": 2, "count": True},
                {"filter": {"field": "metadata.year", "operator": ">=", "value": 2000}, "include": ["key"]},
            ]
        }
    )


class DocumentPage(Wire):
    """A page of documents."""

    documents: list[DocumentAnswer]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end, and with a limit of 0.")
    count: int | None = Field(description="How many documents pass in all; null where `count` was not asked for.")
    warnings: Warnings = None


class DocumentDelete(Wire):
    """Which documents to delete: exactly one of the two."""

    forms: ClassVar[tuple[Form, ...]] = (
        Form("DeleteByIds", "ids", "The documents of these ids."),
        Form("DeleteByFilter", "filter", "Every document that passes."),
    )

    ids: Annotated[list[DocumentId], InParts] | None = Field(None, description="Unknown ids are silent.")
    filter: FilterField = Field(None, description="Every document that passes.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ids": ["qa76"]},
                {"filter": {"field": "metadata.year", "operator": "<", "value": 1950}},
            ]
        }
    )


class Deleted(Wire):
    """How many documents were there and are no more."""

    deleted: int


class ValuePatch(Wire):
    """A merge patch (RFC 7396) of what many documents hold; fields left out stay as they are, and so do keys."""

    value: JSONValue = Field(
        None,
        description="An object is merged into an object, null makes it the key text. Where the collection encodes "
        "values, the value vectors follow, and null is a 422.",
    )
    metadata: OrNull[Metadata] = Field(
        None, description="Merged with what is stored: null removes a field, or all of them."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"shelf": "QA77", "lent": None}}]})


class DocumentUpdate(Wire):
    """Which documents to change, exactly one of `ids` and `filter`, and how."""

    forms: ClassVar[tuple[Form, ...]] = (
        Form("UpdateByIds", "ids", "The documents of these ids."),
        Form("UpdateByFilter", "filter", "Every document that passes."),
    )

    ids: Annotated[list[DocumentId], InParts] | None = Field(None, description="Unknown ids are silent.")
    filter: FilterField = Field(None, description="Every document that passes.")
    patch: ValuePatch = Field(description="Merged into each of them.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ids": ["qa76"], "patch": {"value": "A second course"}},
                {
                    "filter": {"field": "metadata.year", "operator": "<", "value": 2000},
                    "patch": {"metadata": {"shelf": "archive", "lent": None}},
                },
            ]
        }
    )


class Updated(Wire):
    """How many documents there were to change; all of them are changed."""

    updated: int
