"""Models of OpenAI's embeddings and models calls, with names that Voyage, Mistral, Cohere and Jina have for the same.

Fields that this service does not know are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
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
    output_dimension: int | None = Field(None, ge=1, description="Voyage's and Mistral's name of `dimensions`.")
    input_type: Literal["document", "query", "passage", "search_document", "search_query"] | None = Field(
        None, description="Voyage's, NVIDIA's and Cohere's name of `purpose`."
    )
    output_dtype: Literal["float"] | None = Field(
        None, description="Voyage's and Mistral's type of the numbers. Other types are refused."
    )
    embedding_type: Literal["float"] | None = Field(
        None, description="Jina's type of the numbers. Other types are refused; `encoding_format` has base64."
    )
    normalized: Literal[True] | None = Field(
        None, description="Jina's: true scales each vector to length one. Left out: as the model makes it."
    )
    task: Literal["retrieval.query", "retrieval.passage", "code.query", "code.passage", "text-matching"] | None = Field(
        None, description="Jina's name of `purpose`: the tasks that end in query are for questions. Others are refused."
    )
    late_chunking: Literal[False] | None = Field(
        None, description="Jina's: true, by which inputs are read as parts of one text, is refused."
    )
    truncation: bool | None = Field(
        None, description="Voyage's: false refuses a text that is longer than the model reads, which is cut otherwise."
    )
    truncate: bool | Literal["NONE", "END"] | None = Field(
        None, description="Jina's and NVIDIA's name of `truncation`. START, which would keep the end, is refused."
    )

    @property
    def width(self) -> int | None:
        """The number of dimensions, by either name; None for all."""
        return self.output_dimension if self.dimensions is None else self.dimensions

    @property
    def kind(self) -> Literal["document", "query"]:
        """The kind of the texts, by any name."""
        named = self.input_type or self.task
        if named is None:
            return self.purpose
        return "query" if named.endswith("query") else "document"

    @property
    def cuts(self) -> bool:
        """Whether a text that is longer than the model reads is cut."""
        return self.truncation is not False and self.truncate not in (False, "NONE")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse two names of one field with different values."""
        if self.output_dimension not in (None, self.width):
            raise PydanticCustomError(
                "disagree",
                "`output_dimension` differs from `dimensions`: send one of them",
                {"pointer": "output_dimension"},
            )
        for name, sent in (("input_type", self.input_type), ("task", self.task)):
            if sent is not None and sent.endswith("query") != (self.kind == "query"):
                raise PydanticCustomError(
                    "disagree", f"`{name}` differs from `input_type`: send one of them", {"pointer": name}
                )
        if "purpose" in self.model_fields_set and self.kind != self.purpose:
            name = "task" if self.input_type is None else "input_type"
            raise PydanticCustomError(
                "disagree", f"`{name}` differs from `purpose`: send one of them", {"pointer": name}
            )
        return self

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
