"""Models of the calls `attend` and `sweep`: queries and options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import ConfigDict, Discriminator, Field, PlainValidator, Tag
from pydantic_core import PydanticCustomError

from softkv_service.schemas.defaults import (
    DEFAULT_FIELDS,
    SWEPT_FIELDS,
    BiasOrNull,
    FilterOrNull,
    FullTextOrNull,
    IncludeOrNull,
    RerankOrNull,
    SweptIncludeOrNull,
)
from softkv_service.schemas.filter import MetadataField
from softkv_service.schemas.query import QUESTION, QueryOrParts
from softkv_service.schemas.wire import (
    INTEGERS,
    MAX_TOP_K,
    DocumentedAs,
    InParts,
    Normaliser,
    Null,
    Number,
    OrNull,
    Temperature,
    Text,
    VectorFormat,
    Wire,
    cold_to_hot,
    exactly_one,
    finite_number,
    well_formed,
)

MAX_QUANTILES, MAX_READS = 100, 10
MAX_GROUPS, MAX_GROUP_DOCUMENTS = 100, 100
MAX_ANSWER_GROUPS = 1000
"""The most groups of all queries of a request together, since each is a lookup of its own."""

ReadAs = Literal["mean", "vote", "quantile"]
How = Annotated[
    ReadAs,
    Field(
        alias="as",
        description="`mean` and `quantile` use numbers; `vote` uses texts, numbers, true and false.",
    ),
]


class Read(Wire):
    """A metadata field to combine over all documents, and how: each value counts with the weight of its document."""

    field: MetadataField
    how: How
    quantiles: list[Annotated[Number, Gt(0), Lt(1)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_QUANTILES,
        description="The quantiles to read, with `quantile`. Left out: the median.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "as": "mean"},
                {"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.5, 0.9]},
            ]
        }
    )


def one_or_list(value: Any) -> str:
    """Return the form in which a field was sent or is answered: alone, or in a list."""
    return "list" if isinstance(value, list) else "one"


ReadOrList = Annotated[
    Annotated[Read, Tag("one")] | Annotated[list[Read], Len(1, MAX_READS), Tag("list")], Discriminator(one_or_list)
]


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value if value is None else well_formed(value)
    if type(value) is int and value not in INTEGERS:
        raise PydanticCustomError("bound", "wanted an integer of at most 64 bits: write a larger one as 1e20")
    if type(value) in (int, float):
        finite_number(value)
        return value
    raise PydanticCustomError("bound", "wanted a number, an ISO 8601 date, or null for no bound")


Bound = Annotated[
    Any,
    PlainValidator(_bound),
    DocumentedAs(Annotated[float | str | None, Field(description="A number, or an ISO 8601 date; null for no bound.")]),
]


class GroupBy(Wire):
    """A metadata field by which the documents that pass are grouped: by its values, or by ranges of them."""

    field: MetadataField
    groups: int = Field(10, ge=1, le=MAX_GROUPS, description="Groups to return, the heaviest ones.")
    documents: int = Field(
        3, ge=0, le=MAX_GROUP_DOCUMENTS, description="Matches to return in each group, the best ones of all documents."
    )
    ranges: Annotated[list[Annotated[list[Bound], Len(2, 2)]], Len(1, MAX_GROUPS)] | None = Field(
        None,
        description="Ranges of numbers or dates, a group each: from the first bound up to the second, which is not "
        "included. They may not overlap. Left out: a group of each value.",
        examples=[[[None, 1950], [1950, 2000]]],
    )
    cursor: Text | None = Field(
        None, description="The `next_cursor` of the page before, for the same question: its lighter groups follow."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.shelf"},
                {"field": "metadata.year", "ranges": [[1900, 1950], [1950, None]]},
            ]
        }
    )


def _temperature_or_auto(value: Any) -> Any:
    return value if value == "auto" else cold_to_hot(value)


TemperatureOrAuto = Annotated[Any, PlainValidator(_temperature_or_auto), DocumentedAs(Temperature | Literal["auto"])]


class AttendRequest(Wire):
    """One query or several, by exactly one of `query` and `queries`.

    Each is compared with every key of a collection, and gives a weight to every document.
    """

    query: QueryOrParts | None = Field(
        None,
        description="A text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, "
        "whose weighted sum is the query.",
        examples=[QUESTION],
    )
    queries: Annotated[list[QueryOrParts], Len(1), InParts] | None = Field(
        None,
        description="Several queries at once, instead of `query`; at most 64 unless the service sets another limit.",
    )
    temperature: TemperatureOrAuto | None = Field(
        None,
        description='The temperature T in logit = similarity / T. Left out: the collection\'s. `"auto"`: the '
        "temperature at which the answer rests on `effective_documents` documents, within 1 % (softmax only).",
    )
    effective_documents: Annotated[Number, Ge(1)] = Field(
        8.0,
        description='For `"auto"`: the number of documents on which the answer rests; at most half of those that pass.',
        json_schema_extra={"minimum": 1},
    )
    top_k: OrNull[int] = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Matches to return. Left out: the collection's default, or 10; with `top_p` at most 1,000. null: "
        "without the default of the collection.",
    )
    top_p: Annotated[Number, Gt(0), Le(1)] | None = Field(
        None,
        description="Return the smallest set of matches that holds this share of the document weight.",
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
    )
    filter: FilterOrNull = None
    normaliser: Normaliser = "softmax"
    null: Null | None = Field(None, description="Left out: the collection's.")
    max_error: Annotated[Number, Gt(0)] | None = Field(
        None,
        description="The bound that the certificate must meet: on `total_variation`, and on `output_error` "
        "relative to the largest value.",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    full_text: FullTextOrNull = None
    bias: BiasOrNull = None
    rerank: RerankOrNull = None
    min_confidence: Annotated[Number, Ge(0), Le(1)] | None = Field(
        None,
        description="The confidence of the first match that the verdict `one` needs. For a calibrated "
        "collection, with the settings of its calibration.",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    diversity: Annotated[Number, Ge(0), Le(1)] | None = Field(
        None,
        description="Let documents share the place of a heavier match if the cosine distance (1 − cosine) of their "
        "keys is at most this: the match then has their weight, too. Left out: each document has a place of its own.",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    allow_missing: bool = Field(
        False,
        description="Whether to answer with `coverage` if some documents are unavailable. If false, such a "
        "request is a 503 `shards_missing`.",
    )
    read: ReadOrList | None = Field(
        None,
        description="A metadata field whose values are combined over every document that passes, or a list of at most "
        "10 of them.",
    )
    group_by: GroupBy | None = Field(
        None,
        description="A metadata field by which the documents that pass are grouped: the answer has the weight of each "
        "group and its best documents.",
    )
    include: IncludeOrNull = Field(
        default=DEFAULT_FIELDS,
        description="Fields of a match to return, besides its numbers; `output` is the blended value. Left out: the "
        "collection's default, or these three. null: these three.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one("query", "queries"),
            "examples": [
                {"query": QUESTION, "top_k": 3},
                {
                    "query": QUESTION,
                    "temperature": "auto",
                    "filter": {"field": "metadata.year", "operator": ">=", "value": 2000},
                },
                {"queries": [QUESTION, "what does a cat need?"], "top_p": 0.9, "include": ["key", "explanation"]},
                {"query": [{"text": QUESTION}, {"id": "qa76", "weight": -0.5}], "diversity": 0.1},
            ],
        }
    )


MAX_TEMPERATURES = 1024


class SweepRequest(Wire):
    """A query that is to be answered at several temperatures (a sweep)."""

    query: QueryOrParts = Field(
        description="A text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, "
        "whose weighted sum is the query."
    )
    temperatures: Annotated[list[Temperature], Len(1, MAX_TEMPERATURES)] = Field(description="1 to 1,024 temperatures.")
    top_k: OrNull[int] = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Matches to return. Left out: the collection's default, or 10. null: 10.",
    )
    null: Null | None = Field(None, description="Left out: the collection's.")
    filter: FilterOrNull = None
    full_text: FullTextOrNull = None
    bias: BiasOrNull = None
    include: SweptIncludeOrNull = Field(
        default=SWEPT_FIELDS,
        description="Fields of a match to return, besides its similarity. Left out: the collection's default as far as "
        "a sweep has these fields, or these three. null: these three.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "how do databases work?", "temperatures": [0, 0.05, 0.1, 1]}]}
    )
