"""Models of the encoder's calls: texts, vectors, tokens, and the attention between tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.retrieval.queries import MAX_CHARACTERS
from service.schemas.vector import NestedAnswer
from service.schemas.wire import InParts, Text, VectorFormat, Wire


class EncodeRequest(Wire):
    """Texts to encode as vectors, at most as many as the service allows."""

    texts: Annotated[list[Text], InParts] = Field(description="The texts: any Unicode, even empty.")
    model: Text | None = Field(None, description="A name of GET /v1/models. Left out: the service's.")
    purpose: Literal["document", "query"] = Field(
        "document", description="The kind of the texts, for a model that reads questions and documents differently."
    )
    tokens: bool = Field(False, description="Whether to return the tokens of each text too, for at most 1,000 texts.")
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
    """A token: the piece of the text from character `start` up to `end`, in Unicode code points.

    Both are 0 for a token that is not in the text: a special token, such as `[CLS]`, or a token of the model's prompt.
    """

    text: str
    start: int
    end: int


class EncodeAnswer(Wire):
    """The vectors of the texts, in order, and facts about how the model read each text.

    An encoder behind a URL does not tell the tokens of a text: then `token_counts`, `truncated` and `unknown_tokens`
    are null.
    """

    model: str
    dimension: int
    embeddings: NestedAnswer = Field(description="[n, dimension]: one vector per text.")
    token_counts: list[int] | None = Field(
        description="The number of tokens of each whole text, special tokens included."
    )
    truncated: list[bool] | None = Field(description="Whether each text is longer than the model reads.")
    unknown_tokens: list[int] | None = Field(
        description="The number of tokens of each text that the model does not know, and reads as one and the same."
    )
    tokens: list[list[Token]] | None = Field(None, description="The tokens that the model reads of each text.")


TraceInclude = Literal["logits", "query", "key", "value", "changes"]
MAX_NAMED = 1024  # layers, or heads, of one request
Numbers = Annotated[list[int], Len(1, MAX_NAMED)]


class TraceRequest(Wire):
    """A text, or a pair of texts, to run through the model, and which intermediate values to return."""

    text: Text = Field(
        description="The text that the model reads; with `pair` at most 65,536 characters together.",
        json_schema_extra={"maxLength": MAX_CHARACTERS},
    )
    pair: Text | None = Field(None, description="A second text, which the model reads after the first.")
    model: Text | None = Field(None, description="A name of GET /v1/models. Left out: the service's.")
    layers: Numbers | None = Field(
        None, description="The layers to return, from 0, or from the last as -1. Left out: the last."
    )
    heads: Numbers | None = Field(
        None, description="The heads to return, from 0, or from the last as -1. Left out: all."
    )
    causal: bool = Field(
        False, description="Whether each token attends only to itself and the tokens before it, as in a decoder."
    )
    include: Annotated[list[TraceInclude], InParts] = Field(
        default=[],
        description="Further values to return: the logits of the heads before the softmax, their query, key "
        "and value vectors, and how much each step changes a token.",
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
    """A token of a traced text; `start` and `end` are 0 for a special token, which is in neither text."""

    text: str
    start: int = Field(description="The position of its first character in its text, in Unicode code points.")
    end: int
    sequence: int | None = Field(description="0: in text; 1: in pair; null: added by the model, such as [CLS].")


class Changes(Wire):
    """By how much each step of a layer changes each token's vector, as a share of the length of that vector: [n]."""

    attention: NestedAnswer = Field(description="The change by attention.")
    feed_forward: NestedAnswer = Field(description="The change by the feed-forward network.")
    layer: NestedAnswer = Field(description="The change by the whole layer, including normalisation.")


class TraceAnswer(Wire):
    """The tokens, and how each token attends to the others, for each chosen layer and head."""

    model: str
    tokens: list[TracedToken]
    layers: list[int] = Field(description="The layers of the answer, from 0.")
    heads: list[int] = Field(description="The heads of the answer, from 0.")
    attention: NestedAnswer = Field(
        description="[layer][head][i][j]: the weight of token j for token i; rows sum to 1."
    )
    logits: NestedAnswer | None = Field(None, description="[layer][head][i][j]; null if `causal` hides token j.")
    query: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    key: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    value: NestedAnswer | None = Field(None, description="[layer][head][i][d_k]")
    changes: list[Changes] | None = Field(None, description="One for each layer of the answer.")
