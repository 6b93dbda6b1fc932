"""What the soft lookup is asked on the wire."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import ConfigDict, Field, PlainValidator
from typing_extensions import TypeAliasType

from service.schemas.filter import FilterField
from service.schemas.lookup.addends import BiasField, FullTextField
from service.schemas.lookup.read import Read
from service.schemas.vector import Vector, parse_vector
from service.schemas.wire import (
    MAX_TOP_K,
    DocumentedAs,
    Form,
    InParts,
    Normaliser,
    Null,
    Number,
    Temperature,
    VectorFormat,
    Wire,
    cold_to_hot,
    well_formed,
)

MatchInclude = Literal["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]


def _query(given: Any) -> Any:
    return well_formed(given) if isinstance(given, str) else parse_vector(given)


def _temperature_or_auto(given: Any) -> Any:
    return given if given == "auto" else cold_to_hot(given)


Query = TypeAliasType(
    "Query",
    Annotated[
        Any, PlainValidator(_query), DocumentedAs(Annotated[str | Vector, Field(description="A text, or a vector.")])
    ],
)
TemperatureOrAuto = Annotated[Any, PlainValidator(_temperature_or_auto), DocumentedAs(Temperature | Literal["auto"])]
QUESTION = "how do databases work?"


class AttendRequest(Wire):
    """A query, or several, attended over every key of a collection."""

    forms: ClassVar[tuple[Form, ...]] = (
        Form("AttendOne", "query", "A query, attended over every key of a collection."),
        Form("AttendMany", "queries", "Several queries, each attended over every key of a collection."),
    )

    query: Query | None = Field(
        None,
        description="A text, encoded by the collection's encoder, or a vector of the keys' width.",
        examples=[QUESTION],
    )
    queries: Annotated[list[Query], Len(1), InParts] | None = Field(
        None, description="Several at once, instead of `query`; at most 64 unless set otherwise."
    )
    temperature: TemperatureOrAuto | None = Field(
        None,
        description='Left out: the collection\'s. `"auto"`: the one at which the answer rests on `effective_documents` '
        "documents, to 1 % (softmax only).",
    )
    effective_documents: Annotated[Number, Ge(1)] = Field(
        8.0,
        description='For `"auto"`: on how many documents the answer rests; at most half of those that pass.',
        json_schema_extra={"minimum": 1},
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Matches to return. Left out: 10, or at most 1,000 where `top_p` is given.",
    )
    top_p: Annotated[Number, Gt(0), Le(1)] | None = Field(
        None,
        description="Return the smallest set of matches that holds this share of the document weight.",
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
    )
    filter: FilterField = None
    normaliser: Normaliser = "softmax"
    null: Null | None = Field(None, description="Left out: the collection's.")
    max_error: Annotated[Number, Gt(0)] | None = Field(
        None,
        description="A bound asked of the certificate: on `total_variation`, and on `output_error` relative to the "
        "largest value.",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    full_text: FullTextField = None
    bias: BiasField = None
    min_confidence: Annotated[Number, Ge(0), Le(1)] | None = Field(
        None,
        description="Where the collection is calibrated and asked as it was: the verdict `one` says that the "
        "confidence of the first match is at least this.",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    conformal: Annotated[Number, Ge(0.5), Le(0.99)] | None = Field(
        None,
        description="Where the collection is calibrated and asked as it was: return the set of matches that the right "
        "one is in with this chance, of questions that have an answer; at most `top_k`, or 1,000.",
        json_schema_extra={"minimum": 0.5, "maximum": 0.99},
    )
    allow_missing: bool = Field(
        False,
        description="Whether to answer also where some documents cannot be asked now, with `coverage`; else that is a "
        "503 `shards_missing`.",
    )
    stream: bool = Field(
        False,
        description="Whether to answer one `query` in server-sent events: `partial` answers of growing parts of the "
        "collection, whose certificates hold for all of it, and last the `answer`.",
    )
    read: Read | None = Field(None, description="A metadata field to read over every document that passes.")
    include: Annotated[list[MatchInclude], InParts] = Field(
        default=["value", "key", "metadata"],
        description="Which fields of a match to answer, besides its numbers; `output` is the blended value.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": QUESTION, "top_k": 3},
                {
                    "query": QUESTION,
                    "temperature": "auto",
                    "filter": {"field": "metadata.year", "operator": ">=", "value": 2000},
                },
                {"queries": [QUESTION, "what does a cat need?"], "top_p": 0.9, "include": ["key", "explanation"]},
            ]
        }
    )
