"""A look into the model, on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.retrieval.queries import MAX_CHARACTERS
from service.schemas.vector import NestedAnswer
from service.schemas.wire import InParts, Text, VectorFormat, Wire

TraceInclude = Literal["logits", "query", "key", "value", "changes"]
MAX_NAMED = 1024  # layers, or heads, of one request
Numbers = Annotated[list[int], Len(1, MAX_NAMED)]


class TraceRequest(Wire):
    """A text, or a pair of texts, and what to look at."""

    text: Text = Field(
        description="What the model is to read; with `pair` at most 65,536 characters.",
        json_schema_extra={"maxLength": MAX_CHARACTERS},
    )
    pair: Text | None = Field(None, description="A second text, which the model reads behind the first.")
    model: Text | None = Field(None, description="A name of GET /v1/models. Left out: the service's.")
    layers: Numbers | None = Field(None, description="From 0, or from the last as -1. Left out: the last.")
    heads: Numbers | None = Field(None, description="From 0, or from the last as -1. Left out: all.")
    causal: bool = Field(False, description="Each token attends only to itself and those before it, as in a decoder.")
    include: Annotated[list[TraceInclude], InParts] = Field(
        default=[],
        description="The heads' logits before the softmax, their query, key and value vectors, and how much each step "
        "changes a token.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "The dog chased the cat across the street", "layers": [2], "heads": [0, 1]},
                {"text": "Where is the key?", "pair": "The key is under the mat.", "include": ["logits", "changes"]},
            ]
        }
    )


class TracedToken(Wire):
    """A token; `start` and `end` are 0 where it is in neither text."""

    text: str
    start: int = Field(description="Its first character in its text, in Unicode code points.")
    end: int
    sequence: int | None = Field(description="0: of text; 1: of pair; null: added by the model, as [CLS].")


class Changes(Wire):
    """How far a layer moves each token, as a part of the token's length: [n] each."""

    attention: NestedAnswer = Field(description="What attention adds.")
    feed_forward: NestedAnswer = Field(description="What the feed-forward network adds.")
    layer: NestedAnswer = Field(description="The whole layer, its normalisations included.")


class TraceAnswer(Wire):
    """Tokens, and of each chosen layer and head how much each token rests on each."""

    model: str
    tokens: list[TracedToken]
    layers: list[int] = Field(description="The layers of the answer, from 0.")
    heads: list[int] = Field(description="The heads of the answer, from 0.")
    attention: NestedAnswer = Field(
        description="[layer][head][i][j]: the weight of token j for token i; rows sum to 1."
    )
    logits: NestedAnswer | None = Field(None, description="[layer][head][i][j]; null where causal hides j.")
    query: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    key: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    value: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    changes: list[Changes] | None = Field(None, description="One for each layer of the answer.")
