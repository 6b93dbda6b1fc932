"""Collections on the wire, and the metadata fields of their documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from service.schemas.calibration import KeptCalibration
from service.schemas.filter import FilterField, Scalar
from service.schemas.vector import MAX_WIDTH
from service.schemas.wire import CollectionName, Null, OrNull, Similarity, Temperature, Text, Wire

SIMILARITIES = "cosine: q·k/‖q‖‖k‖; dot: q·k; scaled_dot: q·k/√d; gaussian: −‖q − k‖²/2."


class CollectionSettings(Wire):
    """What a collection is. Fields left out take their defaults, and are not compared on a second PUT."""

    similarity: Similarity | None = Field(
        None,
        description=f"{SIMILARITIES} Left out: what the encoder's maker compares by (euclidean distance: "
        "gaussian, which orders alike), cosine where nothing is said.",
    )
    dimension: int | None = Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="Width of the keys. Left out: the encoder's, else set by the first write.",
    )
    value_dimension: int | None = Field(
        None, ge=1, le=MAX_WIDTH, description="Width of the values. Left out: set by the first write."
    )
    encoder: OrNull[Text] = Field(
        None, description="Left out: the service's encoder. null: none, and documents bring their vectors."
    )
    value_from: Literal["value", "key"] = Field(
        "value",
        description="Where a missing `value_vector` comes from: the text of the value, or the key vector.",
    )
    temperature: Temperature | None = Field(
        None,
        description="The default of its queries. Left out: with cosine or dot the encoder's own, see GET "
        "/v1/models, which is 0.05 for all-MiniLM-L6-v2; with scaled_dot that of dot over √d; with gaussian 1, unless "
        "the encoder's maker compares by distance. Without an encoder 0.05 for cosine, else 1.",
    )
    null: Null | None = Field(
        None, description='The default null key of its queries. Left out: "auto" with an encoder, else false.'
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"similarity": "dot", "encoder": None, "dimension": 6}]}
    )


class CollectionChange(Wire):
    """What may change in a collection that exists."""

    temperature: Temperature | None = Field(None, description="The default of its queries. Left out: stays as it is.")
    null: Null | None = Field(
        None, description="The default null key of its queries. Left out: stays as it is; false: none."
    )

    calibration: OrNull[Literal[None]] = Field(
        None,
        description="null takes the calibration away, and with it the temperature and the null key that it brought.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"temperature": 0.1, "null": 0.4}]})


class Spread(Wire):
    """Similarities, as a normal distribution."""

    mean: float
    deviation: float


class NullBackground(Wire):
    """What the null key takes for unrelated: similarities that mean nothing, as a normal distribution."""

    mean: float
    deviation: float
    of: Literal["encoder", "keys", "both", "labels"] = Field(
        description="Whose: the encoder's, of unrelated questions and texts; those of two different documents' keys; "
        "between the two; or of labelled questions, which fit the mean and leave no deviation."
    )
    pairs: int = Field(description="Of keys that were compared; 0 where it is the encoder's alone, or of labels.")
    short: Spread | None = Field(
        description="What it is for a question of one to three words, where most keys are as short: unrelated words "
        "are more similar than sentences. Null where keys are longer, and without an encoder."
    )


class CollectionAnswer(Wire):
    """A collection's settings, its size, and whether it can be asked."""

    name: CollectionName
    similarity: Similarity = Field(description=SIMILARITIES)
    dimension: int | None = Field(description="Width of the keys; null before it is known.")
    value_dimension: int | None = Field(description="Width of the values; null before it is known.")
    encoder: str | None = Field(description="What its texts are encoded with; null: its documents bring vectors.")
    precision: str | None = Field(description="The numbers that encoder computed in: float32 or bfloat16.")
    value_from: Literal["value", "key"]
    temperature: Temperature
    null: Null
    background: NullBackground | None = Field(
        description="What a null key with a name stands on; null without one, and before it can be measured."
    )
    null_similarity: float | None = Field(
        description="The similarity of the null key at the collection's temperature, over all of its documents."
    )
    calibration: KeptCalibration | None = Field(description="What labelled questions said of it; null without any.")
    documents: int = Field(description="How many it holds that can be attended to.")
    keyless: int = Field(description="How many it holds besides, without a key: found by id and filter, never weighed.")
    keys: int | None = Field(
        description="How many keys its documents have, one each but for those of several; null until it is `ready`."
    )
    ready: bool = Field(
        description="False while its keys are being read from disk after a start, or as a demo collection it is being "
        "loaded."
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
                    "background": {"mean": 0.05, "deviation": 0.078, "of": "both", "pairs": 1, "short": None},
                    "null_similarity": 0.145,
                    "calibration": None,
                    "documents": 2,
                    "keyless": 0,
                    "keys": 2,
                    "ready": True,
                }
            ]
        }
    )


class CollectionList(Wire):
    """Every collection by name, or a page of them."""

    collections: list[CollectionAnswer]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end, and with a limit of 0.")
    access: Literal["read", "write"] = Field(description="What this caller may do.")


MAX_FIELDS, MAX_VALUES = 100, 1000  # in an answer; the values, of each field

FieldName = Annotated[
    Text, WithJsonSchema({"type": "string", "pattern": r"^metadata\.", "examples": ["metadata.year"]})
]


class FieldsQuery(Wire):
    """Which fields of which documents; without `fields` and `filter`, all of them."""

    fields: list[FieldName] | None = Field(
        None,
        max_length=MAX_FIELDS,
        description="As filters write them: `metadata.` and a name. Left out: all that a document which passes has, in "
        f"the order of their names, {MAX_FIELDS} in an answer.",
    )
    filter: FilterField = Field(None, description="Only documents that pass.")
    values: bool = Field(False, description="Also name the values, each with how many documents have it.")
    limit: int = Field(100, ge=1, le=MAX_VALUES, description="Values of each field in an answer.")
    cursor: Text | None = Field(
        None,
        description="A `next_cursor` of the answer before, the rest of the request being the same: the one of a field "
        "goes on with its values, and the answer is of that field alone; the one beside the fields goes on with "
        "further fields.",
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
    """A value of a field."""

    value: Scalar = Field(description="A text, a number, true, false; or null as an element of a list.")
    count: int = Field(description="How many documents have it, as the field itself or as an element of its list.")


class FieldFacts(Wire):
    """What one field holds in the documents that pass."""

    types: list[Literal["integer", "number", "text", "boolean", "null", "list", "object"]] = Field(
        description="Those that occur. `integer` is a number without a point or an exponent, `number` one with; a list "
        "adds `list`, and the types of the scalars in it; what is in an `object` is told under its paths."
    )
    count: int = Field(description="How many documents have the field; null counts as not having it.")
    distinct: int = Field(
        description='How many values differ: 1, 1.0, "1" and true are four. Of a list, the scalars in it.'
    )
    min: int | float | str | None = Field(
        description="The least number; where there is no number, the first text by code point; else null."
    )
    max: int | float | str | None = Field(description="The greatest number, else the last text, else null.")
    values: list[FieldValue] | None = Field(
        description="Those of most documents first, then null, false, true, numbers and texts in their order; null "
        "where `values` was not asked for."
    )
    next_cursor: str | None = Field(description="Where the next values begin; null at the end.")


class FieldsAnswer(Wire):
    """The facts by field, in the order of their names or as they were asked for."""

    fields: dict[str, FieldFacts]
    next_cursor: str | None = Field(description="Where further fields begin; null at the end.")

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
