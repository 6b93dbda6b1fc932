"""OpenAI's embeddings and models on the wire; fields that this service does not know are tolerated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.schemas.wire import JSONObject, Text, well_formed, whole

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


def _inputs(given: Any) -> list[str | list[int]]:
    """What OpenAI takes as `input` → a list of texts and lists of token ids."""
    if isinstance(given, str) or _tokens(given):
        given = [given]
    if not isinstance(given, list):
        raise PydanticCustomError("input", "wanted a text, its tokens, or a list of either")
    if not 1 <= len(given) <= MOST_INPUTS:
        raise PydanticCustomError(
            "input", "wanted 1 to {most} inputs, got {came}", {"most": MOST_INPUTS, "came": len(given)}
        )
    inputs = [well_formed(item) if isinstance(item, str) else _tokens(item) for item in given]
    if None in inputs:
        raise PydanticCustomError(
            "input",
            "input {i} is neither a text nor a list of at least one token: send one of them",
            {"i": inputs.index(None)},
        )
    return [item for item in inputs if item is not None]


def _tokens(given: Any) -> list[int] | None:
    """The ids of a list of at least one token, None of anything else."""
    ids = [whole(item) for item in given] if isinstance(given, list) else []
    return ids if ids and all(type(each) is int for each in ids) else None


class OpenAIWire(JSONObject):
    """A JSON object with at least these fields."""

    model_config = ConfigDict(extra="ignore", strict=True)


class EmbeddingsRequest(OpenAIWire):
    """Texts to embed."""

    input: Annotated[list[str | list[int]], PlainValidator(_inputs), WithJsonSchema(INPUT_SCHEMA)]
    model: Text = Field(description="A name of GET /v1/models.")
    encoding_format: Literal["float", "base64"] | None = Field(None, description="float; base64 is of float32.")
    dimensions: int | None = Field(None, ge=1, description="Keep only the first numbers, at length one again.")
    purpose: Literal["document", "query"] = Field(
        "document", description="Not OpenAI's: what the texts are, to a model that reads questions differently."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "all-MiniLM-L6-v2", "input": ["relational databases", "a cat asleep in the sun"]}]
        }
    )


class Embedding(OpenAIWire):
    """An input's vector: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(OpenAIWire):
    """Tokens that the model read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(OpenAIWire):
    """A vector an input, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage
    truncated: list[int] = Field(description="Not OpenAI's: indices of inputs longer than the model reads.")


class Model(OpenAIWire):
    """A model; what follows `owned_by` is not OpenAI's, and null until it has loaded."""

    id: str
    object: Literal["model"]
    created: int = Field(description="When its weights came to this machine, in seconds of Unix time.")
    owned_by: str
    state: Literal["loading", "ready", "failed"]
    runs_on: Literal["attention/transformer", "sentence-transformers with attention", "sentence-transformers"] | None
    dimension: int | None
    max_tokens: int | None = Field(description="How many tokens of a text it reads; null too where it reads all.")
    precision: str | None
    similarity: Literal["cosine", "dot", "gaussian"] | None = Field(
        description="What its maker compares its vectors by: the default of its collections."
    )
    temperature: float | None = Field(
        description="The default of its collections with that similarity: the one it was trained at, or one measured."
    )
    temperature_source: Literal["model card", "measured"] | None = Field(
        description="Who says so: the model card in its folder, or the pairs of questions and texts that it was tried "
        "on when it loaded."
    )
    batched: bool | None = Field(
        description="False where its vectors change with what else is in a batch: then each text is encoded alone."
    )
    notes: list[str] | None = Field(description="What one should know who runs it.")


class ModelList(OpenAIWire):
    """The models of this service."""

    object: Literal["list"]
    data: list[Model]


class ErrorBody(OpenAIWire):
    """What was wanted, what came, what to do."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(OpenAIWire):
    """An error as OpenAI says it."""

    error: ErrorBody
