"""Models of collections and of the metadata fields of their documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from softkv.questions import Defaults
from softkv_service.schemas.filter import FilterField
from softkv_service.schemas.instants import Duration
from softkv_service.schemas.requests import AsRecord
from softkv_service.schemas.vector import MAX_WIDTH
from softkv_service.schemas.wire import Null, OrNull, Similarity, Temperature, Text, Wire

SIMILARITIES = "cosine: q·k/‖q‖‖k‖; dot: q·k; scaled_dot: q·k/√d; gaussian: −‖q − k‖²/2."


class CollectionSettings(Wire):
    """The settings of a collection that is to be created.

    Fields left out take their defaults. A second PUT does not compare them.
    """

    similarity: Similarity | None = Field(
        None,
        description=f"{SIMILARITIES} Left out: what the encoder's maker compares by (euclidean distance: "
        "gaussian, which orders alike), cosine where nothing is said.",
    )
    dimension: int | None = Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="The width of the keys. Left out: that of the encoder, otherwise that of the first write.",
    )
    value_dimension: int | None = Field(
        None, ge=1, le=MAX_WIDTH, description="The width of the values. Left out: that of the first write."
    )
    encoder: OrNull[Text] = Field(
        None,
        description="The encoder of texts. Left out: that of the service. null: no encoder, and documents "
        "come with their vectors.",
    )
    value_from: Literal["value", "key"] = Field(
        "value",
        description="The source of a missing `value_vector`: the text of the value, or the key vector.",
    )
    temperature: Temperature | None = Field(
        None,
        description="The default temperature of queries. Left out: with cosine or dot, that of the encoder "
        "(see GET /v1/models), 0.05 for all-MiniLM-L6-v2; with scaled_dot, that of dot divided by √d; with "
        "gaussian 1, unless the encoder is made for distances. Without an encoder: 0.05 for cosine, otherwise "
        "1.",
    )
    null: Null | None = Field(
        None, description='The default null key of queries. Left out: "auto" with an encoder, otherwise false.'
    )
    defaults: Annotated[Defaults, AsRecord()] | None = Field(
        None, description="Options of queries that do not send their own. Left out: none."
    )
    expire_after: OrNull[Duration] = Field(
        None,
        description="The time after which a new document expires, counted from its write, unless it has an `expires` "
        "of its own. Left out or null: never.",
    )
    late: bool | None = Field(
        None,
        description="Late interaction: whether the words of each key are kept, and read by questions that send no "
        "`rerank`. Left out: true if the encoder is `late` in `GET /v1/encoders` and the similarity is cosine or dot, "
        "otherwise false.",
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"similarity": "dot", "encoder": None, "dimension": 6}]}
    )


class CollectionChange(Wire):
    """The settings that may change in an existing collection."""

    temperature: Temperature | None = Field(
        None, description="The default temperature of queries. Left out: unchanged."
    )
    null: Null | None = Field(
        None, description="The default null key of queries. Left out: unchanged; false: no null key."
    )
    expire_after: OrNull[Duration] = Field(
        None,
        description="The time after which documents written from now on expire; null: never. Left out: unchanged.",
    )

    calibration: OrNull[Literal[None]] = Field(
        None,
        description="null removes the calibration, with the temperature and the null key that it set.",
    )
    projection: OrNull[Literal[None]] = Field(
        None, description="null removes the projection of queries, and the calibration, which is of its similarities."
    )
    defaults: OrNull[Annotated[Defaults, AsRecord()]] = Field(
        None,
        description="Options of queries that do not send their own, in place of all defaults until now. Left out: "
        "unchanged; null: none.",
    )
    late: bool | None = Field(
        None,
        description="Late interaction: whether the words of each key are kept, and read by questions that send no "
        "`rerank`. Those that are missing are made in the background; false deletes all. Left out: unchanged.",
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"temperature": 0.1, "null": 0.4}, {"defaults": {"top_k": 5}}]}
    )


class Spread(Wire):
    """The mean and standard deviation of the similarities of unrelated texts."""

    mean: float
    deviation: float


class CappedSpread(Spread):
    """A distribution of similarities whose null similarity counts only up to that of another one."""

    at_most: Spread | None = Field(
        description="The other distribution: that of the encoder, one deviation higher; null if nothing bounds it."
    )


class NullBackground(CappedSpread):
    """The similarities of unrelated questions and documents, as a normal distribution.

    The similarity of the null key ("none of these") is computed from this distribution.
    """

    of: Literal["encoder", "keys", "both", "labels"] = Field(
        description="The source of the distribution. `encoder`: unrelated questions and texts. `keys`: the keys of two "
        "different documents. `both`: a blend of these two. `labels`: labelled questions, which set the mean; the "
        "deviation is 0."
    )
    pairs: int = Field(
        description="The number of pairs of keys that were compared; 0 for the sources `encoder` and `labels`."
    )
    short: CappedSpread | None = Field(
        description="The distribution for a question of one to three words, if most keys are as short: unrelated words "
        "are more similar than sentences. null if keys are longer, and without an encoder."
    )
    at_least: CappedSpread | None = Field(
        description="The similarities of one question to keys of the collection, whose null similarity counts if it is "
        "higher. null in the description of a collection, because each question has others, and for null keys other "
        "than `auto`."
    )
    fades_from: float | None = Field(
        description="The temperature from which `at_least` counts less; from twice of it on it does not count. null "
        "without `at_least`."
    )


MAX_FIELDS, MAX_VALUES = 100, 1000  # in an answer; the values, of each field

FieldName = Annotated[
    Text, WithJsonSchema({"type": "string", "pattern": r"^metadata\.", "examples": ["metadata.year"]})
]


class FieldsQuery(Wire):
    """The metadata fields and the documents to compute statistics of; without `fields` and `filter`, all of them."""

    fields: list[FieldName] | None = Field(
        None,
        max_length=MAX_FIELDS,
        description="The fields as in filters: `metadata.` and a name. Left out: all fields of the documents that "
        "pass, in the order of their names, at most 100 in an answer.",
    )
    filter: FilterField = Field(None, description="Only documents that pass.")
    values: bool = Field(
        False, description="Whether to list the values of each field, with the number of documents that have each."
    )
    limit: int = Field(100, ge=1, le=MAX_VALUES, description="The maximum number of values of each field in an answer.")
    cursor: Text | None = Field(
        None,
        description="A `next_cursor` of the answer before, with an otherwise equal request. The `next_cursor` of a "
        "field continues its values, in an answer about that field alone. The `next_cursor` beside the fields "
        "continues with further fields.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {},
                {"fields": ["metadata.topics"], "values": True, "limit": 10},
                {"filter": {"field": "metadata.year", "operator": ">=", "value": 2000}},
            ]
        }
    )
