"""Models of OpenAI's embeddings and models calls. Fields that this service does not know are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from softkv_service.schemas.wire import JSONObject, Text, well_formed, whole

MOST_INPUTS = 2048


TOKENS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
INPUT_SCHEMA: dict[str, Any] = {
    "description": "A text, or its tokens by this model's own tokenizer, special ones included; or a list of either.",
    "anyOf": [
        {"type": "string", "example": "relational databases"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_INPUTS},
        TOKENS_SCHEMA,
        {"type": "array", "items": TOKENS_SCHEMA, "minItems": 1, "maxItems": MOST_INPUTS},
    ],
}


def _inputs(content: Any) -> list[str | list[int]]:
    """Return the `input` of a request as a list of texts and lists of token ids."""
    if isinstance(content, str) or _tokens(content):
        content = [content]
    if not isinstance(content, list):
        raise PydanticCustomError("input", "wanted a text, its tokens, or a list of either")
    if not 1 <= len(content) <= MOST_INPUTS:
        raise PydanticCustomError(
            "input", "wanted 1 to {most} inputs, got {came}", {"most": MOST_INPUTS, "came": len(content)}
        )
    inputs = [well_formed(item) if isinstance(item, str) else _tokens(item) for item in content]
    if None in inputs:
        raise PydanticCustomError(
            "input",
            "input {i} is neither a text nor a list of at least one token: send one of them",
            {"i": inputs.index(None)},
        )
    return [item for item in inputs if item is not None]


def _tokens(content: Any) -> list[int] | None:
    """Return the ids of a list of at least one token, or None for anything else."""
    ids = [whole(item) for item in content] if isinstance(content, list) else []
    return ids if ids and all(type(token) is int for token in ids) else None


class OpenAIWire(JSONObject):
    """A JSON object in a call of OpenAI's clients. Fields beyond those of the model are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class EmbeddingsRequest(OpenAIWire):
    """Texts or token ids to embed, as OpenAI's clients send them."""

    input: Annotated[list[str | list[int]], PlainValidator(_inputs), WithJsonSchema(INPUT_SCHEMA)]
    model: Text = Field(description="A name of GET /v1/models.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="The format of a vector; base64 has float32 numbers."
    )
    dimensions: int | None = Field(
        None, ge=1, description="Keep only the first numbers of each vector, scaled to length one."
    )
    purpose: Literal["document", "query"] = Field(
        "document", description="Not OpenAI's: the kind of the texts, for a model that reads questions differently."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "all-MiniLM-L6-v2", "input": ["relational databases", "a cat asleep in the sun"]}]
        }
    )


class ErrorBody(OpenAIWire):
    """The content of an error: its message, type, parameter and code."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(OpenAIWire):
    """The body of an error response in the format of OpenAI."""

    error: ErrorBody
