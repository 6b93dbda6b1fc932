"""Attend and sweep on the wire: queries, options and answers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import AfterValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from attention.lookup import Stands
from service.schemas.document import Include, MatchPart, Part
from service.schemas.filter import FilterField, Warnings
from service.schemas.terms import AddendLine, BiasField, FullTextAnswer, FullTextField
from service.schemas.vector import Vector, VectorAnswer, parse_vector
from service.schemas.wire import (
    MAX_TOP_K,
    DocumentedAs,
    Form,
    InParts,
    JSONValue,
    Normaliser,
    Null,
    Number,
    OrNull,
    Temperature,
    Text,
    VectorFormat,
    Wire,
    cold_to_hot,
    well_formed,
)
from service.storage import METADATA

MAX_QUANTILES = 100

ReadAs = Literal["mean", "vote", "quantile"]
How = Annotated[
    ReadAs,
    Field(
        alias="as",
        description="`mean` and `quantile` are of numbers; `vote` is of texts, numbers, true and false.",
    ),
]
Scalar = str | int | float | bool | None


def _in_metadata(field: str) -> str:
    if not field.startswith(METADATA):
        raise PydanticCustomError(
            "field", f"wanted {METADATA} and the name of a field, got {{came}}", {"came": field[:60]}
        )
    return field


class Read(Wire):
    """Which field, and what is made of its values, each by its document's weight."""

    field: Annotated[Text, AfterValidator(_in_metadata)] = Field(
        description="As filters write it: `metadata.` and a name.",
        examples=["metadata.year"],
        json_schema_extra={"pattern": r"^metadata\."},
    )
    how: How
    quantiles: list[Annotated[Number, Gt(0), Lt(1)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_QUANTILES,
        description="Which, with `quantile`; left out: the median.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "as": "mean"},
                {"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.5, 0.9]},
            ]
        }
    )


class Vote(Wire):
    """A value, and what the documents that have it weigh."""

    value: Scalar = Field(description="A text, a number, true or false.")
    weight: float = Field(description="Its share of the weight of all documents that have the field.")


class QuantileAnswer(Wire):
    """A quantile: the smallest number such that so large a share of the weight lies on numbers up to it."""

    quantile: float = Field(description="As asked.")
    value: float | None = Field(description="null where nothing was read.")
    at_least: float | None = Field(description="The exact one is no lower.")
    at_most: float | None = Field(description="And no higher.")


class ReadAnswer(Wire):
    """The field's value: documents without one are left out, and so is the null key."""

    field: str
    how: How
    value: Scalar = Field(
        description="The mean; the value with most weight; or the median, or the first quantile that was asked. null "
        "where no document with weight has the field."
    )
    weight: float = Field(description="Which share of the documents' weight has the field, 0 to 1.")
    deviation: OrNull[float] = Field(None, description="Of a mean: the weighted standard deviation around it.")
    error: OrNull[float] = Field(
        None,
        description="Of a mean: it is this far from the exact one at most; of a vote: each share is. null where "
        "nothing is certain.",
    )
    votes: list[Vote] | None = Field(None, description="Of a vote: at most 10 values, by weight.")
    rest_weight: float | None = Field(None, description="Of a vote: the share of all other values.")
    quantiles: list[QuantileAnswer] | None = Field(None, description="Of quantiles: each that was asked, in order.")


UnknownTokens = Annotated[
    int | None,
    Field(
        description="Of a question that is a text: how many of its tokens the model does not know. Where it knows "
        "none with a letter or a digit beside them, no verdict is `one`."
    ),
]


class Explanation(Wire):
    """How it came: similarity / temperature + Σ addends = logit, logit + log_parts − log_partition = log_weight."""

    similarity: float
    temperature: float
    addends: list[AddendLine] | None = Field(
        None, description="What `full_text` and each term of `bias` added, in this order, where they were asked."
    )
    logit: float | None = Field(description="null: minus infinity.")
    log_parts: OrNull[float] = Field(
        None,
        description="Of a document of several keys: what the others add, the logarithm of its weight over that of the "
        "part that spoke; at temperature 0, what was added counts here; null for a weight below all of "
        "float64.",
    )
    log_partition: float | None = Field(description="As in the evidence.")
    log_weight: float | None = Field(
        description="The logarithm of the weight; null where that is 0, and without a log_partition."
    )


class Match(Wire):
    """A document and its share of the answer."""

    id: str
    similarity: float
    logit: float | None = Field(
        description="similarity / temperature + what was added; null for minus infinity, at temperature 0."
    )
    weight: float = Field(description="Its share of the answer, 0 to 1; of a document of several keys, of all of them.")
    confidence: float | None = Field(
        None,
        description="Where the collection is calibrated and asked as it was: the chance that this is the right one.",
    )
    part: MatchPart | None = Field(
        None,
        description="Of a document of several keys: the one that is most similar, whose similarity and logit stand.",
    )
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: VectorAnswer | None = None
    key_vectors: list[VectorAnswer] | None = None
    parts: list[Part] | None = None
    value_vector: VectorAnswer | None = None
    explanation: Explanation | None = None


class Evidence(Wire):
    """How much the collection knew."""

    verdict: Stands = Field(
        description="`none`: the null key has at least half of all weight, or no document passes. Else `one`: the "
        "heaviest document has more than half, its keys together. Else `several`. With `min_confidence`, where it is "
        "not `none`: `one` where the first match's `confidence` is at least that, else `several`."
    )
    verdict_certain: bool = Field(
        description="Whether the exact weights say the same: false where the certificate's `total_variation` is large "
        "enough to change the verdict. A smaller `max_error` settles it."
    )
    null_weight: float = Field(description='The share of "none of these", the null key; 0 without one.')
    null_similarity: float | None = Field(description="The null key's similarity; null without one.")
    log_partition: float | None = Field(
        description="ln Σ exp(logit), the null key's included; at temperature 0 the logarithm of the number of ties. "
        "null where nothing can be attended to, and for normalisers other than softmax."
    )
    entropy: float = Field(description="Of the keys' weights without the null key, in nats; 0 where none passes.")
    effective_documents: float = Field(
        description="exp(entropy): on how many documents the answer rests, each key of one of several counted; 0 where "
        "none passes."
    )


