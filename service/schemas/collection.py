"""Collections on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.schemas.calibration import KeptCalibration
from service.schemas.json_object import OrNull
from service.schemas.vector import MAX_WIDTH
from service.schemas.wire import CollectionName, Null, Similarity, Temperature, Text, Wire

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
