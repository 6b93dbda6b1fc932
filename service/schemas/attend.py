"""The soft lookup on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.schemas.filter import FilterField
from service.schemas.vector import VECTOR_SCHEMA, parse_vector
from service.schemas.wire import JSONValue, Null, Number, VectorFormat, Wire, finite_number, well_formed

MatchInclude = Literal["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]


def _query(given: Any) -> Any:
    return well_formed(given) if isinstance(given, str) else parse_vector(given)


def cold_to_hot(given: Any) -> float:
    """A temperature: 0, or from 1e-30 on."""
    if type(given) in (int, float) and (given == 0 or 1e-30 <= given < float("inf")):
        return finite_number(given)
    raise PydanticCustomError("temperature", "wanted 0, or a number from 1e-30 on")


def _temperature(given: Any) -> Any:
    return given if given == "auto" else cold_to_hot(given)


Query = Annotated[
    Any,
    PlainValidator(_query),
    WithJsonSchema(
        {
            "description": "A text (encoded by the collection's encoder) or a vector.",
            "anyOf": [{"type": "string", "example": "how do databases work?"}, VECTOR_SCHEMA],
        }
    ),
]
Temperature = Annotated[
    Any,
    PlainValidator(_temperature),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "const": "auto"}]}),
]


class AttendRequest(Wire):
    """A query, or several, attended over every key of a collection."""

    query: Query | None = None
    queries: list[Query] | None = Field(None, min_length=1)
    temperature: Temperature | None = Field(None, description="Left out: the collection's.")
    effective_documents: Annotated[Number, Ge(1)] = Field(
        8.0, description='For "auto": how many documents the answer rests on, 1 or more.'
    )
    top_k: int | None = Field(
        None, ge=0, le=10_000, description="Matches to return; 10, or 1,000 where top_p is given."
    )
    top_p: Annotated[Number, Gt(0), Le(1)] | None = Field(
        None, description="The share of the document weight that the matches hold, 0 to 1."
    )
    filter: FilterField = None
    normaliser: Literal["softmax", "sparsemax", "entmax15", "one_hot"] = "softmax"
    null: Null | None = Field(None, description="Left out: the collection's.")
    max_error: Annotated[Number, Gt(0)] | None = Field(None, description="A bound asked of the certificate.")
    include: list[MatchInclude] = Field(default=["value", "key", "metadata"])
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "how do databases work?", "top_k": 3},
                {
                    "query": "how do databases work?",
                    "temperature": "auto",
                    "filter": {"field": "metadata.year", "operator": ">=", "value": 2000},
                },
            ]
        }
    )


class Explanation(Wire):
    """logit = similarity / temperature; log_weight = logit − log_partition."""

    similarity: float
    temperature: float
    logit: float | None
    log_partition: float | None
    log_weight: float | None


class Match(Wire):
    """A document and its share of the answer."""

    id: str
    similarity: float
    logit: float | None
    weight: float
    key: str | None = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: Any = None
    value_vector: Any = None
    explanation: Explanation | None = None


class Evidence(Wire):
    """How much the collection knew."""

    answered: bool = Field(
        description="The best similarity is above the null key's; without a null: a document passed."
    )
    null_weight: float
    null_similarity: float | None
    log_partition: float | None
    entropy: float | None
    effective_documents: float | None


class Certificate(Wire):
    """A proven bound on the distance between this answer and the exact one."""

    method: str
    total_variation: float
    output_error: float | None


class AttendAnswer(Wire):
    """Match weights, rest_weight and null_weight sum to one."""

    matches: list[Match]
    rest_weight: float
    complete: bool
    output: Any = None
    evidence: Evidence
    certificate: Certificate
    temperature: float
    documents: int = Field(description="How many documents pass the filter.")
    took_ms: float


class AttendAnswers(Wire):
    """An answer a query, in order."""

    results: list[AttendAnswer]
