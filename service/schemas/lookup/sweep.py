"""A sweep over temperatures on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.schemas.document import Include
from service.schemas.filter import FilterField, Warnings
from service.schemas.json_object import OrNull
from service.schemas.keys import MatchPart
from service.schemas.lookup.addends import BiasField, FullTextAnswer, FullTextField
from service.schemas.lookup.answer import Evidence, UnknownTokens
from service.schemas.lookup.attend import Query
from service.schemas.vector import VectorAnswer
from service.schemas.wire import MAX_TOP_K, InParts, JSONValue, Null, Temperature, VectorFormat, Wire

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
