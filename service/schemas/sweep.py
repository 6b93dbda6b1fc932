"""A sweep over temperatures on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from service.schemas.attend import Evidence, MatchInclude, Query, cold_to_hot
from service.schemas.filter import FilterField
from service.schemas.wire import JSONValue, Null, VectorFormat, Wire

SweptTemperature = Annotated[
    float, PlainValidator(cold_to_hot), WithJsonSchema({"type": "number", "minimum": 0, "example": 0.05})
]


class SweepRequest(Wire):
    """A query, and the temperatures to ask it at."""

    query: Query
    temperatures: Annotated[list[SweptTemperature], Len(1, 1024)]
    top_k: int | None = Field(None, ge=0, le=10_000, description="Matches to return; 10.")
    null: Null | None = Field(None, description="Left out: the collection's.")
    filter: FilterField = None
    include: list[MatchInclude] = Field(default=["value", "key", "metadata"])
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "how do databases work?", "temperatures": [0, 0.05, 0.1, 1]}]}
    )


class SweptMatch(Wire):
    """A document of the head, which is the same at every temperature."""

    id: str
    similarity: float
    key: str | None = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: Any = None
    value_vector: Any = None


class AtTemperature(Wire):
    """The answer at one temperature; `weights` are aligned with `matches`."""

    temperature: float
    weights: list[float]
    rest_weight: float
    evidence: Evidence


class SweepAnswer(Wire):
    """The best documents by similarity, and what each weighs at each temperature."""

    matches: list[SweptMatch]
    temperatures: list[AtTemperature]
    documents: int
    took_ms: float
