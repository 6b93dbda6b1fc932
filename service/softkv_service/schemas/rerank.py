"""Models of the calls that score pairs of texts: rerank as Cohere's and Jina's clients send it, score as vLLM's."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Len
from pydantic import ConfigDict, Field, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from softkv.questions import MAX_DEPTH
from softkv_service.encoding import MAX_PAIR_QUERY
from softkv_service.schemas.openai import OpenAIWire
from softkv_service.schemas.wire import InParts, Text, well_formed

MAX_PAIRS = MAX_DEPTH
MAX_QUERY = MAX_PAIR_QUERY
MAX_SCORED = 10_000_000  # characters of the texts of one score together

DOCUMENT_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "object", "properties": {"text": {"type": "string"}}}],
}


def _document(content: Any, request: ValidationInfo) -> str:
    """Return the text of a document that is ranked: with several `rank_fields`, each stands on a line with its name."""
    if isinstance(content, str):
        return well_formed(content)
    names = request.data.get("rank_fields") or ["text"]
    for name in names:
        if not isinstance(content, dict) or not isinstance(content.get(name), str):
            raise PydanticCustomError(
                "document", 'wanted a text, or an object with a "{name}" that is a text', {"name": name}
            )
    lines = [content[name] if len(names) == 1 else f"{name}: {content[name]}" for name in names]
    return well_formed("\n".join(lines))


Document = Annotated[str, PlainValidator(_document), WithJsonSchema(DOCUMENT_SCHEMA)]


class RerankRequest(OpenAIWire):
    """A query, and documents to order by their relevance to it. Fields of other services are ignored."""

    model: Text | None = Field(None, description="A reranker of `GET /v1/encoders`. Left out: the first.")
    query: Text = Field(description="At most 10,000 characters.", json_schema_extra={"maxLength": MAX_QUERY})
    rank_fields: Annotated[list[Text], Len(1, 20)] | None = Field(
        None, description="The fields of documents that are objects to rank by, in this order. Left out: `text`."
    )
    documents: Annotated[list[Document], Len(1), InParts] = Field(
        description='Texts, or objects with a "text" or the `rank_fields`: 1 to 1,000.',
        json_schema_extra={"maxItems": MAX_PAIRS},
    )
    top_n: Annotated[int, Ge(1)] | None = Field(None, description="Results to return. Left out: all.")
    top_k: Annotated[int, Ge(1)] | None = Field(None, description="The same as `top_n`; send one of them.")
    max_tokens_per_doc: Annotated[int, Ge(1)] | None = Field(
        None, description="Tokens of a document to read, without special ones. Left out: what the model reads."
    )
    return_documents: bool | None = Field(None, description="Whether each result has the text of its document.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "marco",
                    "query": "what does a cat need?",
                    "documents": ["a cat needs sleep", {"text": "relational databases"}],
                    "top_n": 1,
                }
            ]
        }
    )


Texts = Annotated[
    Any,
    PlainValidator(lambda content: _texts(content)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_PAIRS},
            ]
        }
    ),
]


def _texts(content: Any) -> str | list[str]:
    if isinstance(content, str):
        return well_formed(content)
    if not isinstance(content, list) or not content or not all(isinstance(text, str) for text in content):
        raise PydanticCustomError("texts", "wanted a text, or a list of at least one text")
    return [well_formed(text) for text in content]


class ScoreRequest(OpenAIWire):
    """Pairs of texts to score: a text with each of several, or two lists of one length, pair by pair.

    A list of one text is that text.

    All texts together have at most 10,000,000 characters.
    """

    model: Text | None = Field(None, description="A reranker of `GET /v1/encoders`. Left out: the first.")
    text_1: Texts = Field(description="The first text of each pair, or of all pairs.")
    text_2: Texts = Field(description="The second texts.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "marco", "text_1": "what does a cat need?", "text_2": ["sleep", "relational databases"]}
            ]
        }
    )