class Certificate(Wire):
    """A proven bound on the distance between this answer and the exact one."""

    method: Literal["exact", "quantised"] = Field(
        description="`exact`: every key in float64. `quantised`: every key as int8, the best again in float64."
    )
    total_variation: float = Field(
        description="½ Σ |weight − exact weight|, over every document and the null key, is at most this."
    )
    output_error: float | None = Field(
        description="‖output − exact output‖₂ is at most this; null where no output was asked for."
    )


class Coverage(Wire):
    """Of how much of the collection an answer was made."""

    documents: int = Field(description="How many could be asked, whether they pass the filter or not.")
    of: int = Field(description="How many there are.")
    missing_weight_at_most: float = Field(
        description="What those that could not be asked weigh together in the answer over all, at most: 0 where "
        "none is missing, 1 where nothing is known. `certificate` holds for the answer over all."
    )


class AttendAnswer(Wire):
    """The weights of all documents that pass sum to one: the matches' + `rest_weight` + `null_weight`.

    One exception: where no document passes and there is no null key, all are 0.
    """

    matches: list[Match] = Field(description="By weight, then similarity, then id.")
    rest_weight: float = Field(description="What all other documents that pass weigh together.")
    complete: bool = Field(
        description="False where `top_k` came before `top_p`, or the end of the `conformal` set, was reached."
    )
    output: VectorAnswer | None = Field(
        None, description="Σ weight · value vector over all documents that pass, where `include` asks for it."
    )
    evidence: Evidence
    certificate: Certificate
    coverage: Coverage | None = Field(
        None, description="Where `allow_missing` was sent, and of the parts of a `stream`."
    )
    unknown_tokens: UnknownTokens = None
    full_text: FullTextAnswer | None = Field(None, description="What words added, where that was asked.")
    read: ReadAnswer | None = Field(None, description="What `read` asked for.")
    temperature: float = Field(description='As asked; for `"auto"` the one that was found.')
    documents: int = Field(description="How many documents pass the filter and can be attended to.")
    keys: int = Field(description="How many keys they have: the n of the null key.")
    warnings: Warnings = None
    took_ms: float = Field(description="Milliseconds in the service, encoding included.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "matches": [
                        {
                            "id": "qa76",
                            "similarity": 0.649,
                            "logit": 12.973,
                            "weight": 0.99995,
                            "key": "relational databases",
                            "value": "A first course",
                            "metadata": {"year": 1993, "shelf": "QA76"},
                        }
                    ],
                    "rest_weight": 0.00002,
                    "complete": True,
                    "evidence": {
                        "verdict": "one",
                        "verdict_certain": True,
                        "null_weight": 0.00003,
                        "null_similarity": 0.129,
                        "log_partition": 12.973,
                        "entropy": 0.0002,
                        "effective_documents": 1.0002,
                    },
                    "certificate": {
                        "method": "exact",
                        "total_variation": 8.7e-13,
                        "output_error": None,
                    },
                    "unknown_tokens": 0,
                    "temperature": 0.05,
                    "documents": 2,
                    "keys": 2,
                    "took_ms": 1.9,
                }
            ]
        }
    )


class AttendAnswers(Wire):
    """An answer for each of `queries`."""

    results: list[AttendAnswer] = Field(
        description="In the order of the queries; all of one version of the collection."
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


MAX_TEMPERATURES = 1024


class SweepRequest(Wire):
    """A query, and the temperatures to ask it at."""

    query: Query = Field(description="A text, encoded by the collection's encoder, or a vector of the keys' width.")
    temperatures: Annotated[list[Temperature], Len(1, MAX_TEMPERATURES)] = Field(description="At most 1,024.")
    top_k: int | None = Field(None, ge=0, le=MAX_TOP_K, description="Matches to return. Left out: 10.")
    null: Null | None = Field(None, description="Left out: the collection's.")
    filter: FilterField = None
    full_text: FullTextField = None
    bias: BiasField = None
    include: Annotated[list[Include], InParts] = Field(
        default=["key", "value", "metadata"], description="Which fields of a match to answer, besides its similarity."
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "how do databases work?", "temperatures": [0, 0.05, 0.1, 1]}]}
    )


class SweptMatch(Wire):
    """A document of the head, which is the same at every temperature."""

    id: str
    similarity: float
    part: MatchPart | None = Field(None, description="Of a document of several keys: the one that is most similar.")
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: VectorAnswer | None = None
    value_vector: VectorAnswer | None = None


class AtTemperature(Wire):
    """The answer at one temperature."""

    temperature: float
    weights: list[float] = Field(description="One for each of `matches`, in their order.")
    rest_weight: float = Field(description="What all other documents that pass weigh together.")
    evidence: Evidence


class SweepAnswer(Wire):
    """The best documents by similarity, and what each weighs at each temperature."""

    matches: list[SweptMatch]
    temperatures: list[AtTemperature] = Field(description="In the order asked.")
    unknown_tokens: UnknownTokens = None
    full_text: FullTextAnswer | None = Field(None, description="What words added, where that was asked.")
    documents: int = Field(description="How many documents pass the filter and can be attended to.")
    keys: int = Field(description="How many keys they have.")
    warnings: Warnings = None
    took_ms: float
