"""Texts as vectors, on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

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
