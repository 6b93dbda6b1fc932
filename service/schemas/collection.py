"""Models of collections and of the metadata fields of their documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from service.schemas.calibration import KeptCalibration
from service.schemas.defaults import Defaults
from service.schemas.filter import FilterField, Scalar
from service.schemas.instants import Duration
from service.schemas.projection import REPORT, KeptProjection
from service.schemas.vector import MAX_WIDTH
from service.schemas.wire import CollectionName, Null, OrNull, Similarity, Temperature, Text, Wire

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
    defaults: Defaults | None = Field(
        None, description="Options of queries that do not send their own. Left out: none."
    )
    expire_after: OrNull[Duration] = Field(
        None,
        description="The time after which a new document expires, counted from its write, unless it has an `expires` "
        "of its own. Left out or null: never.",
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
    defaults: OrNull[Defaults] = Field(
        None,
        description="Options of queries that do not send their own, in place of all defaults until now. Left out: "
        "unchanged; null: none.",
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


class CollectionCosts(Wire):
    """The costs of a collection: memory, disk, and the times of its questions."""

    memory_bytes: int | None = Field(
        description="The bytes of its keys, values and codes in the memory of this process, with room for more; 0 "
        "while they are not in memory, null if shard servers hold them."
    )
    disk_bytes: int = Field(
        description="About how many bytes it takes in the database, with its indexes. At most 128 of its documents are "
        "measured, again whenever their number changes; free pages and the log are not counted."
    )
    asked: int = Field(description="The number of questions that this process has answered since its start.")
    p99_ms: float | None = Field(
        description="The milliseconds within which 99 of 100 calls with questions were answered, rounded up by at most "
        "a fifth; without the encoding of texts. null before the first."
    )


class CollectionAnswer(Wire):
    """The settings of a collection, its size, and whether it is ready for queries."""

    name: CollectionName
    similarity: Similarity = Field(description=SIMILARITIES)
    dimension: int | None = Field(description="The width of the keys; null before it is set.")
    value_dimension: int | None = Field(description="The width of the values; null before it is set.")
    encoder: str | None = Field(description="The encoder of its texts; null if its documents come with vectors.")
    precision: str | None = Field(description="The number format of the encoder: float32 or bfloat16.")
    value_from: Literal["value", "key"]
    temperature: Temperature
    null: Null
    background: NullBackground | None = Field(
        description="The basis of a null key with a name; null without one, and before it can be measured."
    )
    null_similarity: float | None = Field(
        description="The similarity of the null key at the collection's temperature, over all of its documents. A "
        'question that is similar to all of them raises it, if `null` is "auto".'
    )
    calibration: KeptCalibration | None = Field(description="The stored calibration; null without one.")
    projection: KeptProjection | None = Field(
        description="The map of its queries, which was trained on labelled pairs; null without one."
    )
    defaults: Defaults | None = Field(description="Options of queries that do not send their own; null without any.")
    expire_after: float | None = Field(
        description="The seconds after which a new document expires that has no `expires` of its own; null: never."
    )
    documents: int = Field(description="The number of documents that can be attended to.")
    keyless: int = Field(
        description="The number of further documents, which have no key: they are found by id and filter, and "
        "never weighed."
    )
    keys: int | None = Field(
        description="The number of keys of its documents: one each, or several. null until it is `ready`."
    )
    expired: int = Field(
        description="The number of documents that have expired, and are absent, but are not deleted yet; 0 for a key "
        "with a filter."
    )
    ready: bool = Field(
        description="False while its keys are read from disk after a start, or while it is loaded as a demo collection."
    )
    costs: CollectionCosts | None = Field(
        description="Memory, disk and times. null in lists, in answers to PUT and PATCH, for a key with a filter, and "
        "if a document that is measured is damaged."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "library",
                    "similarity": "cosine",
                    "dimension": 384,
                    "value_dimension": 384,
                    "encoder": "all-MiniLM-L6-v2",
                    "precision": "float32",
                    "value_from": "value",
                    "temperature": 0.05,
                    "null": "auto",
                    "background": {
                        "mean": 0.05,
                        "deviation": 0.078,
                        "at_most": {"mean": 0.12, "deviation": 0.078},
                        "of": "both",
                        "pairs": 1,
                        "short": None,
                        "at_least": None,
                        "fades_from": None,
                    },
                    "null_similarity": 0.145,
                    "calibration": None,
                    "projection": {"rank": 32, "at": "2026-11-26T08:00:00Z", "trained": REPORT},
                    "defaults": None,
                    "expire_after": None,
                    "documents": 2,
                    "keyless": 0,
                    "keys": 2,
                    "expired": 0,
                    "ready": True,
                    "costs": {"memory_bytes": 99328, "disk_bytes": 6532, "asked": 41, "p99_ms": 3.86},
                }
            ]
        }
    )


class CollectionList(Wire):
    """A list of collections, ordered by name: all of them, or one page."""

    collections: list[CollectionAnswer]
    next_cursor: str | None = Field(
        description="The position of the next page; null at the end, and with a limit of 0."
    )
    access: Literal["read", "feedback", "write"] = Field(
        description="The access of this caller; each includes those before it."
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


class FieldValue(Wire):
    """A value of a metadata field, and the number of documents that have it."""

    value: Scalar = Field(description="A text, a number, true or false; null only as an element of a list.")
    count: int = Field(
        description="The number of documents that have it, as the field itself or as an element of its list."
    )


class FieldFacts(Wire):
    """Statistics of one metadata field, over the documents that pass the filter."""

    types: list[Literal["integer", "number", "text", "boolean", "null", "list", "object"]] = Field(
        description="The types that occur. `integer` is a number without a point or an exponent, `number` one "
        "with. A list adds `list` and the types of its scalars. The fields inside an `object` are listed "
        "under their own paths."
    )
    count: int = Field(description="The number of documents that have the field; null counts as absent.")
    distinct: int = Field(
        description='The number of different values: 1, 1.0, "1" and true are four. For a list, its scalars count.'
    )
    min: int | float | str | None = Field(
        description="The smallest number. If there are only texts, the first by code point; otherwise null."
    )
    max: int | float | str | None = Field(
        description="The largest number. If there are only texts, the last by code point; otherwise null."
    )
    values: list[FieldValue] | None = Field(
        description="The most frequent values first, then null, false, true, numbers and texts in their "
        "order; null without `values` in the request."
    )
    next_cursor: str | None = Field(description="The position of the next values; null at the end.")


class FieldsAnswer(Wire):
    """Statistics of metadata fields, by name, in the order of the names or of the request."""

    fields: dict[str, FieldFacts]
    next_cursor: str | None = Field(description="The position of further fields; null at the end.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "fields": {
                        "metadata.year": {
                            "types": ["integer"],
                            "count": 2,
                            "distinct": 2,
                            "min": 1993,
                            "max": 2004,
                            "values": [{"value": 1993, "count": 1}, {"value": 2004, "count": 1}],
                            "next_cursor": None,
                        }
                    },
                    "next_cursor": None,
                }
            ]
        }
    )
