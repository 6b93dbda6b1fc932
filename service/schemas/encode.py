"""Encoding on the wire: vectors, tokens, and the attention between tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.retrieval.queries import MAX_CHARACTERS
from service.schemas.vector import NestedAnswer
from service.schemas.wire import InParts, Text, VectorFormat, Wire


class EncodeRequest(Wire):
    """Texts to encode, in any number up to the service's limit."""

    texts: Annotated[list[Text], InParts] = Field(description="Any Unicode text; the empty one has a vector too.")
    model: Text | None = Field(None, description="A name of GET /v1/models. Left out: the service's.")
    purpose: Literal["document", "query"] = Field(
        "document", description="What the texts are, to a model that reads questions and documents differently."
    )
    tokens: bool = Field(False, description="Also the tokens of each text, for at most 1,000 texts.")
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"texts": ["relational databases", "a cat asleep in the sun"]},
                {"texts": ["how do databases work?"], "purpose": "query", "tokens": True, "vector_format": "base64"},
            ]
        }
    )


class Token(Wire):
    """A piece of the text, from character `start` up to `end`, counted in Unicode code points.

    Both are 0 for a token that is not in the text: one that the model adds, such as `[CLS]`, or its prompt's.
    """

    text: str
    start: int
    end: int


class EncodeAnswer(Wire):
    """A vector a text, in order, and what the model made of each text."""

    model: str
    dimension: int
    embeddings: NestedAnswer = Field(description="[n, dimension]: a vector a text.")
    token_counts: list[int] = Field(description="Tokens of the whole text, special ones included.")
    truncated: list[bool] = Field(description="Whether the model reads less than the whole text.")
    unknown_tokens: list[int] = Field(description="Tokens that the model reads as one and the same.")
    tokens: list[list[Token]] | None = Field(None, description="The tokens that the model reads of each text.")


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
