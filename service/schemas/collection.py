"""Collections on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.schemas.wire import CollectionName, Null, Number, Similarity, Text, Wire


class CollectionSettings(Wire):
    """What a collection is; fields left out take their defaults, and are not compared on a second PUT."""

    similarity: Similarity = "cosine"
    dimension: int | None = Field(None, ge=1, le=65_536, description="Width of the keys; else set by the first write.")
    value_dimension: int | None = Field(None, ge=1, le=65_536, description="Width of the values; likewise.")
    encoder: Text | None = Field(
        None, description="Left out: the service's encoder. null: none, documents bring vectors."
    )
    value_from: Literal["value", "key"] = Field(
        "value", description="Which text a missing value_vector is encoded from."
    )
    temperature: Number | None = Field(None, description="The default temperature of its queries, 0 or more.")
    null: Null | None = Field(None, description='The default null key; "auto" with an encoder, else false.')

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"similarity": "dot", "encoder": None, "dimension": 6}]}
    )


class CollectionChange(Wire):
    """What may change in a collection that exists."""

    temperature: Number | None = None
    null: Null | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"temperature": 0.1, "null": 0.4}]})


class CollectionAnswer(Wire):
    """A collection's settings, its size, and whether it can be asked."""

    name: CollectionName
    similarity: Similarity
    dimension: int | None
    value_dimension: int | None
    encoder: str | None
    precision: str | None
    value_from: Literal["value", "key"]
    temperature: float
    null: Null
    documents: int
    ready: bool


class CollectionList(Wire):
    """Every collection, by name."""

    collections: list[CollectionAnswer]
