"""The soft lookup on the wire."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import ConfigDict, Field, PlainValidator
from typing_extensions import TypeAliasType

from service.schemas.filter import FilterField
from service.schemas.json_object import OrNull
from service.schemas.keys import MatchPart, Part
from service.schemas.vector import Vector, VectorAnswer, parse_vector
from service.schemas.wire import (
    MAX_TOP_K,
    Basis,
    DocumentedAs,
    Form,
    InParts,
    JSONValue,
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
    basis: Basis | None = Field(
        None,
        description="What may stand behind the certificate: only what is `proven`, or also what was `measured`. Left "
        "out: the collection's.",
    )
    allow_missing: bool = Field(
        False,
        description="Whether to answer also where some documents cannot be asked now, with `coverage`; else that is a "
        "503 `shards_missing`.",
    )
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


class Explanation(Wire):
    """How the weight came about: similarity / temperature = logit, logit + log_parts − log_partition = log_weight."""

    similarity: float
    temperature: float
    logit: float | None = Field(description="null: minus infinity.")
    log_parts: float | None = Field(
        None,
        description="Of a document of several keys: what the others add, the logarithm of its weight over that of the "
        "part that spoke.",
    )
    log_partition: float | None = Field(description="As in the evidence.")
    log_weight: float | None = Field(
        description="The logarithm of the weight; null where that is 0, and without a log_partition."
    )


class Match(Wire):
    """A document and its share of the answer."""

    id: str
    similarity: float
    logit: float | None = Field(description="similarity / temperature; null for minus infinity, at temperature 0.")
    weight: float = Field(description="Its share of the answer, 0 to 1; of a document of several keys, of all of them.")
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

    answered: bool = Field(
        description="The documents outweigh the null key: `null_weight` is below ½; at temperature 0, and with other "
        "normalisers than softmax, the best similarity that passes is above `null_similarity`. Without a null key: "
        "some document passed."
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
    """A bound on the distance between this answer and the exact one, and what stands behind it."""

    method: Literal["exact", "quantised", "thin"] = Field(
        description="`exact`: every key in float64. `quantised`: every key as int8, the best again in float64. `thin`: "
        "every key in 4 or 2 bits a component, the best and a sample of the others again in float64."
    )
    basis: Basis = Field(description="`proven`: a theorem. `measured`: an estimate whose error was measured.")
    total_variation: float = Field(
        description="½ Σ |weight − exact weight|, over every document and the null key, is at most this; "
        "with `thin` over the matches, all others together, and the null key."
    )
    output_error: float | None = Field(
        description="‖output − exact output‖₂ is at most this; null where no output was asked for."
    )
    holds_with: float = Field(
        description="The chance that this holds, over secret random numbers: 1 but for `thin`. Where it was measured, "
        "the share of answers that did."
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
    complete: bool = Field(description="False where `top_k` came before `top_p` was reached.")
    output: VectorAnswer | None = Field(
        None, description="Σ weight · value vector over all documents that pass, where `include` asks for it."
    )
    evidence: Evidence
    certificate: Certificate
    coverage: Coverage | None = Field(None, description="Where `allow_missing` was sent.")
    temperature: float = Field(description='As asked; for `"auto"` the one that was found.')
    documents: int = Field(description="How many documents pass the filter and can be attended to.")
    keys: int = Field(description="How many keys they have: the n of the null key.")
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
                        "answered": True,
                        "null_weight": 0.00003,
                        "null_similarity": 0.129,
                        "log_partition": 12.973,
                        "entropy": 0.0002,
                        "effective_documents": 1.0002,
                    },
                    "certificate": {
                        "method": "exact",
                        "basis": "proven",
                        "total_variation": 8.7e-13,
                        "output_error": None,
                        "holds_with": 1.0,
                    },
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
