"""Models of the encoder's calls: texts, vectors, tokens, and the attention between tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from softkv.questions import TracedField
from softkv_service.retrieval.queries import MAX_CHARACTERS
from softkv_service.schemas.wire import InParts, Text, VectorFormat, Wire


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


MAX_NAMED = 1024  # layers, or heads, of one request
Numbers = Annotated[list[int], Len(1, MAX_NAMED)]


class TraceRequest(Wire):
    """A text, or a pair of texts, to run through the model, and which intermediate values to return."""

    text: Text = Field(
        description="The text that the model reads; with `pair` at most 65,536 characters together.",
        json_schema_extra={"maxLength": MAX_CHARACTERS},
    )
    pair: Text | None = Field(None, description="A second text, which the model reads after the first.")
    purpose: Literal["document", "query"] | None = Field(
        None,
        description="The kind of the text: the model's prompt for it is read before the text, and `vector` has the "
        "vector that the service searches with. Left out: no prompt.",
    )
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
    include: Annotated[list[TracedField], InParts] = Field(
        default=[],
        description="Further values to return: the logits of the heads before the softmax, their query, key and value "
        "vectors, and what each has `written` to a token; the hidden states of a layer, the strongest neurons of its "
        "feed-forward network, and how much each step changes a token; the text's vector, and its vectors without each "
        "head.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "The dog chased the cat across the street", "layers": [2], "heads": [0, 1]},
                {"text": "Where is the key?", "pair": "The key is under the mat.", "include": ["logits", "changes"]},
                {"text": "pets that purr", "purpose": "query", "include": ["neurons", "vector", "without_head"]},
            ]
        }
    )
